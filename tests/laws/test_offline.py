"""Batch transform against simulated servers whose throughput is known."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from simulated_queue import SimulatedServer

from loadtests.errors import InvalidMeasurement
from loadtests.modes.ladder import LadderSettings
from loadtests.modes.offline import OfflineResult, OfflineSettings, next_step
from loadtests.steps import ClosedStep, UsersStep

SETTINGS = OfflineSettings(ladder=LadderSettings(rung_s=2.0), sustained_s=10.0)


@cache
def measured(server, settings=SETTINGS):
    history = ()
    while not isinstance(step := next_step(history, settings), OfflineResult):
        history += (server.take(step, ()),)
        assert len(history) < 12, "the search does not end"
    return step, history


@pytest.mark.parametrize(
    ("servers", "mean_s", "cv"), [(1, 0.01, 0.25), (4, 0.02, 0.25), (2, 0.01, 1.0)]
)
def test_the_throughput_is_found_within_its_interval(servers, mean_s, cv):
    """Of 95 %, in 20 runs."""
    found = [measured(SimulatedServer(servers, mean_s, cv, seed))[0] for seed in range(20)]
    rates = [each.requests_per_s for each in found]
    assert np.mean([each.low <= servers / mean_s <= each.high for each in rates]) >= 0.85
    assert [each.value for each in rates] == pytest.approx([servers / mean_s] * 20, rel=0.1)


def test_the_sustained_run_is_the_last_and_at_the_fewest_senders_that_do():
    found, history = measured(SimulatedServer(4, 0.02, 0.0, seed=1))
    assert [each.step.concurrency for each in history[:-1]] == [1, 2, 4, 8]
    assert isinstance(history[-1].step, UsersStep)
    assert history[-1].step.users.users == found.concurrency == 4
    assert [each.concurrency for each in found.rungs] == [1, 2, 4, 8]


def test_rows_and_seconds_follow_from_the_requests():
    server = SimulatedServer(1, 0.01, 0.25, seed=1)
    one, _ = measured(server)
    many, _ = measured(server, replace(SETTINGS, rows_per_request=50))
    assert many.rows_per_s.value == pytest.approx(50 * one.requests_per_s.value)
    assert many.s_per_million_rows.value == pytest.approx(1e6 / many.rows_per_s.value)
    assert many.s_per_million_rows.low == pytest.approx(1e6 / many.rows_per_s.high)
    assert many.s_per_million_rows.high == pytest.approx(1e6 / many.rows_per_s.low)


def test_failed_requests_are_no_throughput():
    found, _ = measured(SimulatedServer(1, 0.01, 0.25, seed=1, failing=0.2))
    assert found.requests_per_s.value == pytest.approx(80, rel=0.1)
    assert found.failed_ratio == pytest.approx(0.2, abs=0.05)


def test_a_longer_run_knows_it_better():
    server = SimulatedServer(1, 0.01, 1.0, seed=3)
    short, long = (measured(server, replace(SETTINGS, sustained_s=s))[0] for s in (5.0, 80.0))
    widths = [each.requests_per_s.high - each.requests_per_s.low for each in (short, long)]
    assert widths[1] < widths[0] / 2


def test_too_short_a_run_has_no_interval_and_says_so():
    found, _ = measured(SimulatedServer(1, 0.2, 0.25, seed=3), replace(SETTINGS, sustained_s=3.0))
    assert found.requests_per_s.low is None
    assert found.s_per_million_rows.high is None
    assert "run longer" in found.reason


def test_a_stored_history_answers_without_asking_for_anything_new():
    found, history = measured(SimulatedServer(2, 0.01, 0.5, seed=2))
    stored, replayed = {each.step.key: each for each in history}, ()
    assert len(stored) == len(history)
    while isinstance(step := next_step(replayed, SETTINGS), ClosedStep | UsersStep):
        replayed += (stored[step.key],)
    assert step == found
    assert OfflineResult.model_validate_json(step.model_dump_json()) == step


def test_a_server_that_answers_nothing_well_is_told_so():
    with pytest.raises(InvalidMeasurement, match="not one request was answered"):
        measured(SimulatedServer(1, 0.01, 0.25, seed=1, failing=1.0))
