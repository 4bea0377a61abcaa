"""Minute by minute, by hand: traffic so even that a datapoint is what it should be."""

import numpy as np
import pytest
from simulated_fleets import replica

from recommender.errors import BadRequest
from recommender.simulation.autoscaling import scale
from recommender.simulation.scaling_policy import (
    AlarmTiming,
    FixedSize,
    Policy,
    ScheduledBounds,
    StepScaling,
    TargetTracking,
)

MINUTES = np.arange(120)


def course(policy, rates_rps, *, start_s=120.0, timing=AlarmTiming(), of=None):  # noqa: B008 - frozen
    of = replica(1, 0.1, start_s=start_s) if of is None else of
    arrivals = np.asarray(rates_rps, dtype=float)[:, None] * 60
    clock = (60.0, 60.0 * np.arange(len(arrivals)))
    scaled = scale([policy], of, arrivals, clock, timing)
    return scaled.replicas[:, 0, 0], scaled.paid[:, 0, 0]


def tracking(target_rps=5.0, least=1, most=50, **settings):
    return Policy(least, most, TargetTracking("invocations", target_rps * 60, **settings))


def jump(before, after, at=30):
    return np.where(at > MINUTES, before, after)


def test_it_starts_with_what_the_first_minute_needs():
    replicas, _ = course(tracking(), jump(20, 20))
    assert (replicas == 4).all()


def test_scaling_out_waits_for_three_datapoints_the_metrics_delay_and_the_start():
    """Minutes 30 to 32 are above; the last is over at 33 and known at 34; 2 min to start."""
    replicas, paid = course(tracking(), jump(10, 20))
    assert replicas[35] == 2
    assert replicas[36] == 4
    assert (paid[33], paid[34]) == (2, 4)


@pytest.mark.parametrize(("delay_s", "start_s"), [(0.0, 60.0), (180.0, 240.0), (60.0, 90.0)])
def test_it_is_as_late_as_metric_and_start_up_are(delay_s, start_s):
    replicas, _ = course(
        tracking(), jump(10, 20), start_s=start_s, timing=AlarmTiming(metric_delay_s=delay_s)
    )
    assert np.argmax(replicas > 2) == 33 + delay_s / 60 + np.ceil(start_s / 60)


def test_two_datapoints_are_no_alarm():
    rates = np.where((MINUTES == 30) | (MINUTES == 31), 20, 10)
    assert (course(tracking(), rates)[0] == 2).all()


def test_scaling_in_takes_fifteen_datapoints_below_nine_tenths():
    replicas, paid = course(tracking(), jump(20, 10))
    assert np.argmax(replicas < 4) == 30 + 15 + 1
    assert replicas[-1] == 2
    assert (replicas == paid).all()


def test_just_below_the_target_nothing_is_taken_away():
    replicas, _ = course(tracking(), jump(20, 18.5))
    assert (replicas == 4).all()


def test_a_cooldown_holds_back_a_second_step_that_is_no_larger():
    """Rates rise twice by as much; the second step waits for the first one's cooldown."""
    rates = np.where(MINUTES < 30, 10, np.where(MINUTES < 40, 20, 30))
    quick, _ = course(tracking(scale_out_cooldown_s=0.0), rates)
    slow, _ = course(tracking(scale_out_cooldown_s=1200.0), rates)
    assert np.argmax(quick >= 6) == 46
    # Served from 36 on, so the cooldown ends at 56; two minutes more to start.
    assert np.argmax(slow >= 6) == 58


def test_a_larger_step_does_not_wait_for_the_cooldown():
    rates = np.where(MINUTES < 30, 10, np.where(MINUTES < 40, 20, 60))
    replicas, _ = course(tracking(scale_out_cooldown_s=1200.0), rates)
    assert np.argmax(replicas >= 12) == 46


