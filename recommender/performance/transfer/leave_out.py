"""Validation by leaving out: workloads, and with them families or silicon of machines.

A machine left out is blanked as a hidden one would be: nothing measured on it is shown, its
benchmarks of itself included. The references of a task are never left out: the user measured
them. Our variance components are those fitted without the workload; all else is fitted anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.performance.scorecard import OUR_METHOD
from recommender.performance.transfer.baselines import baseline_shapes
from recommender.performance.transfer.fitting import fit_transfer
from recommender.performance.transfer.forecasts import (
    Forecasts,
    answer,
    distances,
    forecast_folds,
    joints_of_fold,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from recommender.performance.transfer.baselines import Benchmarked
    from recommender.performance.transfer.catalogue import Catalogue
    from recommender.performance.transfer.forecasts import Question, Said
    from recommender.performance.transfer.rates import Rates

    Indices = NDArray[np.intp]

__all__ = ["LEFT_OUT", "World", "leave_out"]

LEFT_OUT = ("workload", "family", "silicon")
_GROUPS = {"family": 4, "silicon": 5}
_SEED = 5


@dataclass(frozen=True)
class World:
    rates: Rates
    catalogue: Catalogue
    questions: Sequence[Question]
    benchmarked: Benchmarked | None
    said: Said

    @property
    def folds(self) -> list[str]:
        return sorted({question.workload.fold for question in self.questions})


def leave_out(
    world: World, left_out: Sequence[str]
) -> tuple[Forecasts, dict[tuple[str, str], pd.DataFrame]]:
    """Forecasts of every fold; and predictions by (what was left out, method)."""
    base = forecast_folds(world.rates, world.catalogue, world.questions, world.said)
    found: dict[tuple[str, str], pd.DataFrame] = {}
    for what in left_out:
        parts: dict[str, list[pd.DataFrame]] = {}
        for fold in world.folds:
            world.said(f"leaving out {what}, {fold}", None)
            for aside in _groups(world, what):
                for method, rows in _predicted(world, base, fold, aside):
                    parts.setdefault(method, []).append(rows)
        for method, tables in parts.items():
            forecasts = Forecasts(world.catalogue, pd.concat(tables), base.errors, base.components)
            table = forecasts.with_intervals()
            if method != OUR_METHOD:
                table[["lo", "hi"]] = np.nan
            found[what, method] = table
    return base, found


def _groups(world: World, what: str) -> list[Indices]:
    """Machines to be left out together; for workloads alone, none."""
    if what == "workload":
        return [np.array([], dtype=np.intp)]
    facts = world.catalogue.facts
    references = {name for question in world.questions for name in question.references}
    names = facts[what][~facts[what].isin(facts[what][facts.instance.isin(references)])].unique()
    shuffled = np.random.default_rng(_SEED).permutation(np.sort(names.astype(str)))
    groups = np.array_split(shuffled, _GROUPS[what])
    return [np.flatnonzero(facts[what].isin(group)) for group in groups if len(group)]


def _predicted(
    world: World, base: Forecasts, fold: str, aside: Indices
) -> Iterator[tuple[str, pd.DataFrame]]:
    """For the machines left out; for all where none was."""
    less = world.rates.without([fold], aside)
    asked = [question for question in world.questions if question.workload.fold == fold]
    about = aside if len(aside) else np.arange(len(world.catalogue))
    if len(aside):
        far = distances(less, world.catalogue)
        fit = fit_transfer(less, world.catalogue, base.components[fold])
        for joints in joints_of_fold(fit, world.rates, fold):
            for question in asked:
                if question.workload.name in joints:
                    joint = joints[question.workload.name]
                    rows = answer(joint, question, world.catalogue, far)
                    yield OUR_METHOD, rows[rows.machine.isin(about)]
    else:
        yield OUR_METHOD, base.answers[base.answers.fold.eq(fold)]
    if world.benchmarked is not None:
        whole = len(aside) == 0
        benchmarked = world.benchmarked if whole else world.benchmarked.without(aside)
        yield from _baselines(world.catalogue, (less, benchmarked), asked, about)


def _baselines(
    catalogue: Catalogue,
    shown: tuple[Rates, Benchmarked],
    asked: Sequence[Question],
    about: Indices,
) -> Iterator[tuple[str, pd.DataFrame]]:
    rates, benchmarked = shown
    positions = catalogue.positions().droplevel("vendor")
    for kind in sorted({question.workload.kind for question in asked}):
        shapes = baseline_shapes(rates.of(kind), catalogue, benchmarked)
        for question in asked:
            if question.workload.kind != kind:
                continue
            seen = positions.loc[list(question.references)].to_numpy(dtype=np.intp)
            for method, shape in shapes.items():
                level = float(np.mean(np.array(question.log_rates) - shape[seen]))
                yield method, _as_answer(question, about, shape[about] + level)


def _as_answer(question: Question, machine: Indices, mean: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "task_id": question.task_id,
            "fold": question.workload.fold,
            "kind": question.workload.kind,
            "design": question.design,
            "machine": machine,
            "mean": mean,
            "sd": 0.0,
            "band": 0,
            "distance": 0,
        }
    )
