"""Residence from stored measurements of servers whose truth is known."""

from __future__ import annotations

import pytest
from simulated_queue import SimulatedServer

from loadtests.steps import ClosedStep
from recommender.errors import NotMeasured
from recommender.performance.llm_serving import measured_residence
from recommender.performance.llm_serving.measured import serving_point

SERVICE_S = 0.1


def closed(server, *users):
    steps = [ClosedStep(count, 2000, 60.0) for count in users]
    return [server.take(step, ()).measurement for step in steps]


def test_a_server_of_one_at_a_time_is_found_not_to_batch():
    server = SimulatedServer(1, SERVICE_S, cv=0.0, seed=1)
    law = measured_residence(closed(server, 1, 8, 16))
    assert law.alone_s == pytest.approx(SERVICE_S, rel=0.02)
    assert law.per_request_s == pytest.approx(SERVICE_S, rel=0.03)
    assert law.limit_rps == pytest.approx(1 / SERVICE_S, rel=0.03)


def test_a_server_with_room_for_all_is_not_slowed_down():
    server = SimulatedServer(64, SERVICE_S, cv=0.0, seed=1)
    law = measured_residence(closed(server, 1, 32))
    assert law.latency(16.0).median == pytest.approx(SERVICE_S, rel=0.02)


def test_between_its_runs_a_server_is_predicted_as_it_then_measures():
    server = SimulatedServer(1, SERVICE_S, cv=0.5, seed=2)
    law = measured_residence(closed(server, 1, 16))
    (between,) = closed(server, 6)
    found = law.latency(6.0)
    assert found.median == pytest.approx(between.service_mean_s, rel=0.05)
    assert found.low < between.service_mean_s < found.high


def test_a_run_that_is_no_steady_state_is_no_point():
    (measured,) = closed(SimulatedServer(1, SERVICE_S, cv=0.0, seed=1), 4)
    assert serving_point(measured) is not None
    assert serving_point(measured.model_copy(update={"over_saturated": True})) is None
    assert serving_point(measured.model_copy(update={"starts": 1})) is None
    assert serving_point(measured.model_copy(update={"service_mean_s": None})) is None


def test_runs_without_one_user_alone_do_not_say():
    with pytest.raises(NotMeasured):
        measured_residence(closed(SimulatedServer(1, SERVICE_S, cv=0.0, seed=1), 8, 16))
