from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.traffic import Burst, Hourly
from recommender.errors import BadRequest
from recommender.request import traffic_facts
from recommender.simulation.traffic import (
    DAY_S,
    HOUR_S,
    PRESETS,
    WEEK_S,
    TrafficTrace,
    level_draws,
    preset,
)

RATES = st.lists(st.just(0.0) | st.floats(1e-3, 1e4), min_size=2, max_size=60).filter(any)


@pytest.mark.parametrize(
    ("rates", "message"),
    [([], "one for each step"), ([1.0, -2.0], "step 1 has a rate of -2"), ([0.0, 0.0], "nothing"),
     ([1.0, np.nan], "step 1 has a rate of nan"), ([[1.0]], "shape")],
)  # fmt: skip
def test_what_is_no_traffic_is_refused(rates, message):
    with pytest.raises(ValueError, match=message):
        TrafficTrace(60.0, np.array(rates))


def test_a_start_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        TrafficTrace(60.0, np.ones(3), datetime(2026, 3, 1))  # noqa: DTZ001 - that is the fault


@given(RATES, st.sampled_from([60.0, 90.0, 600.0, 3600.0, 7200.0]))
def test_other_steps_keep_the_requests(rates, step_s):
    trace = TrafficTrace(HOUR_S, np.array(rates))
    steps = int(trace.duration_s // step_s)
    if steps == 0 or trace.rate_rps[: int(steps * step_s // HOUR_S)].sum() == 0:
        return
    other = trace.in_steps_of(step_s)
    whole_hours = int(other.duration_s // HOUR_S)
    if other.duration_s == whole_hours * HOUR_S:
        kept = trace.rate_rps[:whole_hours].sum() * HOUR_S
        assert other.requests == pytest.approx(kept, rel=1e-6, abs=1e-6)


@given(RATES)
def test_each_hour_keeps_its_own_requests_in_finer_steps(rates):
    trace = TrafficTrace(HOUR_S, np.array(rates))
    hours = trace.in_steps_of(60.0).rate_rps.reshape(-1, 60).mean(axis=1)
    assert hours == pytest.approx(trace.rate_rps, rel=1e-6, abs=1e-6)


def test_within_hours_the_rate_does_not_jump():
    trace = TrafficTrace(HOUR_S, np.array([100.0, 200.0, 300.0, 200.0])).in_steps_of(60.0)
    assert np.abs(np.diff(trace.rate_rps)).max() < 6


@given(RATES, st.floats(0.01, 100))
def test_growth_multiplies_all_of_it(rates, factor):
    trace = TrafficTrace(60.0, np.array(rates))
    if not (trace.rate_rps * factor).any():
        return
    assert trace.scaled(factor).requests == pytest.approx(trace.requests * factor)
    assert trace.scaled(factor).peak_rps == pytest.approx(trace.peak_rps * factor)


def test_repeated_begins_again_and_may_be_cut_short():
    trace = TrafficTrace(60.0, np.array([1.0, 2.0, 3.0])).repeated(300.0)
    assert trace.rate_rps.tolist() == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("kind", PRESETS)
def test_a_preset_is_a_week_with_the_mean_asked_for(kind):
    trace = preset(kind, 50.0, peak_ratio=1.7)
    assert trace.duration_s == WEEK_S
    assert trace.mean_rps == pytest.approx(50.0)


@pytest.mark.parametrize(("kind", "ratio"), [("diurnal", 1.7), ("burst", 10.0)])
def test_a_preset_peaks_as_asked(kind, ratio):
    assert preset(kind, 50.0, peak_ratio=ratio).peak_rps == pytest.approx(50 * ratio, rel=1e-3)


def test_a_weekend_is_quieter_and_nights_are_too():
    rates = preset("weekly", 50.0).rate_rps.reshape(7, 24, 60).mean(axis=2)
    assert rates[5:].sum(axis=1).max() < rates[:5].sum(axis=1).min()
    assert (rates.argmin(axis=1) == 2).all() or (rates.argmin(axis=1) == 3).all()


@pytest.mark.parametrize(("kind", "ratio"), [("diurnal", 2.5), ("burst", 30.0), ("weekly", 0.5)])
def test_a_peak_that_a_shape_cannot_have_is_refused(kind, ratio):
    with pytest.raises(BadRequest, match="times"):
        preset(kind, 50.0, peak_ratio=ratio)


def test_levels_hold_the_share_they_say():
    levels = level_draws(0.3, 1000, seed=1)
    inside = (levels > 1 / 1.3) & (levels < 1.3)
    assert inside.mean() == pytest.approx(0.8, abs=0.002)
    assert np.median(levels) == pytest.approx(1.0, rel=1e-3)
    assert (level_draws(0.0, 5, seed=1) == 1).all()


def test_a_negative_spread_is_refused():
    with pytest.raises(BadRequest, match="0 or more"):
        level_draws(-0.1, 5, seed=1)


def test_any_traffic_that_can_be_sent_can_be_simulated():
    burst = Burst(base_rps=1, burst_rps=10, for_s=60, every_s=600)
    trace = TrafficTrace.of(burst, 1200.0)
    assert trace.rate_rps.tolist() == [*[1] * 9, 10] * 2


def test_a_demand_says_its_hours_or_one_rate():
    hourly = Hourly(requests=tuple(float(n * 3600) for n in range(24)))
    facts = traffic_facts("7rps").of(hourly)
    assert TrafficTrace.of_facts(facts).rate_rps.tolist() == list(range(24))
    steady = TrafficTrace.of_facts(traffic_facts("7rps"))
    assert (steady.mean_rps, steady.duration_s) == (7.0, DAY_S)


def test_the_clock_of_the_start_says_when_in_the_week_a_step_is():
    zone = timezone(timedelta(hours=2))
    tuesday = datetime(2026, 3, 3, 9, 30, tzinfo=zone)
    trace = TrafficTrace(HOUR_S, np.ones(3), tuesday)
    assert trace.seconds_of_week[0] == DAY_S + 9.5 * HOUR_S
    assert TrafficTrace(HOUR_S, np.ones(2)).seconds_of_week.tolist() == [0, 3600]
    assert TrafficTrace(HOUR_S, np.ones(1), datetime(2026, 3, 1, 23, tzinfo=UTC)).seconds_of_week[
        0
    ] == pytest.approx(6 * DAY_S + 23 * HOUR_S)
