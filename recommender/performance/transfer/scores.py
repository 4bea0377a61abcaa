"""How good predictions are: of throughput itself, of order, of cost, and of their intervals.

The definitions are those of the ground truth's own scorer, so that its figures and ours can be
laid side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from recommender.performance.transfer.intervals import BANDS, size_band

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["METRICS", "Targets", "score", "score_tasks", "targets_of"]

METRICS = ("error", "p90_error", "bias", "spearman", "regret", "coverage_80", "width_80")
_SHORTLISTS, _SHORTLISTED, _SHORTLIST_SEED = 400, 20, 7
_FEWEST_SHORTLISTED, _FEWEST_RANKED, _FEWEST_IN_BAND = 40, 3, 5
_SAME = 1e-6


@dataclass(frozen=True)
class Targets:
    """The truth about one task: each array one value per machine, NaN where no price is known."""

    rate: Floats
    vcpus: Floats
    usd_per_hour: Floats


def targets_of(task: pd.Series, truth: pd.DataFrame) -> pd.DataFrame:
    """The scored rows of the task's workload and vendor, less its references."""
    rows = truth[truth.workload.eq(task.workload)]
    if "scored" in rows:
        rows = rows[rows.scored.eq(1)]
    if task.vendor != "any":
        rows = rows[rows.vendor.eq(task.vendor)]
    return rows[~rows.instance.isin(str(task.refs).split(";"))]


def score_tasks(
    predictions: pd.DataFrame, tasks: pd.DataFrame, truth: pd.DataFrame
) -> pd.DataFrame:
    """One row per predicted task: its kind, design, workload and METRICS."""
    rows = []
    by_task = dict(list(predictions.groupby("task_id")))
    for _, task in tasks.iterrows():
        if task.task_id not in by_task:
            continue
        said = by_task[task.task_id]
        true = targets_of(task, truth)
        both = true.merge(said, on=["vendor", "instance"], how="inner")
        targets = Targets(
            *(both[name].to_numpy(dtype=np.float64) for name in ("value", "vcpus", "price"))
        )
        found = score(targets, *(both[c].to_numpy(dtype=np.float64) for c in ("pred", "lo", "hi")))
        about = {name: task[name] for name in ("task_id", "kind", "design", "workload")}
        rows.append({**about, "targets": len(both), **found})
    return pd.DataFrame(rows)


def score(targets: Targets, predicted: Floats, low: Floats, high: Floats) -> dict[str, float]:
    """`low` and `high` may be NaN: then nothing is said about intervals."""
    error = np.abs(predicted / targets.rate - 1)
    found = {
        "error": float(np.median(error)),
        "p90_error": float(np.quantile(error, 0.9)),
        "bias": float(np.median(np.log(predicted / targets.rate))),
        "spearman": _rank_correlation(predicted, targets.rate),
        "regret": _shortlist_regret(targets, predicted),
        "coverage_80": float("nan"),
        "width_80": float("nan"),
    }
    inside = (targets.rate >= low) & (targets.rate <= high)
    if np.isfinite(low).any():
        found["coverage_80"] = float(inside[np.isfinite(low)].mean())
        found["width_80"] = float(np.nanmedian(high / low))
    band = size_band(targets.vcpus)
    for number, name in enumerate(BANDS):
        own = band == number
        known = own.sum() >= _FEWEST_IN_BAND
        found[f"error {name}"] = float(np.median(error[own])) if known else float("nan")
        is_held = known and np.isfinite(low).any()
        found[f"coverage {name}"] = float(inside[own].mean()) if is_held else float("nan")
    return found


def _rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's; 0 where one side says nothing, NaN where there are too few."""
    if len(a) < _FEWEST_RANKED:
        return float("nan")
    ranks_a, ranks_b = rankdata(a), rankdata(b)
    if np.ptp(ranks_a) == 0 or np.ptp(ranks_b) == 0:
        return 0.0
    return float(np.corrcoef(ranks_a, ranks_b)[0, 1])


def _shortlist_regret(targets: Targets, predicted: Floats) -> float:
    """What trusting the pick of a shortlist costs more than its best, on average.

    Throughput per dollar within a thousandth counts as equal, and the smaller machine is taken.
    """
    priced = np.isfinite(targets.usd_per_hour)
    if priced.sum() < _FEWEST_SHORTLISTED:
        return float("nan")
    price, vcpus = targets.usd_per_hour[priced], targets.vcpus[priced]
    true = targets.rate[priced] / price
    said = np.round(np.log(predicted[priced] / price), 3) - _SAME * vcpus
    rng = np.random.default_rng(_SHORTLIST_SEED)
    lists = np.array(
        [rng.choice(len(true), _SHORTLISTED, replace=False) for _ in range(_SHORTLISTS)]
    )
    picked = lists[np.arange(_SHORTLISTS), said[lists].argmax(axis=1)]
    return float(np.mean(true[lists].max(axis=1) / true[picked] - 1))
