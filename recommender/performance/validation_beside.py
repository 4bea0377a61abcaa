"""What `recommender model validate` scores beside the transfer model: GPUs, and vLLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.performance.accelerators.validation import validate_gpus
from recommender.performance.llm_serving.batching_validation import validate_batching
from recommender.performance.llm_serving.serving_validation import validate_serving
from recommender.performance.scorecard import MethodScore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pandas as pd

    from recommender.performance.accelerators.roofline import GpuHoldout
    from recommender.performance.llm_serving.batching_validation import BatchingRow
    from recommender.performance.transfer.forecasts import Said

__all__ = ["Beside", "validate_beside"]

_HEADS = ("kind", "left out", "method")
_FIGURES = ("median error", "P90", "Spearman", "in 80 %", "hi/lo", "predictions")
_BATCHING = ("predicted", "method", "median error", "P90", "in 80 %", "runs", "refused")


@dataclass(frozen=True)
class Beside:
    scores: tuple[MethodScore, ...]
    batching: tuple[BatchingRow, ...]

    def markdown(self) -> str:
        """Nothing where nothing of it was asked about."""
        parts = []
        if self.scores:
            parts += ["## GPUs, and vLLM on CPUs", self._scores()]
        if self.batching:
            parts.append("## Latency of vLLM against load, from one user and one saturated run")
            parts.append(self._latencies())
        return "".join(f"\n{part}\n" for part in parts)

    def _scores(self) -> str:
        return _table(
            _HEADS,
            _FIGURES,
            (
                (
                    *(each.kind, each.left_out, each.method),
                    *map(_number, (each.error, each.p90_error, each.spearman)),
                    *map(_number, (each.coverage_80, each.width_80)),
                    f"{each.predictions:,}",
                )
                for each in self.scores
            ),
        )

    def _latencies(self) -> str:
        return _table(
            _BATCHING[:2],
            _BATCHING[2:],
            (
                (
                    *(row.predicted, row.method),
                    *map(_number, (row.error, row.error_p90, row.coverage_80)),
                    *(f"{row.runs:,}", f"{row.refused:,}"),
                )
                for row in self.batching
            ),
        )


def validate_beside(data_dir: Path, tasks: pd.DataFrame, said: Said) -> Beside:
    """Of what the tasks ask about."""
    scores: list[MethodScore] = []
    batching: list[BatchingRow] = []
    if tasks.kind.str.startswith("gpullm").any():
        said("GPUs, each left out", None)
        scores += map(_of_gpu, validate_gpus(data_dir))
    if tasks.kind.str.startswith("vllm").any():
        said("vLLM, each model left out", None)
        scores += validate_serving(data_dir, tasks)
        batching = validate_batching(data_dir)
    return Beside(tuple(scores), tuple(batching))


def _of_gpu(found: GpuHoldout) -> MethodScore:
    """Its figures are over all rows together, of so many GPUs."""
    return MethodScore(
        kind=f"GPU {found.kind}",
        left_out=found.left_out,
        method=found.method,
        error=_rounded(found.error),
        p90_error=_rounded(found.p90),
        spearman=None,
        regret=None,
        coverage_80=None if found.coverage_80 is None else _rounded(found.coverage_80),
        width_80=None if found.width_80 is None else _rounded(found.width_80),
        tasks=found.gpus,
        predictions=found.n,
    )


def _rounded(value: float) -> float:
    return round(float(value), 3)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _table(names: Sequence[str], figures: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = f"| {' | '.join((*names, *figures))} |"
    rule = "|" + "---|" * len(names) + "--:|" * len(figures)
    return "\n".join([head, rule, *(f"| {' | '.join(row)} |" for row in rows)])
