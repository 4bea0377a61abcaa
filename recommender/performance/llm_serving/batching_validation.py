"""How far the laws of batching are from what vLLM servers measured.

Each server's run of one user and its saturated run are the input; the steady runs between, at
other rates, are the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recommender.errors import NotMeasured, OutOfRange
from recommender.performance.ground_truth import read_table
from recommender.performance.llm_serving.continuous_batching import (
    ContinuousBatching,
    TokenTimes,
)
from recommender.performance.llm_serving.residence import Estimate, Residence

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

__all__ = ["BatchingRow", "validate_batching"]

_SERVER = ["vendor", "instance", "model", "workload", "mode", "tensor_parallel"]
_FIGURES = ["e2el_mean", "ttft_mean", "tpot_mean", "request_throughput"]
_NEEDED = (*_SERVER, *_FIGURES, "strategy", "valid", "output_tokens")
_MS_PER_S = 1e3
_LEAST_BATCH = 2.0
BANDS = ((0.0, 0.6), (0.6, 0.8), (0.8, 1.0))


@dataclass(frozen=True, slots=True)
class BatchingRow:
    """`error`: median |predicted / true - 1|. `runs`: tried; `refused` of them were refused.

    `coverage_80`: of the 80 % intervals, None where the law gives none.
    """

    predicted: str
    method: str
    runs: int
    refused: int
    error: float
    error_p90: float
    coverage_80: float | None


@dataclass(frozen=True, slots=True)
class _Server:
    residence: Residence
    tokens: ContinuousBatching
    saturated_rps: float


@dataclass(frozen=True, slots=True)
class _Run:
    server: _Server
    rate_rps: float
    in_flight: float
    latency_s: float
    ttft_s: float
    tpot_s: float

    @property
    def utilization(self) -> float:
        return self.rate_rps / self.server.saturated_rps


def validate_batching(
    data_dir: Path, bands: Sequence[tuple[float, float]] = BANDS
) -> list[BatchingRow]:
    """Reads vllm.csv.gz of the folder. `bands`: of the rate, as shares of the saturated one."""
    runs = list(_runs(read_table(data_dir / "vllm.csv.gz", _NEEDED)))
    rows = [
        _row("latency", "line in concurrency", runs, _latency_true, _by_concurrency),
        _row("TPOT", "line in concurrency", runs, lambda run: run.tpot_s, _tpot),
        _row("TTFT", "prompt + half a step", runs, lambda run: run.ttft_s, _ttft),
    ]
    for low, high in bands:
        band = [run for run in runs if low <= run.utilization < high]
        named = f"latency at {low:.0%} to {high:.0%} of capacity"
        rows.append(_row(named, "line, rate evenly spaced", band, _latency_true, _by_even_rate))
        rows.append(_row(named, "line, Poisson rate", band, _latency_true, _by_poisson_rate))
        rows.append(_row(named, "M/M/1-PS", band, _latency_true, _processor_sharing))
    return rows


def _latency_true(run: _Run) -> float:
    return run.latency_s


def _by_concurrency(run: _Run) -> Estimate:
    return run.server.residence.latency(run.in_flight)


def _tpot(run: _Run) -> float:
    return run.server.tokens.tpot_s(run.in_flight)


def _ttft(run: _Run) -> float:
    return run.server.tokens.ttft_s(run.in_flight)


def _by_even_rate(run: _Run) -> Estimate:
    return run.server.residence.latency_at(run.rate_rps, "even")


def _by_poisson_rate(run: _Run) -> Estimate:
    return run.server.residence.latency_at(run.rate_rps)


def _processor_sharing(run: _Run) -> float:
    return run.server.residence.alone_s / (1 - run.utilization)


def _runs(table: pd.DataFrame) -> Iterator[_Run]:
    table = table[table.valid.eq(1) & table.request_throughput.gt(0)]
    ends = {
        strategy: table[table.strategy.eq(strategy)].drop_duplicates(_SERVER).set_index(_SERVER)
        for strategy in ("synchronous", "throughput")
    }
    between = table[table.strategy.eq("constant")].set_index(_SERVER)
    figures = [*_FIGURES, "output_tokens"]
    together = between[figures].join(ends["synchronous"][_FIGURES].add_suffix("_1"), how="inner")
    together = together.join(ends["throughput"][_FIGURES].add_suffix("_s"), how="inner")
    for row in together.to_dict("records"):
        server = _server(row)
        rate_rps = float(row["request_throughput"])
        if server is None or rate_rps >= server.saturated_rps:
            continue
        latency_s = row["e2el_mean"] / _MS_PER_S
        yield _Run(
            server=server,
            rate_rps=rate_rps,
            in_flight=rate_rps * latency_s,
            latency_s=latency_s,
            ttft_s=row["ttft_mean"] / _MS_PER_S,
            tpot_s=row["tpot_mean"] / _MS_PER_S,
        )


def _server(row: Mapping[Hashable, Any]) -> _Server | None:
    """None where the saturated run has no batch to speak of."""
    largest = row["request_throughput_s"] * row["e2el_mean_s"] / _MS_PER_S
    if largest <= _LEAST_BATCH:
        return None
    alone = TokenTimes(1.0, row["ttft_mean_1"] / _MS_PER_S, row["tpot_mean_1"] / _MS_PER_S)
    loaded = TokenTimes(largest, row["ttft_mean_s"] / _MS_PER_S, row["tpot_mean_s"] / _MS_PER_S)
    alone_s, loaded_s = (row[f"e2el_mean_{end}"] / _MS_PER_S for end in ("1", "s"))
    return _Server(
        Residence.through(alone_s, largest, loaded_s),
        ContinuousBatching.measured(alone, loaded, row["output_tokens"]),
        row["request_throughput_s"],
    )


def _row(
    predicted: str,
    method: str,
    runs: list[_Run],
    truth: Callable[[_Run], float],
    law: Callable[[_Run], Estimate | float],
) -> BatchingRow:
    errors, held, refused = [], [], 0
    for run in runs:
        try:
            answer = law(run)
        except OutOfRange:
            refused += 1
            continue
        true = truth(run)
        if isinstance(answer, Estimate):
            held.append(answer.low <= true <= (np.inf if answer.high is None else answer.high))
            answer = answer.median
        errors.append(abs(answer / true - 1))
    if not errors:
        raise NotMeasured(
            f"no run of the folder shows {predicted}",
            hint="vllm.csv.gz needs synchronous, throughput and constant runs of one server",
        )
    return BatchingRow(
        predicted=predicted,
        method=method,
        runs=len(runs),
        refused=refused,
        error=float(np.median(errors)),
        error_p90=float(np.quantile(errors, 0.9)),
        coverage_80=float(np.mean(held)) if held else None,
    )
