"""A fleet that really scales, on a server whose truth is planted: it waits, by a timer."""

import pytest

from loadtests.demo_server import DemoServer
from loadtests.journal import Journal
from loadtests.modes.capacity import SearchSettings
from recommender.performance.speed_prior import SpeedPrior
from recommender.prediction_cases import Scene
from recommender.request import Source
from recommender.simulation_cases import Stage
from recommender.simulation_check import Bench, check_simulation

pytestmark = pytest.mark.locust

DURATION_S = 15.0
MINUTES = 50


@pytest.fixture
def check(tmp_path):
    server = DemoServer(service="lognormal:0.08:0.5", servers=2)
    source = Source(kind="command", where=" ".join(server.command("{port}")))
    stage = Stage("planted", Scene(source, (b"[1]",), (1,), {0: 1.0}, "application/json"))
    settings = SearchSettings(closed_s=1.0, confirm_s=3.0, most_concurrency=4, most_open=1)
    bench = Bench(
        Journal(tmp_path / "journal"),
        tmp_path / "cache",
        SpeedPrior.bundled(),
        lambda *_: None,
        settings,
        MINUTES,
    )
    return lambda: check_simulation(bench, [stage], DURATION_S)


def test_a_fleet_costs_and_attains_about_what_was_simulated(check):
    """So short a run says it roughly; it leaves room beyond the 80 % interval on either side."""
    for _ in range(5):  # a busy neighbour makes a run INVALID
        figures = {figure.name: figure for figure in check()}
        cost, attained = figures["replica-seconds"], figures["in time, %"]
        if not cost.faults:
            break
    assert cost.faults == ()
    assert attained.is_judged
    assert 0.8 * cost.simulated.low < cost.measured < 1.25 * cost.simulated.high
    assert attained.simulated.low - 15 < attained.measured < attained.simulated.high + 10
    assert cost.simulated.median > 1.3 * DURATION_S  # it did not stay one replica
    assert cost.measured > 1.3 * DURATION_S
    served, failed = figures["requests served"], figures["requests failed"]
    assert served.measured == pytest.approx(served.simulated.median, rel=0.15)
    assert failed.measured == 0
