"""Fleets under real load find what was planted: the way back, the slowest stage, N times one."""

from contextlib import contextmanager
from itertools import count

import pytest

from loadtests.arrivals import Arrivals
from loadtests.demo_server import DemoServer
from loadtests.fleets.interruptions import Interruptions
from loadtests.fleets.scaling import CapacityOf, scaling_efficiency
from loadtests.journal import Journal
from loadtests.monitor import wait_for_quiet
from loadtests.probe import Probe, describe_target
from loadtests.runner import Destination, Engine
from loadtests.steps import ClosedStep, TrafficStep
from loadtests.stopping import StopRules
from loadtests.targets import ProcessSpec, ProcessTarget, Sizing, running
from loadtests.targets.pipeline import Pipeline, PipelineTarget
from loadtests.targets.replicas import Replicas, ReplicatedTarget
from loadtests.targets.spot import SpotTarget
from loadtests.traffic import Steady
from loadtests.validity import Status
from loadtests.workload import Payload, Workload

pytestmark = pytest.mark.locust

WORKLOAD = Workload((Payload("one", b"[1]"),), "application/json")
WAIT_FOR_QUIET_S = 5.0
TRIES = 5  # two cores are shared with whatever else runs here
POISSON, PACED = Arrivals(), Arrivals(process="constant")


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


@pytest.fixture
def making(tmp_path, journal):
    """Members of a fleet: demo servers, each with a folder of its own."""
    tries = count()

    def maker(**settings):
        command = DemoServer(**settings).command()

        def make(number, cores):
            workspace = tmp_path / f"member-{number}-{next(tries)}"
            workspace.mkdir()
            return ProcessTarget(ProcessSpec(command), Sizing(), workspace, journal, cores)

        return make

    return maker


@contextmanager
def probing(target, folder, journal):
    with running(target) as setup, Engine(folder / "engine", journal) as engine:
        yield Probe(
            engine=engine,
            target=target,
            record=describe_target(target, setup, None),
            destination=Destination((target.describe().base_url,), WORKLOAD),
            objectives=(),
            seed=1,
        )


def measured(probe, step):
    """The first that is not INVALID."""
    for _ in range(TRIES):
        found = probe.take(step)
        if found.measurement.validity.status is not Status.INVALID:
            return found
        wait_for_quiet(probe.target.describe().limits.cores, WAIT_FOR_QUIET_S)
    pytest.fail(f"INVALID {TRIES} times: {found.measurement.validity.faults}")


def steady(rate_rps, duration_s, arrivals=POISSON):
    rules = StopRules(over_saturation=False)
    return TrafficStep(Steady(rps=rate_rps), arrivals, duration_s, rules)


def test_an_overloaded_rest_of_the_fleet_recovers_when_theory_says(making, tmp_path, journal):
    """Two that serve 100 a second each, offered 120; one is missing for M seconds.

    The other falls behind by 20 a second. Then each gets 60 a second again, so that 40 a second
    are left for the backlog: it is gone M/2 later, 1.5 M after the first was.
    """
    asked = Interruptions(at=(2,), notice_s=1.0, start_up_delay_s=1.3, signals=False)
    target = SpotTarget(
        making(service="det:0.01"), (Replicas(2), asked), tmp_path / "fleet", journal
    )
    with probing(target, tmp_path, journal) as probe:
        # Long enough after it that a pause of the machine is less than a twentieth of that.
        found = measured(probe, steady(120, 20, PACED))
    (cost,) = found.measurement.inside.interruptions
    assert found.measurement.failed == found.measurement.dropped == 0
    assert cost.broken == cost.lost == 0
    assert cost.missing_s > 1.3
    assert found.measurement.starts == 1
    assert found.measurement.warmup_s == 0  # a server that came is no warm-up
    resolution_s = cost.recovered_s.high - cost.recovered_s.low
    assert cost.recovered_s.value == pytest.approx(1.5 * cost.missing_s, abs=0.3 + resolution_s)
    assert cost.during.latency.value > 5 * cost.before.latency.value
    assert cost.after.latency.value < 2 * cost.before.latency.value


def test_a_kill_without_notice_costs_what_the_victim_had(making, tmp_path, journal):
    """60 a second to each of two, 0.2 s each: 12 in flight."""
    asked = Interruptions(
        at=(1.5,), notice_s=0, drains=False, start_up_delay_s=0.3, replaced_from="kill"
    )
    make = making(service="det:0.2", servers=500)
    target = SpotTarget(make, (Replicas(2), asked), tmp_path / "fleet", journal)
    with probing(target, tmp_path, journal) as probe:
        found = measured(probe, steady(120, 4))
    (cost,) = found.measurement.inside.interruptions
    assert cost.broken == cost.lost == found.measurement.failed
    assert found.measurement.statuses[502] == cost.broken
    assert cost.broken == pytest.approx(12, abs=10)  # Poisson, and a pause of a busy machine
    assert cost.replacement not in (None, 0, 1)  # 2, or 3 where an INVALID run was made again


def test_the_slowest_stage_is_found_under_load(making, tmp_path, journal):
    planted_s = {"prepare": 0.004, "predict": 0.015, "finish": 0.006}
    pipeline = Pipeline({name: making(service=f"exp:{s}") for name, s in planted_s.items()})
    target = PipelineTarget(pipeline, tmp_path / "fleet", journal)
    with probing(target, tmp_path, journal) as probe:
        probe.warm_up()
        report = measured(probe, steady(30, 5)).measurement.inside
    assert report.bottleneck.stage == report.bottleneck.slowest == "predict"
    assert report.bottleneck.certainty == "sure"
    assert report.stages_s + report.gateway_s + report.residual_s == pytest.approx(report.whole_s)
    assert 0 < report.residual_s < 0.01
    predict = report.stages[1]
    assert predict.limit_rps.low <= predict.limit_rps.value
    assert predict.limit_rps.value == pytest.approx(1 / planted_s["predict"], rel=0.35)


def test_three_that_wait_serve_three_times_as_much_as_one(making, tmp_path, journal):
    """They sleep rather than compute, so the machine's two cores are no limit."""
    capacities = {}
    for replicas in (1, 3):
        place = tmp_path / str(replicas)
        target = ReplicatedTarget(
            making(service="det:0.02"), Replicas(replicas), place / "fleet", journal
        )
        with probing(target, place, journal) as probe:
            found = measured(probe, ClosedStep(6, 1000, 3.0))
        rps = found.measurement.throughput_rps
        capacities[replicas] = CapacityOf(rps, 0.97 * rps, 1.03 * rps)
        assert found.measurement.inside.imbalance_ratio == pytest.approx(1, abs=0.05)
    one, three = scaling_efficiency(capacities)
    assert one.efficiency.value == 1
    assert three.efficiency.value == pytest.approx(1, abs=0.1)
