"""Copies of one server behind one address: real processes."""

import time

import pytest
from fleets import demo, maker
from sending import send

from loadtests.demo_server.truth import read_truth
from loadtests.errors import LoadTestError, TargetDied, TargetExited, UsageError
from loadtests.gateway.settings import GatewaySettings, Stage
from loadtests.targets import Sizing, capabilities, running, try_payload
from loadtests.targets.fleet import Fleet, Seat
from loadtests.targets.replicas import Replicas, ReplicatedTarget

pytestmark = pytest.mark.beside


@pytest.fixture
def replicas(tmp_path, journal):
    """Stopped at the end of the test; `made`: the members by number."""
    targets = []

    def start(command, asked, made=None, sizing=None):
        make = maker(tmp_path, journal, command, sizing, made)
        target = ReplicatedTarget(make, asked, tmp_path / f"fleet-{len(targets)}", journal)
        targets.append(target)
        return target

    yield start
    for target in targets:
        target.stop()


def asked_of(members):
    return [len(read_truth(each.describe().base_url)) for each in members.values()]


def test_round_robin_gives_each_its_turn(replicas):
    made = {}
    target = replicas(demo(service="det:0.001"), Replicas(3), made)
    with running(target):
        with target.under_load() as inside:
            samples = send(target.describe().base_url, 60, 0.5)
        assert asked_of(made) == [10, 10, 10]
    report = inside(samples)
    assert samples.succeeded == 30
    assert [each.requests for each in report.members] == [10, 10, 10]
    assert report.imbalance_ratio == 1


@pytest.mark.alone
def test_least_outstanding_spares_the_one_that_is_slow(tmp_path, journal):
    """The slow one works on its first request while the other answers all the rest."""
    makes = [maker(tmp_path, journal, demo(service=service)) for service in ("det:1", "det:0.001")]
    target = ReplicatedTarget(
        lambda number, cores: makes[number](number, cores),
        Replicas(2, routing="least_outstanding"),
        tmp_path / "fleet",
        journal,
    )
    with running(target), target.under_load() as inside:
        samples = send(target.describe().base_url, 30, 0.8)
    report = inside(samples)
    slow, quick = report.members
    assert slow.requests <= 3  # one, unless the quick one is held up by a busy machine
    assert quick.requests == 24 - slow.requests
    assert report.slowest_ratio > 20


def test_what_is_used_is_the_sum_and_outlives_the_members(replicas):
    made = {}
    target = replicas(demo(service="det:0.001"), Replicas(2), made)
    assert target.usage().cpu_s is None
    with running(target):
        send(target.describe().base_url, 50, 0.4)
        whole = target.usage()
        each = [member.usage() for member in made.values()]
        assert whole.processes == sum(member.processes for member in each) == 2
        assert whole.memory_bytes == pytest.approx(sum(m.memory_bytes for m in each), rel=0.2)
        assert target.front_cpu_s() > 0
    assert target.usage().cpu_s >= whole.cpu_s > 0


@pytest.mark.alone
def test_they_start_side_by_side(replicas):
    target = replicas(demo(setup_s=1.5), Replicas(4))
    began_s = time.perf_counter()
    with running(target) as setup:
        assert 1.5 < setup.ready_s < time.perf_counter() - began_s < 4 * 1.5


def test_progress_names_one_that_is_waited_for(replicas):
    told = []
    with running(replicas(demo(setup_s=0.5), Replicas(2)), told.append):
        pass
    assert any(state.last.startswith("replica ") for state in told)


def test_the_description_is_of_the_whole(replicas):
    machine = capabilities()
    target = replicas(demo(), Replicas(2, vcpus=1), sizing=Sizing(vcpus=1, memory_gib=0.5))
    with running(target):
        described = target.describe()
    assert described.kind == "replicas"
    assert described.label.startswith("2 x ")
    assert described.sizing == Sizing(vcpus=2, memory_gib=1)
    assert len(described.limits.cores) == min(2, len(machine.cores))
    assert described.limits.shares_cores == (len(machine.cores) <= 2)
    assert described.limits.memory_gib == 1


def test_more_than_the_cores_hold_is_said(replicas):
    count = len(capabilities().cores) + 1
    target = replicas(demo(), Replicas(count, vcpus=1), sizing=Sizing(vcpus=1))
    with running(target):
        (note,) = target.describe().notes
    assert "2 vCPUs are asked of one core" in note


def test_one_that_does_not_start_fails_all_and_leaves_nothing(tmp_path, journal, server):
    """And the others' start, which would take long, is not waited for."""
    good = maker(tmp_path, journal, demo(setup_s=60.0))
    bad = maker(tmp_path, journal, server("broken"))
    target = ReplicatedTarget(
        lambda number, cores: (bad if number == 1 else good)(number, cores),
        Replicas(3),
        tmp_path / "fleet",
        journal,
    )
    began_s = time.perf_counter()
    with pytest.raises(TargetExited, match="No module named 'torch'"), running(target):
        pass
    assert time.perf_counter() - began_s < 20
    assert journal.entries() == ()
    assert any("torch" in line for line in target.log_tail())


def test_a_command_that_cannot_be_executed_fails_the_launch(replicas, journal):
    target = replicas(("/nowhere/at/all",), Replicas(2))
    with pytest.raises(TargetExited, match="could not be started"):
        target.launch()
    assert journal.entries() == ()


def is_dead(target):
    try:
        target.check()
    except TargetDied:
        return True
    return False


def test_one_that_dies_is_the_death_of_the_target(replicas, eventually):
    made = {}
    target = replicas(demo(), Replicas(3), made)
    with running(target):
        target.check()
        made[1].interrupt(at_once=True)
        assert eventually(lambda: is_dead(target))


def test_it_can_be_launched_again_and_not_twice_at_once(replicas):
    target = replicas(demo(), Replicas(2))
    for _ in range(2):
        with running(target), target.under_load() as inside:
            with pytest.raises(LoadTestError, match="already"):
                target.launch()
            try_payload(target, b"[1]", content_type="application/json")
        assert inside(None).requests == 1


@pytest.mark.parametrize("count", [0, 65])
def test_an_impossible_number_is_refused(count):
    with pytest.raises(UsageError, match="replicas"):
        Replicas(count)


def test_a_member_may_come_and_go_while_the_fleet_runs(tmp_path, journal):
    make = maker(tmp_path, journal, demo())
    fleet = Fleet(GatewaySettings((Stage("server"),)), tmp_path / "gateway", journal)
    try:
        fleet.launch([Seat(0, "first", make, None)])
        fleet.ready()
        fleet.start(Seat(1, "second", make, None))
        fleet.gateway.remove(0)
        fleet.members.end(0)
        assert send(fleet.gateway.base_url, 20, 0.5).succeeded == 10
        assert set(fleet.gateway.passages()["member"]) == {1}
    finally:
        fleet.stop()
    assert journal.entries() == ()
