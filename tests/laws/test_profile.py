"""Latency against load, of simulated servers whose curve is known."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from simulated_queue import SimulatedServer

from loadtests.errors import UsageError
from loadtests.measurement import Interval, Quantile
from loadtests.modes.capacity import Evidence
from loadtests.modes.ladder import LadderSettings
from loadtests.modes.profile import LoadCurve, ProfileSettings, next_step
from loadtests.queueing import mmc_sojourn_quantile
from loadtests.slo import LatencyObjective
from loadtests.steps import ClosedStep, OpenStep

SETTINGS = ProfileSettings(ladder=LadderSettings(requests=2000, rung_s=10.0), resamples=200)
QUANTILES = tuple(LatencyObjective(quantile, 0.1) for quantile in (0.5, 0.9, 0.95, 0.99))


@cache
def measured(server, settings=SETTINGS):
    history = ()
    while not isinstance(step := next_step(history, settings), LoadCurve):
        history += (server.take(step, QUANTILES),)
        assert len(history) < 20, "the profile does not end"
    return step, history


def at(point, quantile):
    return next(each.seconds for each in point.latency if each.quantile == quantile)


def opened(history):
    return [each for each in history if isinstance(each.step, OpenStep)]


MM1 = SimulatedServer(1, 0.005, 1.0, seed=1)


def test_the_rates_rise_from_a_tenth_to_near_saturation():
    curve, history = measured(MM1)
    shares = [each.utilization_ratio for each in curve.points]
    assert shares == pytest.approx(np.linspace(0.1, 0.95, 8).tolist()[: len(shares)])
    assert len(shares) >= 7
    rates = [each.step.rate_rps for each in opened(history)]
    assert rates == sorted(rates)


def test_the_curve_is_that_of_theory_where_its_intervals_say_so():
    """M/M/1, at every rate that has a steady state."""
    held = []
    for seed in range(8):
        curve, _ = measured(SimulatedServer(1, 0.005, 1.0, seed=seed))
        for point in curve.points:
            if point.rate_rps < 180 and not point.over_saturated:
                truth_s = mmc_sojourn_quantile(0.95, point.rate_rps, 0.005, 1)
                found = at(point, 0.95)
                held.append((found.low or 0) <= truth_s <= (found.high or np.inf))
    assert np.mean(held) >= 0.88


def test_quantiles_rise_with_the_load():
    curve, _ = measured(MM1)
    assert at(curve.points[0], 0.95).value < at(curve.points[-2], 0.95).value
    for point in curve.points:
        assert at(point, 0.5).value <= at(point, 0.95).value


def test_the_knee_of_a_single_queue_is_at_half_load():
    """Its p95 is 1/(1-u) times that of an idle server, and so twice that at u = 0.5."""
    knees = [measured(SimulatedServer(1, 0.005, 1.0, seed))[0].knee for seed in range(12)]
    held = [each.rate_rps.low <= 100 <= (each.rate_rps.high or np.inf) for each in knees]
    assert np.mean(held) >= 0.85
    assert np.median([each.rate_rps.value for each in knees]) == pytest.approx(100, rel=0.07)
    assert all(each.limit_s == pytest.approx(2 * each.unloaded_s) for each in knees)


def test_more_servers_have_a_later_knee():
    one, _ = measured(SimulatedServer(1, 0.005, 0.25, seed=1))
    four, _ = measured(SimulatedServer(4, 0.02, 0.25, seed=1))
    assert four.knee.rate_rps.low > one.knee.rate_rps.high


def test_a_knee_that_was_not_reached_is_not_guessed():
    curve, _ = measured(MM1, replace(SETTINGS, rates_rps=(10.0, 20.0, 30.0)))
    assert curve.knee.rate_rps.value is None
    assert 20 < curve.knee.rate_rps.low <= 30
    assert curve.knee.rate_rps.high is None
    assert "up to the highest rate measured, 30 rps" in curve.knee.reason


def test_the_given_rates_are_measured_in_their_order():
    _, history = measured(MM1, replace(SETTINGS, rates_rps=(60.0, 20.0, 60.0)))
    assert [each.step.rate_rps for each in opened(history)] == [20, 60]


def test_nothing_is_measured_beyond_where_the_server_fell_behind():
    curve, history = measured(MM1, replace(SETTINGS, rates_rps=(50.0, 300.0, 400.0, 500.0)))
    assert [each.step.rate_rps for each in opened(history)] == [50, 300]
    assert curve.points[-1].over_saturated
    assert 50 < curve.knee.rate_rps.value < 300


def test_a_busier_server_is_measured_for_longer():
    _, history = measured(MM1)
    lengths = [each.step.duration_s for each in opened(history)]
    assert lengths == sorted(lengths)
    assert lengths[0] == SETTINGS.step_s
    assert lengths[-1] > SETTINGS.step_s


def test_saturation_is_that_of_the_ladder_and_few_rungs_place_no_law():
    curve, _ = measured(MM1)
    assert curve.saturation.measured_rps == pytest.approx(200, rel=0.1)
    assert curve.saturation.peak_rps is None
    assert "rungs" in curve.saturation.reason


def ladder_of_law(history, contention, coherency):
    """The history's first rung, repeated as a server of that law would have answered."""
    rung, senders = history[0], np.array([1, 2, 4, 8, 16, 32])
    rates = 100 * senders / (1 + contention * (senders - 1) + coherency * senders * (senders - 1))
    return tuple(
        Evidence(
            replace(rung.step, concurrency=int(count)),
            rung.measurement.model_copy(update={"throughput_rps": float(rate)}),
            rung.service_s,
        )
        for count, rate in zip(senders, rates, strict=True)
    )


