"""The validation as tables: every method beside ours, by kind and by what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr

from recommender.performance.scorecard import OUR_METHOD, CalibrationCurve, MethodScore
from recommender.performance.transfer.intervals import BANDS, DISTANCES, Calibration
from recommender.performance.transfer.scores import score_tasks

if TYPE_CHECKING:
    from recommender.performance.transfer.forecasts import Forecasts

__all__ = ["calibration_curves", "calibration_document", "markdown", "method_scores", "scored"]

NOMINAL = tuple(round(level / 20, 2) for level in range(1, 20))
_LEFT_OUT: dict[object, str] = dict(enumerate(("workload", *DISTANCES[1:])))
_SIZES: dict[object, str] = dict(enumerate(BANDS))
_HEADS = {
    "error": "median error",
    "p90_error": "P90",
    "spearman": "Spearman",
    "regret": "cost regret",
    "coverage_80": "in 80 %",
    "width_80": "hi/lo",
    **{f"error {band}": f"error {band}" for band in BANDS},
}
_HELD = {f"coverage {band}": f"in 80 %, {band}" for band in BANDS}


def scored(
    found: dict[tuple[str, str], pd.DataFrame], tasks: pd.DataFrame, truth: pd.DataFrame
) -> pd.DataFrame:
    """One row per task, method and what was left out."""
    return pd.concat(
        [
            score_tasks(table, tasks, truth).assign(left_out=left_out, method=method)
            for (left_out, method), table in found.items()
        ],
        ignore_index=True,
    )


def method_scores(table: pd.DataFrame) -> tuple[MethodScore, ...]:
    return tuple(
        MethodScore(
            kind=str(kind),
            left_out=str(left_out),
            method=str(method),
            error=_rounded(rows.error.mean()) or 0.0,
            p90_error=_rounded(rows.p90_error.mean()) or 0.0,
            spearman=_rounded(rows.spearman.mean()),
            regret=_rounded(rows.regret.mean()),
            coverage_80=_rounded(rows.coverage_80.mean()),
            width_80=_rounded(rows.width_80.mean()),
            tasks=len(rows),
            predictions=int(rows.targets.sum()),
        )
        for (left_out, kind, method), rows in table.groupby(
            ["left_out", "kind", "method"], sort=False
        )
    )


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 3)


def markdown(table: pd.DataFrame) -> str:
    """Every method by kind and leave-out, then ours by size and by design."""
    parts = []
    for left_out, rows in table.groupby("left_out", sort=False):
        whole = rows.groupby(["kind", "method"], sort=False)[[*_HEADS]].mean()
        order = whole.sort_values(["kind", "error"]).reset_index()
        parts.append(f"## Left out: {left_out}\n\n{_table(order, ['kind', 'method'])}")
    ours = table[table.method.eq(OUR_METHOD)]
    by_size = ours.groupby(["left_out", "kind"], sort=False)[[*_HELD]].mean()
    parts.append(
        "## Our intervals, by vCPUs\n\n"
        + _table(by_size.reset_index(), ["left_out", "kind"], _HELD)
    )
    by_design = ours.groupby(["left_out", "kind", "design"], sort=False)[[*_HEADS]].mean()
    parts.append(
        "## Ours, by what was measured\n\n"
        + _table(by_design.reset_index(), ["left_out", "kind", "design"])
    )
    return "\n\n".join(parts) + "\n"


def _table(rows: pd.DataFrame, names: list[str], figures: dict[str, str] = _HEADS) -> str:
    """figures: columns of numbers, each with its heading."""
    heads = [name.replace("_", " ") for name in names] + list(figures.values())
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(names) + "--:|" * len(figures)]
    for _, row in rows.iterrows():
        cells = [str(row[name]) for name in names]
        cells += ["-" if np.isnan(row[name]) else f"{row[name]:.2f}" for name in figures]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _probabilities(forecasts: Forecasts) -> pd.DataFrame:
    """Where the truth fell in its predictive distribution, 0 to 1, after stretching."""
    calibration = Calibration(forecasts.errors)
    parts = []
    for (design, kind, fold), rows in forecasts.errors.groupby(["design", "kind", "fold"]):
        stretch = calibration.stretch(str(design), str(kind), str(fold))
        scale = rows.sd * stretch[rows.band, rows.distance]
        parts.append(rows.assign(probability=ndtr(rows.error / scale)))
    return pd.concat(parts, ignore_index=True)


def calibration_curves(forecasts: Forecasts) -> tuple[CalibrationCurve, ...]:
    found = _probabilities(forecasts)
    curves = []
    for (kind, distance), rows in found.groupby(["kind", "distance"]):
        curves.append(
            CalibrationCurve(
                kind=str(kind),
                left_out=_LEFT_OUT[distance],
                nominal=NOMINAL,
                observed=tuple(_covered(rows, level) for level in NOMINAL),
                predictions=len(rows),
            )
        )
    return tuple(curves)


def _covered(rows: pd.DataFrame, level: float) -> float:
    inside = (rows.probability - 0.5).abs() <= level / 2
    return round(float(inside.mean()), 4)


def calibration_document(forecasts: Forecasts) -> list[dict[str, object]]:
    """Nominal against observed coverage, and deciles of where the truth fell, by size band."""
    found = _probabilities(forecasts)
    return [
        {
            "kind": str(kind),
            "left_out": _LEFT_OUT[distance],
            "size": _SIZES[band],
            "nominal": NOMINAL,
            "observed": [_covered(rows, level) for level in NOMINAL],
            "deciles": (np.histogram(rows.probability, 10, (0, 1))[0] / len(rows))
            .round(4)
            .tolist(),
            "predictions": len(rows),
        }
        for (kind, distance, band), rows in found.groupby(["kind", "distance", "band"])
    ]
