"""Predictions from one vCPU, on a server whose truth is planted: it mostly waits, by a timer."""

import pytest

from loadtests.demo_server import DemoServer
from loadtests.journal import Journal
from recommender.performance.speed_prior import SpeedPrior
from recommender.prediction_cases import Case, Scene
from recommender.prediction_check import Bench, check_predictions
from recommender.request import Source

pytestmark = pytest.mark.locust

FIXED_S, ROW_S = 0.004, 0.0002
ROWS = (1, 20, 60)
CASES = (
    Case("2 replicas", replicas=2),
    Case("half a vCPU", vcpus=0.5),
    Case("a size never sent", mix={1: 1.0}),
)
TRUE_RPS = {
    "2 replicas": 2 / (FIXED_S + ROW_S * (0.7 * 1 + 0.3 * 60)),
    "half a vCPU": 1 / (FIXED_S + ROW_S * (0.7 * 1 + 0.3 * 60)),
    "a size never sent": 1 / (FIXED_S + ROW_S * 20),
}


@pytest.fixture
def check(tmp_path):
    server = DemoServer(service=f"lognormal:{FIXED_S}:0.3", per_row_s=ROW_S)
    source = Source(kind="command", where=" ".join(server.command("{port}")))
    payloads = tuple(b"0\n" * rows for rows in ROWS)
    scene = Scene(source, payloads, ROWS, {0: 0.7, 2: 0.3}, "text/csv")
    bench = Bench(
        Journal(tmp_path / "journal"),
        tmp_path / "cache",
        SpeedPrior.bundled(),
        lambda *_: None,
        closed_s=1.0,
        open_s=6.0,
    )
    return lambda case: check_predictions(bench, scene, [case], rounds=1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_is_predicted_as_it_was_planted_and_as_it_is_measured(check, case):
    """The planted figures are the server's own; a client and a gateway add to the latency."""
    for _ in range(5):  # a busy neighbour makes a round INVALID
        throughput, p95 = check(case)
        if throughput.ratio is not None:
            break
    assert throughput.ratio is not None, throughput.faults
    assert throughput.predicted == pytest.approx(TRUE_RPS[case.name], rel=0.1)
    assert throughput.ratio == pytest.approx(1, abs=0.1)
    assert p95.ratio == pytest.approx(1, abs=0.25)


def test_a_size_that_this_machine_has_not_is_said_and_not_made_up(check):
    throughput, p95 = check(Case("a thousand vCPUs", vcpus=1000.0))
    assert throughput.ratio is p95.ratio is None
    assert "1000" in throughput.faults[0]
