"""The bench: every figure measured in turn, then the other tools on the same server."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from loadtests.generator_bench import goals, judging
from loadtests.generator_bench.comparison import PEER_RPS, Comparison
from loadtests.generator_bench.evidence import Run, gap_cv, true_latency_s
from loadtests.generator_bench.goals import Figure
from loadtests.generator_bench.peers import TOOLS, PeerRow, Tool
from loadtests.generator_bench.rig import flood, lose_a_worker, open_run
from loadtests.generator_bench.stand import GENERATOR, SERVER, put_back, put_first, standing
from loadtests.generator_bench.trials import (
    ENDPOINT,
    FLOODED,
    KILL_RPS,
    STALL_RPS,
    STALLED,
    Durations,
    queue,
)
from loadtests.monitor import wait_for_quiet
from loadtests.runner import Engine, Workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadtests.demo_server import DemoServer
    from loadtests.generator_bench.rig import Flood
    from loadtests.generator_bench.stand import Stand
    from loadtests.journal import Journal

__all__ = ["Bench", "run_bench"]

OURS = "this one"
SEED = 20261121
WAIT_FOR_QUIET_S = 3.0

Judge = Callable[[Run], tuple[Figure, ...]]


@dataclass(frozen=True, slots=True)
class Bench:
    """What was reached.

    stall_p95_s, stall_p99_s: what Poisson arrivals met at the server that stalls, by its log.
    arrangement: which cores, and with what priority.
    """

    figures: tuple[Figure, ...]
    peers: tuple[PeerRow, ...]
    stall_p95_s: float
    stall_p99_s: float
    arrangement: str

    @property
    def is_good(self) -> bool:
        return goals.all_reached(self.figures)

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {
            "figures": [
                asdict(figure) | {"is_reached": figure.is_reached} for figure in self.figures
            ],
            "is_good": self.is_good,
        }


def run_bench(
    journal: Journal,
    progress: Callable[[str, float | None], None],
    durations: Durations = Durations(),  # noqa: B008 - a value, never changed
    tools: tuple[Tool, ...] = TOOLS,
) -> Bench:
    """tools: to be measured beside, each where it is installed. Raises LoadTestError."""
    with journal.workspace() as folder:
        return _Course(folder, journal, durations, tools, progress).run()


class _Course:
    def __init__(
        self,
        folder: Path,
        journal: Journal,
        durations: Durations,
        tools: tuple[Tool, ...],
        progress: Callable[[str, float | None], None],
    ) -> None:
        self._folder, self._journal = folder, journal
        self._durations, self._tools, self._progress = durations, tools, progress
        self._left_s = durations.ours_s + sum(
            durations.peer_s(has_rate=tool.has_rate) for tool in tools if tool.is_there()
        )
        self._runs: list[Run] = []
        self._arrangement = ""

    def run(self) -> Bench:
        durations = self._durations
        with Engine(self._folder / "engine", self._journal) as engine:
            fixed, ladder = self._endpoint(engine)
            slow = self._one(engine, queue(200), 200, durations.queue_200_s, judging.queued)
            fast = self._one(
                engine, queue(PEER_RPS), PEER_RPS, durations.queue_1000_s, judging.queued
            )
            stall = self._one(engine, STALLED, STALL_RPS, durations.stall_s, judging.stalled)
            flooded = self._flood(engine)
        figures = (
            *judging.sustained(ladder),
            *(figure for run in ladder for figure in judging.late(run)),
            *judging.gaps(self._runs),
            *judging.added(fixed),
            *judging.added(next(run for run in ladder if run.rate_rps == PEER_RPS)),
            *judging.queued(slow),
            *judging.queued(fast),
            *judging.stalled(stall),
            *self._loss(),
            *judging.memory(flooded),
        )
        p95_s, p99_s = np.quantile(true_latency_s(stall.truth), judging.TAIL)
        peers = (_own_row(flooded, fast, stall), *self._peers())
        return Bench(figures, peers, float(p95_s), float(p99_s), self._arrangement)

    def _endpoint(self, engine: Engine) -> tuple[Run, list[Run]]:
        """At 200/s, and at the rates of the ladder."""
        durations = self._durations
        with self._standing(ENDPOINT) as stand:
            fixed = self._taken(engine, stand, 200, durations.endpoint_s, judging.added)
            ladder = [
                self._taken(engine, stand, rate, durations.ladder_s, judging.on_the_ladder)
                for rate in goals.LADDER_RPS
            ]
        return fixed, ladder

    def _one(
        self, engine: Engine, server: DemoServer, rate_rps: int, duration_s: float, judge: Judge
    ) -> Run:
        with self._standing(server) as stand:
            return self._taken(engine, stand, rate_rps, duration_s, judge)

    def _flood(self, engine: Engine) -> Flood:
        self._say("as fast as it goes", self._durations.flood_s)
        put_back(GENERATOR)
        with standing(FLOODED, self._journal) as stand:
            return flood(engine, stand, self._durations.flood_s)

    def _loss(self) -> tuple[Figure, ...]:
        self._say("a worker is killed", self._durations.kill_s)
        half_s = self._durations.kill_s / 2
        with (
            standing(FLOODED, self._journal) as stand,
            Engine(self._folder / "two", self._journal, Workers(local=2)) as engine,
        ):
            loss = lose_a_worker(engine, stand, KILL_RPS, self._durations.kill_s, half_s)
        return judging.after_a_loss(loss)

    def _peers(self) -> tuple[PeerRow, ...]:
        comparison = Comparison(self._folder, self._journal, self._durations, self._say)
        return tuple(comparison.row(tool) for tool in self._tools)

    @contextmanager
    def _standing(self, server: DemoServer) -> Iterator[Stand]:
        with standing(server, self._journal) as stand:
            is_first = put_first(SERVER, GENERATOR)
            self._arrangement = (
                f"generator on core {stand.generator_core}, server on core {stand.server_core}, "
                + ("real-time priority (SCHED_FIFO)" if is_first else "ordinary priority")
            )
            yield stand

    def _taken(
        self, engine: Engine, stand: Stand, rate_rps: int, duration_s: float, judge: Judge
    ) -> Run:
        """Taken again, once, where it missed something and was disturbed."""
        self._say(f"{rate_rps} req/s on {stand.demo.settings.service}", duration_s)
        seed = SEED + len(self._runs)
        run = open_run(engine, stand, rate_rps, duration_s, seed)
        missed = _missed(judge(run))
        if missed and (run.is_invalid or run.disturbance is not None):
            wait_for_quiet(stand.cores, WAIT_FOR_QUIET_S)
            again = open_run(engine, stand, rate_rps, duration_s, seed)
            run = again if _missed(judge(again)) < missed else run
        self._runs.append(run)
        return run

    def _say(self, doing: str, takes_s: float) -> None:
        self._progress(doing, self._left_s)
        self._left_s = max(self._left_s - takes_s, 0.0)


def _missed(figures: tuple[Figure, ...]) -> int:
    return sum(not figure.is_reached for figure in figures)


def _own_row(flooded: Flood, steady: Run, stall: Run) -> PeerRow:
    p95_s, p99_s = np.quantile(stall.samples.latency_s, judging.TAIL, method="higher").tolist()
    p95, p99 = (steady.error_ratio(each) for each in judging.TAIL)
    return PeerRow(
        tool=OURS,
        closed_rps=flooded.rate_rps,
        arrivals_cv=gap_cv(steady.truth["arrival_s"]),
        p95_error_ratio=_finite(p95),
        p99_error_ratio=_finite(p99),
        stall_p95_s=_finite(p95_s),
        stall_p99_s=_finite(p99_s),
    )


def _finite(value: float) -> float | None:
    """None where failures reach into a quantile."""
    return value if math.isfinite(value) else None
