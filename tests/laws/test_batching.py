"""The best number of records to a request, of simulated servers whose truth is known.

A request of r records takes a + b r, so c servers get through c r/(a + b r) a second: with n
times as many records as a/b, n/(n+1) of the most they ever can.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from simulated_queue import SimulatedServer

from loadtests.modes.batching import BatchLimit, BatchSettings
from loadtests.modes.ladder import LadderSettings
from loadtests.modes.offline import OfflineResult, OfflineSettings, next_step
from loadtests.steps import ClosedStep, UsersStep

ROWS = BatchSettings(most_rows=4096, rung_s=2.0)
SETTINGS = OfflineSettings(ladder=LadderSettings(10**6, 2.0), sustained_s=60.0, batches=ROWS)


@dataclass(frozen=True)
class Rows:
    """limit: larger requests are refused. worse_from: beyond it each record takes four times."""

    each_s: float = 0.010
    row_s: float = 0.001
    servers: int = 1
    cv: float = 0.25
    seed: int = 1
    limit: int = 10**9
    worse_from: int = 10**9
    failing: float = 0.0

    def takes_s(self, rows):
        return self.each_s + self.row_s * rows * (4 if rows > self.worse_from else 1)

    def rows_per_s(self, rows):
        return self.servers * rows / self.takes_s(rows)

    def take(self, step):
        rows = step.rows or 1
        failing = 1.0 if rows > self.limit else self.failing
        seed = self.seed * 10_000 + rows
        server = SimulatedServer(self.servers, self.takes_s(rows), self.cv, seed, failing=failing)
        return server.take(step, ())


@cache
def searched(server, settings=SETTINGS):
    history = ()
    while not isinstance(step := next_step(history, settings), OfflineResult):
        history += (server.take(step),)
        assert len(history) < 30, "the search does not end"
    return step, history


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("each_s", "row_s"), [(0.01, 0.001), (0.02, 0.0005), (0.001, 0.001)])
@pytest.mark.parametrize("servers", [1, 4])
def test_nearly_all_that_is_possible_gets_through(each_s, row_s, servers, seed):
    server = Rows(each_s, row_s, servers, seed=seed)
    found, _ = searched(server)
    best = found.batches.rows
    most = servers / row_s
    assert server.rows_per_s(best) >= 0.85 * most
    assert found.rows_per_s.value == pytest.approx(server.rows_per_s(best), rel=0.1)
    assert found.rows_per_request == best
    assert found.batches.limited_by is BatchLimit.FLAT


def test_no_more_records_than_do_good():
    """Half the size found would cost throughput, and the sizes beyond it gain next to nothing."""
    server = Rows(cv=0.0)
    found, _ = searched(server)
    best = found.batches.rows
    most = max(server.rows_per_s(each.rows) for each in found.batches.rungs)
    assert server.rows_per_s(best / 2) < 0.97 * most <= server.rows_per_s(best) * 1.03
    assert found.batches.low_rows <= best <= found.batches.high_rows


def test_the_sustained_run_is_of_the_size_that_was_found():
    found, history = searched(Rows())
    assert isinstance(history[-1].step, UsersStep)
    assert history[-1].step.rows == found.batches.rows
    assert all(isinstance(each.step, ClosedStep) for each in history[:-1])
    assert {each.step.rows for each in history[:2]} == {1}
    assert len({each.step.key for each in history}) == len(history)


@pytest.mark.parametrize("limit", [3, 40, 100, 150])
def test_a_limit_of_the_server_is_found_within_a_quarter(limit):
    server = Rows(each_s=0.5, row_s=0.001, limit=limit)
    found, _ = searched(server, replace(SETTINGS, sustained_s=100.0))
    sizes = found.batches
    assert sizes.limited_by is BatchLimit.REFUSED
    assert sizes.rows <= limit < sizes.refused_rows
    assert sizes.refused_rows <= max(1.25 * sizes.high_rows, sizes.high_rows + 1)
    assert found.failed_ratio == 0


def test_errors_that_have_nothing_to_do_with_size_are_no_limit():
    found, _ = searched(Rows(failing=0.2))
    assert found.batches.limited_by is BatchLimit.FLAT
    assert found.batches.refused_rows is None


def test_a_size_beyond_which_all_gets_worse_is_not_passed():
    server = Rows(each_s=0.05, row_s=0.001, worse_from=100)
    found, _ = searched(server)
    assert found.batches.rows == found.batches.high_rows == 64
    assert found.batches.rungs[-1].rows == 128


def test_what_fits_into_a_request_is_not_exceeded():
    server = Rows(each_s=0.5, row_s=0.001)
    found, history = searched(server, replace(SETTINGS, batches=replace(ROWS, most_rows=50)))
    assert found.batches.limited_by is BatchLimit.PAYLOAD
    assert max(each.step.rows for each in history) == found.batches.rows == 50


def test_no_request_is_sent_that_would_time_out():
    server = Rows(each_s=0.5, row_s=0.05, cv=0.1)
    settings = replace(SETTINGS, batches=replace(ROWS, timeout_s=3.0))
    found, history = searched(server, settings)
    assert found.batches.limited_by is BatchLimit.TIMEOUT
    assert 1.5 < max(server.takes_s(each.step.rows) for each in history) < 3.0


def test_a_size_that_was_given_is_kept():
    found, history = searched(
        Rows(), replace(SETTINGS, batches=replace(ROWS, first_rows=32, most_rows=32))
    )
    assert {each.step.rows for each in history} == {32}
    assert found.batches.limited_by is BatchLimit.GIVEN
    assert found.rows_per_s.value == pytest.approx(Rows().rows_per_s(32), rel=0.1)


def test_a_server_that_gains_nothing_gets_one_record_at_a_time():
    found, _ = searched(Rows(each_s=0.0, row_s=0.01, cv=0.0))
    assert found.batches.rows == 1


def test_the_interval_of_rows_a_second_holds_the_truth():
    """Of 95 %, in 20 runs, at the size that was found in each."""
    servers = [Rows(each_s=0.001, row_s=0.0001, seed=seed) for seed in range(20)]
    results = [searched(server)[0] for server in servers]
    held = [
        found.rows_per_s.low <= server.rows_per_s(found.rows_per_request) <= found.rows_per_s.high
        for server, found in zip(servers, results, strict=True)
    ]
    assert np.mean(held) >= 0.85


def test_a_stored_history_answers_without_asking_for_anything_new():
    found, history = searched(Rows(seed=3))
    stored, replayed = {each.step.key: each for each in history}, ()
    while not isinstance(step := next_step(replayed, SETTINGS), OfflineResult):
        replayed += (stored[step.key],)
    assert step == found
    assert OfflineResult.model_validate_json(step.model_dump_json()) == step