def test_the_cooldown_of_scaling_in_lies_between_two_steps():
    rates = np.where(MINUTES < 30, 20, np.where(MINUTES < 31, 15, 5))
    quick, _ = course(tracking(scale_in_cooldown_s=0.0), np.where(MINUTES < 30, 20, 14))
    slow, _ = course(tracking(scale_in_cooldown_s=1800.0), np.linspace(20, 1, 120))
    changes = np.nonzero(np.diff(slow))[0]
    assert (np.diff(changes) >= 30).all()
    assert quick[-1] == 3
    assert course(tracking(), rates)[0][-1] == 1


def test_bounds_hold():
    replicas, _ = course(tracking(least=3, most=5), jump(1, 100))
    assert replicas.min() == 3
    assert replicas.max() == 5


def test_scaling_in_can_be_switched_off():
    replicas, _ = course(tracking(can_scale_in=False), jump(20, 5))
    assert (replicas == 4).all()


def test_cpu_says_no_more_than_that_it_is_all_used():
    """Ten times what two take: CPU shows 100 %, so 50 % as a target doubles them at a time."""
    policy = Policy(2, 100, TargetTracking("cpu", 0.5, scale_out_cooldown_s=0.0))
    replicas, _ = course(policy, jump(8, 200))
    grown = replicas[replicas > 2]
    assert grown[0] == 4
    assert set(np.unique(replicas)) <= {2, 4, 8, 16, 32, 40}
    assert replicas[-1] == 40


def test_cpu_counts_what_the_server_uses_of_it():
    policy = Policy(1, 100, TargetTracking("cpu", 0.5))
    replicas, _ = course(policy, jump(20, 20), of=replica(1, 0.1, busy_ratio=0.5))
    assert replicas[0] == 2


def test_concurrency_counts_what_waits():
    """A queue makes the metric larger than CPU could show."""
    policy = Policy(2, 100, TargetTracking("concurrency", 1.0, scale_out_cooldown_s=0.0))
    replicas, _ = course(policy, jump(8, 40))
    assert replicas[37] > 20


def test_step_scaling_adds_by_how_far_it_is():
    steps = StepScaling("invocations", 300, 150, ((0.0, 1), (300.0, 5)), cooldown_s=600.0)
    policy = Policy(1, 50, steps)
    near, _ = course(policy, jump(4, 8))
    far, _ = course(policy, jump(4, 20))
    assert (near[36], far[36]) == (2, 6)


def test_step_scaling_takes_away_one_by_one():
    steps = StepScaling("invocations", 300, 150, ((0.0, 1),), cooldown_s=300.0)
    replicas, _ = course(Policy(1, 50, steps), jump(20, 2))
    assert np.diff(replicas).min() == -1
    assert replicas[-1] == 1


def test_a_schedule_sets_the_bounds_at_its_times():
    schedule = (ScheduledBounds(1800.0, 6, 20), ScheduledBounds(3600.0, 1, 3))
    policy = Policy(1, 3, TargetTracking("invocations", 300.0), schedule)
    replicas, _ = course(policy, jump(5, 5))
    # Before the first time of the week the last one holds.
    assert (replicas[:32] <= 3).all()
    assert (replicas[32:60] == 6).all()
    # By then the alarm for scaling in has long been on.
    assert replicas[60] == 1


def test_a_fixed_size_stays():
    assert (course(Policy(3, 3, FixedSize()), jump(1, 100))[0] == 3).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Policy(3, 2, FixedSize()), "3 to 2 replicas"),
        (lambda: Policy(0, 2, FixedSize()), "0 to 2"),
        (lambda: TargetTracking("cpu", 50), "a target of 50"),
        (lambda: TargetTracking("invocations", 0), "a target of 0"),
        (lambda: StepScaling("cpu", 0.5, 0.6), "scaling in below 0.6"),
        (lambda: StepScaling("cpu", 0.5, 0.3, ((0.1, 1),)), "begins at the threshold"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(make, message):
    with pytest.raises(BadRequest, match=message):
        make()
