"""When machines are taken away: as scheduled, or as a Poisson process of the rate asked for."""

from itertools import islice, takewhile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from loadtests.fleets.interruptions import Interruption, Interruptions


def test_a_schedule_happens_as_it_was_written_in_order():
    assert list(Interruptions(at=("12s", 5)).instants_s(3)) == [5, 12]


@pytest.mark.parametrize("given_", [{}, {"at": (1,), "per_hour": 1.0}])
def test_it_is_a_schedule_or_a_rate(given_):
    with pytest.raises(ValidationError, match="times"):
        Interruptions(**given_)


@given(st.integers(0, 1000))
def test_a_seed_settles_everything(seed):
    asked = Interruptions(per_hour=10, seed=seed)
    first, again = (list(islice(asked.instants_s(2), 20)) for _ in range(2))
    assert first == again
    assert first == sorted(first)
    assert first != list(islice(Interruptions(per_hour=10, seed=seed + 1).instants_s(2), 20))


def test_a_rate_is_of_each_replica_and_of_hours_of_the_drills_own_length():
    asked = Interruptions(per_hour=2, time_scale=1 / 60)
    duration_s, replicas = 30 * 3600.0, 3
    instants = list(takewhile(lambda at_s: at_s < duration_s, asked.instants_s(replicas)))
    expected = asked.expected(duration_s, replicas)
    assert expected == 2 * 3 * 30 * 60
    assert len(instants) == pytest.approx(expected, abs=4 * expected**0.5)
    gaps_s = np.diff(instants)
    assert gaps_s.std() / gaps_s.mean() == pytest.approx(1, abs=0.05)  # exponential


def test_the_platforms_times_shrink_with_the_scale_and_the_schedule_does_not():
    asked = Interruptions(at=(7,), time_scale=1 / 60)
    assert asked.notice_s == 120
    assert asked.notice_here_s == 2
    assert asked.start_up_delay_here_s == asked.start_up_delay_s / 60
    assert list(asked.instants_s(1)) == [7]


def test_a_replica_is_gone_from_the_first_thing_that_took_it_away():
    told = Interruption(member=0, noticed_s=10, killed_s=12)
    assert told.gone_s == 12
    assert told.model_copy(update={"drained_s": 10.1}).gone_s == 10.1
    assert told.since(10).killed_s == 2
