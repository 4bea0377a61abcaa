"""`recommender model validate`: our own leave-outs, as tables, a scorecard and calibration."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.errors import OutOfRange
from recommender.performance.ground_truth import read_table
from recommender.performance.scorecard import Scorecard
from recommender.performance.transfer.baselines import read_benchmarked
from recommender.performance.transfer.catalogue import read_catalogue
from recommender.performance.transfer.fitting import at_home
from recommender.performance.transfer.forecasts import questions_of
from recommender.performance.transfer.leave_out import World, leave_out
from recommender.performance.transfer.rates import KINDS, read_rates
from recommender.performance.transfer.report import (
    calibration_curves,
    calibration_document,
    markdown,
    method_scores,
    scored,
)
from recommender.performance.validation_beside import validate_beside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from recommender.performance.scorecard import Validation
    from recommender.performance.transfer.forecasts import Forecasts, Said
    from recommender.performance.validation_beside import Beside

__all__ = ["Validated", "validate"]

_NEEDED = ("vendor", "instance", "workload", "value", "vcpus", "price")


@dataclass(frozen=True)
class Validated:
    """`table`: one row per task, method and what was left out."""

    table: pd.DataFrame
    forecasts: Forecasts
    beside: Beside
    made: Validation

    def report(self) -> str:
        made = f"Made on {self.made.made_on} by `{self.made.command}`."
        ours = f"# Validation of the transfer model\n\n{made}\n\n{markdown(self.table)}"
        return ours + self.beside.markdown()

    def calibration(self) -> str:
        return json.dumps(calibration_document(self.forecasts), indent=1) + "\n"

    def scorecard(self) -> Scorecard:
        return Scorecard(
            validated=self.made,
            scores=(*method_scores(self.table), *self.beside.scores),
            calibration=calibration_curves(self.forecasts),
        )


def validate(
    data_dir: Path,
    tasks: pd.DataFrame,
    left_out: Sequence[str],
    made: Validation,
    said: Said,
    *,
    with_baselines: bool,
) -> Validated:
    """Of the vendor that most tasks are about, and beside it of GPUs and serving."""
    beside = validate_beside(data_dir, tasks, said)
    tasks = tasks[tasks.kind.isin(KINDS)]
    if tasks.empty:
        raise OutOfRange(
            "none of the tasks is about what this model predicts",
            hint=f"kinds it predicts: {', '.join(KINDS)}",
        )
    truth = read_table(data_dir / "truth.csv.gz", _NEEDED)
    catalogue = read_catalogue(data_dir)
    home = str(tasks.vendor.mode().iloc[0])
    rates, machines = at_home(read_rates(data_dir, catalogue, tasks), catalogue, home)
    benchmarked = read_benchmarked(data_dir, machines) if with_baselines else None
    questions = questions_of(tasks[tasks.vendor.eq(home)], rates)
    forecasts, found = leave_out(World(rates, machines, questions, benchmarked, said), left_out)
    return Validated(scored(found, tasks, truth), forecasts, beside, made)