def test_the_law_of_scaling_is_found_again():
    """Gunther: the peak is at sqrt((1 - contention)/coherency) senders."""
    _, history = measured(MM1)
    ladder = ladder_of_law(history, 0.05, 0.002)
    settings = replace(SETTINGS, rates_rps=(20.0,))
    run = replace(opened(history)[0], step=next_step(ladder, settings))
    found = next_step((*ladder, run), settings).saturation
    assert found.contention == pytest.approx(0.05, rel=0.02)
    assert found.coherency == pytest.approx(0.002, rel=0.02)
    assert found.peak_concurrency == pytest.approx(np.sqrt(0.95 / 0.002), rel=0.02)


def with_p95(evidence, low_s, value_s, high_s):
    found = Quantile(quantile=0.95, seconds=Interval(value=value_s, low=low_s, high=high_s))
    return replace(
        evidence, measurement=evidence.measurement.model_copy(update={"latency": (found,)})
    )


def test_a_point_known_badly_hardly_moves_the_knee():
    _, history = measured(MM1)
    sound = next_step(history, SETTINGS).knee.rate_rps.value
    key = opened(history)[2].step.key
    odd = tuple(
        with_p95(each, 0.001, 0.2, 9.0) if each.step.key == key else each for each in history
    )
    assert next_step(odd, SETTINGS).knee.rate_rps.value == pytest.approx(sound, rel=0.1)


def test_a_stored_history_answers_without_asking_for_anything_new():
    curve, history = measured(MM1)
    stored, replayed = {each.step.key: each for each in history}, ()
    assert len(stored) == len(history)
    while isinstance(step := next_step(replayed, SETTINGS), ClosedStep | OpenStep):
        replayed += (stored[step.key],)
    assert step == curve
    assert LoadCurve.model_validate_json(step.model_dump_json()) == step


@pytest.mark.parametrize(
    "wrong", [{"rates_rps": (0.0,)}, {"rates_rps": (np.inf,)}, {"points": 1}, {"knee_factor": 1.0}]
)
def test_a_profile_of_nothing_is_refused(wrong):
    with pytest.raises(UsageError):
        next_step((), replace(SETTINGS, **wrong))
