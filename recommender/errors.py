"""What can go wrong between a question and its recommendation.

RecommenderError             exit code 1: our fault, or the world's
├── NotMeasured              the question needs a measurement nobody has made
├── OutOfRange               the model would have to guess too far from what it saw
└── StoreError               the store could not do what was asked
    ├── StoreTooNew          a later version of this program wrote it
    ├── StoreFull            the disk has no room left
    ├── StoreUnreachable     it cannot be opened, written or connected to
    ├── StoreUnreadable      it is damaged, or another program's
    ├── MeasurementConflict  the key already holds another measurement
    ├── RunInUse             a living process works on the run
    ├── RunEnded             exit code 2: the run is over
    ├── UnknownRun           exit code 2: no run of that name
    ├── AmbiguousRun         exit code 2: several runs begin like that
    └── UnknownMeasurement   exit code 2: no such measurement, or it kept no samples
"""

# ruff: noqa: N818 - the names say what happened, as in "StoreFull"

from __future__ import annotations

__all__ = [
    "AmbiguousRun",
    "BadRequest",
    "MeasurementConflict",
    "NotMeasured",
    "NothingMeasured",
    "OutOfRange",
    "RecommenderError",
    "RunEnded",
    "RunInUse",
    "StoreError",
    "StoreFull",
    "StoreTooNew",
    "StoreUnreachable",
    "StoreUnreadable",
    "UnknownMeasurement",
    "UnknownRun",
]


class RecommenderError(Exception):
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotMeasured(RecommenderError):
    pass


class OutOfRange(RecommenderError):
    pass


class StoreError(RecommenderError):
    pass


class StoreTooNew(StoreError):
    pass


class StoreFull(StoreError):
    pass


class StoreUnreachable(StoreError):
    pass


class StoreUnreadable(StoreError):
    pass


class MeasurementConflict(StoreError):
    pass


class RunInUse(StoreError):
    pass


class RunEnded(StoreError):
    exit_code = 2


class UnknownRun(StoreError):
    exit_code = 2


class AmbiguousRun(StoreError):
    exit_code = 2


class UnknownMeasurement(StoreError):
    exit_code = 2


class NothingMeasured(RecommenderError):
    exit_code = 4


class BadRequest(RecommenderError):
    exit_code = 2
