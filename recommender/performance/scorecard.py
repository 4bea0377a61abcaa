"""How right the predictions were about what they had not seen: scores, no data.

Written by `recommender model validate` and `recommender planner replay`, shipped with the package,
and shown by `recommender model show` and the dashboard.
"""

from __future__ import annotations

import datetime as dt
from importlib.resources import files
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from recommender.errors import RecommenderError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

__all__ = [
    "OUR_METHOD",
    "CalibrationCurve",
    "MethodScore",
    "ReplayCurve",
    "ReplayPoint",
    "Scorecard",
    "Validation",
]

ARTEFACT = "scorecard.json"
OUR_METHOD = "ours"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MethodScore(_Frozen):
    """One method's, over the tasks of one kind and leave-out; the mean over tasks of each figure.

    error, p90_error: median and ninth decile of |predicted / true - 1|. regret: cost of the pick
    over that of the best, less 1, of shortlists of 20 machines. coverage_80, width_80: share of
    the truth inside the 80 % interval, and the ratio of its ends; None for a method without one.
    """

    kind: str
    left_out: str
    method: str
    error: float
    p90_error: float
    spearman: float | None
    regret: float | None
    coverage_80: float | None
    width_80: float | None
    tasks: int
    predictions: int


class CalibrationCurve(_Frozen):
    """observed: the share of the truth inside the interval of each nominal level."""

    kind: str
    left_out: str
    nominal: tuple[float, ...]
    observed: tuple[float, ...]
    predictions: int


class ReplayPoint(_Frozen):
    """regret: of the machine chosen after that many measurements. low, high: deciles 1 and 9."""

    measurements: int
    regret: float
    low: float
    high: float


class ReplayCurve(_Frozen):
    policy: str
    points: tuple[ReplayPoint, ...]
    replays: int


class Validation(_Frozen):
    """made_on, command: when and how; so that anyone may do it again."""

    made_on: dt.date
    command: str


class Scorecard(_Frozen):
    validated: Validation | None = None
    scores: tuple[MethodScore, ...] = ()
    calibration: tuple[CalibrationCurve, ...] = ()
    replayed: Validation | None = None
    replay: tuple[ReplayCurve, ...] = ()

    @classmethod
    def bundled(cls) -> Scorecard:
        return cls.read(files("recommender.performance") / "artefacts" / ARTEFACT)

    @classmethod
    def read(cls, file: Traversable) -> Scorecard:
        """Raises RecommenderError where it cannot be."""
        try:
            return cls.model_validate_json(file.read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise RecommenderError(
                f"the scores of the predictions cannot be read from {file}: {error}",
                hint="make them again: recommender model validate --help",
            ) from error

    def write_into(self, file: Path) -> None:
        """What this one holds takes the place of the same in the file; the rest of it stays."""
        before = Scorecard.read(file) if file.exists() else Scorecard()
        held = {name: getattr(self, name) for name in self.model_fields_set}
        merged = before.model_copy(update=held)
        file.write_text(merged.model_dump_json(indent=1) + "\n", encoding="utf-8")
