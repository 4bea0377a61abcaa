"""What can go wrong in a load test.

LoadTestError                exit code 1: our fault, or the target's
├── TargetError              the system under test
│   ├── TargetExited         the command ended before it answered
│   ├── TargetNotReady       it never answered /ping within the time-out
│   ├── TargetDied           it ended during the test
│   ├── PayloadRejected      it answered the trial request with something else than 2xx
│   ├── TargetUnreachable    nothing listens at the URL
│   ├── LimitUnavailable     this machine cannot enforce the size asked for
│   ├── EngineUnavailable    no container engine answers here
│   └── ImageUnavailable     the image cannot be fetched, built or run here
├── EngineFailed             the load generator itself broke
├── SampleTrainingFailed     the bundled model could not be made
├── OutOfTime                the time for the whole plan is over
├── UsageError               exit code 2: the question cannot be asked that way
└── InvalidMeasurement       exit code 4: measured, but unfit to be evidence
"""

# ruff: noqa: N818 - the names say what happened, as in "TargetDied"

from __future__ import annotations

__all__ = [
    "EngineFailed",
    "EngineUnavailable",
    "ImageUnavailable",
    "InvalidMeasurement",
    "LimitUnavailable",
    "LoadTestError",
    "OutOfTime",
    "PayloadRejected",
    "SampleTrainingFailed",
    "TargetDied",
    "TargetError",
    "TargetExited",
    "TargetNotReady",
    "TargetUnreachable",
    "UsageError",
]


class LoadTestError(Exception):
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class TargetError(LoadTestError):
    pass


class TargetExited(TargetError):
    pass


class TargetNotReady(TargetError):
    pass


class TargetDied(TargetError):
    pass


class PayloadRejected(TargetError):
    pass


class TargetUnreachable(TargetError):
    pass


class LimitUnavailable(TargetError):
    pass


class EngineUnavailable(TargetError):
    pass


class ImageUnavailable(TargetError):
    pass


class EngineFailed(LoadTestError):
    pass


class SampleTrainingFailed(LoadTestError):
    pass


class OutOfTime(LoadTestError):
    pass


class UsageError(LoadTestError):
    exit_code = 2


class InvalidMeasurement(LoadTestError):
    exit_code = 4
