"""A real run under a real load says how fast its target's cores were meanwhile."""

import sys

import pytest

from loadtests.arrivals import Arrivals
from loadtests.demo_server import DemoServer
from loadtests.journal import Journal
from loadtests.modes.side_by_side import Split, take_side_by_side
from loadtests.payloads import Join, Rows
from loadtests.probe import Probe, describe_target
from loadtests.runner import Destination, Engine
from loadtests.steps import ClosedStep, OpenStep, TrafficStep
from loadtests.stopping import StopRules
from loadtests.targets import ProcessSpec, ProcessTarget, Sizing, running
from loadtests.traffic import Steady

pytestmark = pytest.mark.locust

WORKLOAD = Rows((b"1",), Join("text/csv")).batched(1)


@pytest.fixture
def probe(tmp_path):
    """Of a server that has one core."""
    spec = ProcessSpec(DemoServer(service="det:0.005").command("{port}", python=sys.executable))
    journal = Journal(tmp_path / "journal")
    target = ProcessTarget(spec, Sizing(vcpus=1), tmp_path, journal)
    with Engine(tmp_path / "engine", journal) as engine, running(target) as setup:
        yield Probe(
            engine=engine,
            target=target,
            record=describe_target(target, setup, 1.0),
            destination=Destination((target.describe().base_url,), WORKLOAD),
            objectives=(),
            seed=1,
        )


def is_paced(found, probe):
    """Of all its cores, and on the run's own clock."""
    assert found.pace.cores == len(probe.target.describe().limits.cores)
    assert found.measurement.host_work_s == found.pace.mean_s
    begins_s, ends_s = found.pace.times_s.min(), found.pace.times_s.max()
    return 0 <= begins_s < ends_s <= found.measurement.elapsed_s + 1


@pytest.mark.parametrize("step", [ClosedStep(1, 1000, 1.0), OpenStep(50, 1.0, floor=0)])
def test_a_run_has_its_pace(probe, step):
    assert is_paced(probe.take(step), probe)


def test_so_has_each_of_two_side_by_side(probe):
    step = TrafficStep(Steady(rps=60), Arrivals(), 1.0, StopRules())
    found = take_side_by_side((probe, probe), step, Split((0.5, 0.5)))
    assert len(found) == 2
    assert all(is_paced(each, probe) for each in found)
