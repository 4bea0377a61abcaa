"""Leave a fold out, fit to the rest, and say what it would have predicted.

One pass over the folds gives both the predictions of the tasks and, from other folds, the errors
that their intervals are calibrated with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.errors import OutOfRange
from recommender.performance.transfer.fitting import fit_transfer
from recommender.performance.transfer.intervals import REACH_80, Calibration, size_band
from recommender.performance.transfer.rates import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from recommender.performance.joint import LogNormalJoint
    from recommender.performance.transfer.catalogue import Catalogue
    from recommender.performance.transfer.fitting import TransferFit
    from recommender.performance.transfer.rates import Rates, Workload
    from recommender.performance.transfer.variance import Components

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]
    Said = Callable[[str, float | None], None]

__all__ = [
    "Forecasts",
    "Question",
    "answer",
    "distances",
    "forecast_folds",
    "joints_of_fold",
    "questions_of",
]

_MEASURING_SD = 1e-3
_SEED = 3
_SILICON_ASIDE, _FAMILIES_ASIDE = 0.15, 0.3


@dataclass(frozen=True, slots=True)
class Question:
    """One task: a workload measured on `references`, asked about for every other machine."""

    task_id: str
    workload: Workload
    references: tuple[str, ...]
    log_rates: tuple[float, ...]

    @property
    def design(self) -> str:
        return ";".join(self.references)


@dataclass(frozen=True)
class Forecasts:
    """What leaving out each fold gave.

    `answers`: task_id, fold, kind, design, machine, mean, sd (logs), band, distance.
    `errors`: design, kind, fold, silicon, band, distance, score, and more.
    `components`: the variances fitted without each fold.
    """

    catalogue: Catalogue
    answers: pd.DataFrame
    errors: pd.DataFrame
    components: dict[str, Components]

    def with_intervals(self) -> pd.DataFrame:
        """task_id, vendor, instance, pred, lo, hi."""
        calibration = Calibration(self.errors)
        parts = []
        for (_, design, kind, fold), rows in self.answers.groupby(
            ["task_id", "design", "kind", "fold"], sort=False
        ):
            stretch = calibration.stretch(str(design), str(kind), str(fold))
            reach = REACH_80 * rows.sd * stretch[rows.band, rows.distance]
            parts.append(
                rows.assign(lo=np.exp(rows["mean"] - reach), hi=np.exp(rows["mean"] + reach))
            )
        found = pd.concat(parts, ignore_index=True)
        facts = self.catalogue.facts.iloc[found.machine].reset_index(drop=True)
        return pd.DataFrame(
            {
                "task_id": found.task_id,
                "vendor": facts.vendor,
                "instance": facts.instance,
                "pred": np.exp(found["mean"]),
                "lo": found.lo,
                "hi": found.hi,
            }
        )


def questions_of(tasks: pd.DataFrame, rates: Rates) -> list[Question]:
    return [
        Question(
            str(task.task_id),
            rates.workloads[str(task.workload)],
            tuple(str(task.refs).split(";")),
            tuple(float(np.log(float(value))) for value in str(task.ref_values).split(";")),
        )
        for task in tasks.itertuples()
        if task.kind in KINDS
    ]


def forecast_folds(
    rates: Rates, catalogue: Catalogue, questions: Sequence[Question], said: Said
) -> Forecasts:
    """Two fits for every fold: without it, and without a share of the machines as well.

    The second is asked about the machines it was not shown, for the intervals of others like them.
    """
    folds = sorted({*rates.folds, *(question.workload.fold for question in questions)})
    designs = sorted({question.references for question in questions})
    answers: list[pd.DataFrame] = []
    errors: list[pd.DataFrame] = []
    components = {}
    for number, fold in enumerate(folds):
        said(f"fitting without {fold} ({number + 1} of {len(folds)})", None)
        kept = rates.without([fold])
        fit = fit_transfer(kept, catalogue)
        components[fold] = fit.components
        far = distances(kept, catalogue)
        asked = [question for question in questions if question.workload.fold == fold]
        for joints in joints_of_fold(fit, rates, fold):
            answers += [
                answer(joints[q.workload.name], q, catalogue, far)
                for q in asked
                if q.workload.name in joints
            ]
            errors += _errors(joints, rates, catalogue, designs, far)
        aside = _put_aside(kept, catalogue, designs)
        less = rates.without([fold], aside)
        far = np.where(np.isin(np.arange(len(catalogue)), aside), distances(less, catalogue), -1)
        for joints in joints_of_fold(fit_transfer(less, catalogue, fit.components), rates, fold):
            errors += _errors(joints, rates, catalogue, designs, far)
    found = pd.concat(errors, ignore_index=True)
    return Forecasts(catalogue, pd.concat(answers, ignore_index=True), found, components)


def distances(rates: Rates, catalogue: Catalogue) -> Indices:
    """Of every machine, as DISTANCES counts them, from those that `rates` shows."""
    shown = np.zeros(len(catalogue), dtype=bool)
    shown[rates.table.machine.unique()] = True
    silicon = catalogue.facts.silicon
    known = silicon.isin(silicon[shown].unique()).to_numpy()
    return np.where(shown, 0, np.where(known, 1, 2))


def joints_of_fold(
    fit: TransferFit, rates: Rates, fold: str
) -> Iterator[dict[str, LogNormalJoint]]:
    for kind in fit.laws:
        own = tuple(w for w in rates.workloads.values() if w.fold == fold and w.kind == kind)
        if own:
            yield fit.joints(own)


def answer(
    joint: LogNormalJoint, question: Question, catalogue: Catalogue, far: Indices
) -> pd.DataFrame:
    positions = catalogue.positions().droplevel("vendor")
    missing = [name for name in question.references if name not in positions]
    if missing:
        raise OutOfRange(
            f"task {question.task_id}: {', '.join(missing)} is no machine of the catalogue"
        )
    seen = positions.loc[list(question.references)].to_numpy(dtype=np.intp)
    told = joint.given(seen, np.array(question.log_rates), _MEASURING_SD)
    return pd.DataFrame(
        {
            "task_id": question.task_id,
            "fold": question.workload.fold,
            "kind": question.workload.kind,
            "design": question.design,
            "machine": np.arange(len(catalogue)),
            "mean": told.mean,
            "sd": told.sd,
            "band": size_band(catalogue.numbers("vcpus")),
            "distance": far,
        }
    )


def _errors(
    joints: dict[str, LogNormalJoint],
    rates: Rates,
    catalogue: Catalogue,
    designs: Sequence[tuple[str, ...]],
    far: Indices,
) -> Iterator[pd.DataFrame]:
    """How each workload of a fold comes out from each set of references that it was measured on.

    Machines whose `far` is negative are not asked about.
    """
    positions = catalogue.positions().droplevel("vendor")
    band = size_band(catalogue.numbers("vcpus"))
    cells = catalogue.facts[["silicon"]].assign(band=band, distance=far)
    for name, joint in joints.items():
        rows = rates.table[rates.table.workload.eq(name)]
        truth = pd.Series(rows.log_rate.to_numpy(), index=rows.machine)
        for design in designs:
            known = positions.reindex(list(design))
            if not known.isin(truth.index).all():
                continue
            seen = known.to_numpy(dtype=np.intp)
            told = joint.given(seen, truth.reindex(seen).to_numpy(), _MEASURING_SD)
            at = truth.index.difference(pd.Index(seen)).to_numpy(dtype=np.intp)
            at = at[far[at] >= 0]
            error = truth.reindex(at).to_numpy() - told.mean[at]
            yield cells.iloc[at].assign(
                design=";".join(design),
                kind=rows.kind.iloc[0],
                fold=rows.fold.iloc[0],
                workload=name,
                machine=at,
                error=error,
                sd=told.sd[at],
                score=np.abs(error) / told.sd[at],
            )


def _put_aside(
    rates: Rates, catalogue: Catalogue, designs: Sequence[tuple[str, ...]]
) -> NDArray[np.intp]:
    """Whole families, and whole silicon, but none of a reference machine."""
    facts = catalogue.facts
    references = facts.instance.isin({name for design in designs for name in design})
    rng = np.random.default_rng(_SEED)
    aside = np.zeros(len(catalogue), dtype=bool)
    for column, share in (("silicon", _SILICON_ASIDE), ("family", _FAMILIES_ASIDE)):
        names = np.setdiff1d(facts[column].unique(), facts[column][references].unique())
        chosen = rng.choice(names, size=round(share * len(names)), replace=False)
        aside |= facts[column].isin(chosen).to_numpy()
    measured = rates.table.machine.unique()
    return np.intersect1d(np.flatnonzero(aside), measured)
