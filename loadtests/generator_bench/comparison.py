"""Each tool on the same server as ours: as fast as it goes, at a rate, and through stalls."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from loadtests.demo_server.truth import forget_truth, read_truth
from loadtests.errors import LoadTestError
from loadtests.generator_bench.evidence import gap_cv, true_latency_s
from loadtests.generator_bench.peers import Load, PeerRow
from loadtests.generator_bench.stand import PRIORITY, SERVER, put_first, standing
from loadtests.generator_bench.trials import FLOOD_USERS, FLOODED, STALL_RPS, STALLED, queue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.demo_server import DemoServer
    from loadtests.generator_bench.peers import Claim, Tool
    from loadtests.generator_bench.stand import Stand
    from loadtests.generator_bench.trials import Durations
    from loadtests.journal import Journal

__all__ = ["PEER_RPS", "Comparison"]

PEER_RPS = 1000
USERS = {PEER_RPS: 100, STALL_RPS: 10}  # of stock Locust: each waits for its answer
OPEN_USERS = 400  # of a tool that keeps to its rate: as many as may be waiting


class Comparison:
    """progress: called with what is done next, and its seconds."""

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        durations: Durations,
        progress: Callable[[str, float], None],
    ) -> None:
        self._folder, self._journal = folder, journal
        self._durations, self._progress = durations, progress

    def row(self, tool: Tool) -> PeerRow:
        row = PeerRow(tool.name)
        if not tool.is_there():
            return replace(row, note=f"not installed: {tool.install}")
        try:
            row = self._flooding(tool, row)
            if not tool.has_rate:
                return replace(row, note="closed loop only: it cannot be asked for a rate")
            return self._stalling(tool, self._steady(tool, row))
        except LoadTestError as error:
            return replace(row, note=str(error))

    def _flooding(self, tool: Tool, row: PeerRow) -> PeerRow:
        claim, _ = self._take(tool, FLOODED, None, FLOOD_USERS, self._durations.peer_flood_s)
        return replace(row, closed_rps=claim.rate_rps)

    def _steady(self, tool: Tool, row: PeerRow) -> PeerRow:
        users = OPEN_USERS if tool.is_open else USERS[PEER_RPS]
        duration_s = self._durations.peer_steady_s
        claim, truth = self._take(tool, queue(PEER_RPS), PEER_RPS, users, duration_s)
        taken_s = true_latency_s(truth)
        return replace(
            row,
            arrivals_cv=gap_cv(truth["arrival_s"]),
            p95_error_ratio=_error_ratio(claim.p95_s, taken_s, 0.95),
            p99_error_ratio=_error_ratio(claim.p99_s, taken_s, 0.99),
        )

    def _stalling(self, tool: Tool, row: PeerRow) -> PeerRow:
        users = OPEN_USERS if tool.is_open else USERS[STALL_RPS]
        claim, _ = self._take(tool, STALLED, STALL_RPS, users, self._durations.stall_s)
        return replace(row, stall_p95_s=claim.p95_s, stall_p99_s=claim.p99_s)

    def _take(
        self, tool: Tool, server: DemoServer, rate_rps: int | None, users: int, duration_s: float
    ) -> tuple[Claim, np.ndarray]:
        asked = "as fast as it goes" if rate_rps is None else f"{rate_rps} req/s"
        self._progress(f"{tool.name}: {asked}", duration_s)
        place = self._folder / f"{tool.name}-{rate_rps}"
        place.mkdir()
        with standing(server, self._journal) as stand:
            is_first = rate_rps is not None and put_first(SERVER)
            forget_truth(stand.base_url)
            load = Load(stand.base_url, rate_rps, users, duration_s)
            claim = tool.run(load, place, _before(stand, is_first=is_first))
            return claim, read_truth(stand.base_url)


def _before(stand: Stand, *, is_first: bool) -> tuple[str, ...]:
    """On the generator's core, with its priority; as fast as it goes, it must leave some over."""
    pinned = ("taskset", "-c", str(stand.generator_core)) if shutil.which("taskset") else ()
    first = ("chrt", "-f", str(PRIORITY)) if is_first and shutil.which("chrt") else ()
    return (*pinned, *first)


def _error_ratio(claimed_s: float | None, taken_s: np.ndarray, quantile: float) -> float | None:
    if claimed_s is None or len(taken_s) == 0:
        return None
    return claimed_s / float(np.quantile(taken_s, quantile, method="higher")) - 1
