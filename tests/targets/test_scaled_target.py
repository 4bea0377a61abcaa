"""A fleet that follows a policy while load is sent: real processes."""

import pytest
from fleets import demo, maker
from sending import send

from loadtests.errors import TargetExited
from loadtests.targets import running
from loadtests.targets.replicas import Replicas
from loadtests.targets.scaled import ScaledTarget, Scaling

pytestmark = pytest.mark.beside

MINUTE_S = 0.5


@pytest.fixture
def scaled(tmp_path, journal):
    """Replicas by a script: so many from the minute on."""
    targets = []

    def start(script, seen, command=None, made=None):
        def decide(minute, came):
            seen.append(came)
            return [many for since, many in script.items() if since <= minute][-1]

        scaling = Scaling(decide, script[0], MINUTE_S, 2 * MINUTE_S)
        make = maker(tmp_path, journal, demo(service="det:0.001"), made=made)
        if command is not None:
            make = first_like(make, maker(tmp_path / "others", journal, command))
        fleet = (Replicas(3, "random"), scaling)
        target = ScaledTarget(make, fleet, tmp_path / "fleet", journal)
        targets.append(target)
        return target

    yield start
    for target in targets:
        target.stop()


def first_like(make, others):
    return lambda number, cores: (make if number == 0 else others)(number, cores)


def test_replicas_come_and_go_as_the_policy_says_from_what_came(scaled):
    seen, made = [], {}
    target = scaled({0: 1, 2: 3, 12: 1}, seen, made=made)
    with running(target):
        with target.under_load() as inside:
            samples = send(target.describe().base_url, 20, 16 * MINUTE_S)
        report = inside(samples)
        assert [each.number for each in target.fleet.members.alive] == [0]
        began_s = target.began_s
        first, *others = target.lives()
    assert samples.succeeded == len(samples)
    assert sum(seen) == pytest.approx(20 * len(seen) * MINUTE_S, abs=6)
    assert len(seen) >= 14
    assert (first.left_s, len(others), len(made)) == (None, 2, 3)
    for life in others:
        assert life.asked_s - began_s == pytest.approx(2 * MINUTE_S, abs=0.3)
        assert life.served_s - life.asked_s >= 2 * MINUTE_S
        assert life.left_s - began_s == pytest.approx(12 * MINUTE_S, abs=0.3)
    assert len(report.members) == 3  # all three had some of the requests


def test_a_replica_that_does_not_start_is_told_when_the_load_is_over(scaled):
    target = scaled({0: 1, 1: 2}, [], command=("false",))
    with running(target), pytest.raises(TargetExited), target.under_load():
        send(target.describe().base_url, 20, 5 * MINUTE_S)
    assert target.fleet.members.alive == ()


def test_without_a_request_no_minute_begins(scaled):
    seen = []
    target = scaled({0: 2}, seen)
    with running(target):
        with target.under_load():
            assert len(target.fleet.members.alive) == 2
        assert target.began_s is None
    assert seen == []
