"""Machines taken away while they work: real processes, real signals, planted losses."""

import time

import pytest
from fleets import demo, maker
from sending import send

from loadtests.errors import TargetDied, UsageError
from loadtests.fleets.interruptions import Interruptions
from loadtests.fleets.recovery import Recovery
from loadtests.targets import UrlTarget, running, try_payload
from loadtests.targets.protocol import FrontedTarget, InterruptibleTarget
from loadtests.targets.replicas import Replicas
from loadtests.targets.spot import SpotTarget

pytestmark = pytest.mark.beside

MANY = 500  # servers inside one demo server: nobody waits for another
RATE_RPS = 40
QUICK = Recovery(for_s=0.3)


@pytest.fixture
def spot(tmp_path, journal):
    targets = []

    def start(command, asked, replicas=2, made=None):
        make = command if callable(command) else maker(tmp_path, journal, command, made=made)
        folder = tmp_path / f"fleet-{len(targets)}"
        target = SpotTarget(make, (Replicas(replicas), asked), folder, journal, QUICK)
        targets.append(target)
        return target

    yield start
    for target in targets:
        target.stop()


def drill(target, duration_s, rate_rps=RATE_RPS):
    """The samples, the report, and the passages of the load."""
    with running(target):
        with target.under_load() as inside:
            samples = send(target.describe().base_url, rate_rps, duration_s)
        return samples, inside(samples), target.fleet.gateway.passages()


@pytest.mark.alone
def test_with_a_drain_and_time_enough_nothing_is_lost(spot):
    asked = Interruptions(at=(0.6,), notice_s=1.0, signals=False, start_up_delay_s=0.2)
    samples, report, passages = drill(spot(demo(service="det:0.2", servers=MANY), asked), 2.0)
    (cost,) = report.interruptions
    assert samples.succeeded == len(samples)
    assert (cost.broken, cost.lost, cost.member, cost.replacement) == (0, 0, 0, 2)
    began_s = passages["arrived_s"].min() - samples.records["sent_us"].min() / 1e6
    its_last_s = passages["sent_s"][passages["member"] == 0].max() - began_s
    assert its_last_s <= cost.gone_s < cost.killed_s
    assert cost.killed_s - cost.noticed_s == pytest.approx(1.0, abs=0.5)


@pytest.mark.alone
def test_without_a_warning_what_the_victim_has_is_lost_and_nothing_else(spot):
    """Each request is there for 0.3 s, so about as many as come to it in 0.3 s."""
    took_s = 0.3
    asked = Interruptions(
        at=(1.0,), notice_s=0, drains=False, replaced_from="kill", start_up_delay_s=0.2
    )
    command = demo(service=f"det:{took_s}", servers=MANY)
    samples, report, passages = drill(spot(command, asked, replicas=2), 2.5)
    (cost,) = report.interruptions
    its = passages[passages["member"] == cost.member]
    broken = its["status"] >= 300
    broke_s = its["answered_s"][broken].min()
    assert len(samples) - samples.succeeded == cost.broken == cost.lost == broken.sum()
    had = (its["sent_s"] <= broke_s) & (its["answered_s"] >= broke_s)
    assert (broken == (had | (its["sent_s"] > broke_s))).all()
    assert cost.broken == pytest.approx(RATE_RPS / 2 * took_s, abs=4)


@pytest.mark.alone
def test_a_server_that_ends_on_sigterm_loses_what_it_has_in_spite_of_the_drain(spot):
    """As the demo server does; that it was told two minutes ahead does not help."""
    asked = Interruptions(at=(1.0,), notice_s=1.0, start_up_delay_s=0.2)
    _, report, _ = drill(spot(demo(service="det:0.3", servers=MANY), asked), 2.5)
    (cost,) = report.interruptions
    assert cost.broken == pytest.approx(RATE_RPS / 2 * 0.3, abs=4)
    assert cost.gone_s < cost.killed_s - 0.5


@pytest.mark.alone
def test_the_replacement_comes_after_its_delay_and_takes_its_part(spot):
    made = {}
    asked = Interruptions(
        at=(0.5,), notice_s=60, start_up_delay_s=48, time_scale=1 / 120, signals=False
    )
    target = spot(demo(service="det:0.005", servers=MANY), asked, made=made)
    _, report, _ = drill(target, 4.0)
    (cost,) = report.interruptions
    assert cost.replaced_s - cost.noticed_s >= 0.4 + cost.start_s
    assert cost.missing_s == pytest.approx(cost.replaced_s - cost.gone_s)
    assert cost.missing_full_s == pytest.approx(48 + cost.start_s)
    assert {each.member for each in report.replicas.members} == {0, 1, 2}
    assert sorted(made) == [0, 1, 2]


def test_a_planned_kill_is_no_death_and_an_unplanned_one_is(spot, eventually):
    made = {}
    asked = Interruptions(at=(0.0,), notice_s=0, start_up_delay_s=30, signals=False)
    target = spot(demo(), asked, made=made)
    with running(target):
        with target.under_load():
            assert eventually(lambda: is_dead(made[0]))
            target.check()
        target.check()
        try_payload(target, b"[1]", content_type="application/json")
        made[1].interrupt(at_once=True)
        assert eventually(lambda: is_dead(target))


def is_dead(target):
    try:
        target.check()
    except TargetDied:
        return True
    return False


@pytest.mark.alone
def test_it_is_whole_again_for_the_next_run_and_is_interrupted_again(spot):
    """A start-up delay far longer than the load is cut short when the load is over."""
    asked = Interruptions(at=(0.3,), notice_s=60, start_up_delay_s=600, signals=False)
    target = spot(demo(service="det:0.005", servers=MANY), asked, replicas=2)
    with running(target):
        for turn in range(2):
            with target.under_load() as inside:
                samples = send(target.describe().base_url, RATE_RPS, 1.0)
            (cost,) = inside(samples).interruptions
            assert cost.member == turn  # the oldest
            assert cost.replaced_s is None  # not before the load was over
            assert len(target.fleet.members.alive) == 2
            target.check()


def test_a_replacement_that_does_not_start_is_told_as_a_death(
    spot, tmp_path, journal, server, eventually
):
    makes = {
        number: maker(tmp_path, journal, demo() if number < 2 else server("broken"))
        for number in range(3)
    }
    asked = Interruptions(at=(0.1,), notice_s=0, start_up_delay_s=0)
    target = spot(lambda number, cores: makes[number](number, cores), asked)
    with running(target):
        under_load = target.under_load()
        under_load.__enter__()
        assert eventually(lambda: is_dead(target))
        with pytest.raises(TargetDied, match="No module named 'torch'"):
            under_load.__exit__(None, None, None)
        with pytest.raises(TargetDied, match="replacement"):
            target.check()
    assert journal.entries() == ()


def test_what_breaks_in_the_drill_itself_is_raised_where_the_load_ends(spot, tmp_path, journal):
    make = maker(tmp_path, journal, demo())

    def full_disk(number, cores):
        if number >= 2:
            raise OSError(28, "No space left on device")
        return make(number, cores)

    target = spot(full_disk, Interruptions(at=(0,), notice_s=0, start_up_delay_s=0))

    def drilled():
        with running(target), target.under_load():
            time.sleep(0.1)

    with pytest.raises(OSError, match="No space"):
        drilled()
    assert journal.entries() == ()


@pytest.mark.alone
def test_more_interruptions_than_replicas_say_that_nobody_was_left(spot):
    asked = Interruptions(at=(0.4, 0.5, 0.6), notice_s=5, start_up_delay_s=60, signals=False)
    samples, report, _ = drill(spot(demo(), asked, replicas=2), 1.2)
    assert [each.member for each in report.interruptions] == [0, 1, None]
    assert "no replica" in report.interruptions[2].reason
    assert report.turned_away > 0
    assert len(samples) - samples.succeeded == report.turned_away


def test_giving_up_in_the_middle_leaves_nothing(spot, journal):
    class GivenUpError(Exception):
        pass

    asked = Interruptions(at=(0.0,), notice_s=600, start_up_delay_s=0)
    target = spot(demo(setup_s=0.5), asked)
    began_s = time.perf_counter()

    def give_up():
        with running(target), target.under_load():
            time.sleep(0.1)
            raise GivenUpError

    with pytest.raises(GivenUpError):
        give_up()
    assert time.perf_counter() - began_s < 30
    assert journal.entries() == ()


def test_it_is_described_as_what_it_is(spot):
    target = spot(demo(), Interruptions(at=(9,)))
    assert isinstance(target, FrontedTarget)
    with running(target):
        described = target.describe()
        assert described.kind == "spot"
        assert described.label.endswith("on spot")
        members = target.fleet.members.alive
        assert all(isinstance(each.target, InterruptibleTarget) for each in members)


def test_what_cannot_be_interrupted_is_refused(spot, make_target):
    behind = make_target()
    with running(behind):
        url = behind.describe().base_url
        target = spot(lambda number, cores: UrlTarget(url), Interruptions(at=(1,)))  # noqa: ARG005
        with pytest.raises(UsageError, match="cannot be interrupted"):
            target.launch()
