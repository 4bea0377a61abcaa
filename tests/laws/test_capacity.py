"""The capacity search against simulated servers whose true capacity is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq
from simulated_queue import SimulatedServer

from loadtests.errors import InvalidMeasurement
from loadtests.measurement import Interval, Quantile
from loadtests.modes.capacity import (
    Capacity,
    SearchSettings,
    conclude,
    next_step,
)
from loadtests.modes.ladder import Evidence, service_model
from loadtests.queueing import mmc_sojourn_quantile
from loadtests.slo import parse_slo, tightest
from loadtests.steps import ClosedStep, OpenStep
from loadtests.validity import Status, Validity

SETTINGS = SearchSettings(seed=7)


def take(server, step, slo):
    return server.take(step, slo.latency, (tightest(slo),))


@cache
def search(server, slo, settings=SETTINGS):
    """The answer, and the evidence that led to it."""
    history = ()
    while True:
        step = next_step(history, slo, settings)
        if isinstance(step, Capacity):
            return step, history
        history += (take(server, step, slo),)
        assert len(history) < 20, "the search does not end"


def rungs(history):
    return [each.step.concurrency for each in history if isinstance(each.step, ClosedStep)]


def opened(history):
    return [each for each in history if isinstance(each.step, OpenStep)]


def as_figures(capacity):
    """A model holds arrays, which do not compare."""
    return (
        capacity.rate_rps,
        capacity.low_rps,
        capacity.high_rps,
        capacity.basis,
        capacity.best_s,
    )


def with_p95(evidence, rate_rps, low_s, value_s, high_s):
    """The open-loop run as it would be, had it been at this rate and found this."""
    found = Quantile(quantile=0.95, seconds=Interval(value=value_s, low=low_s, high=high_s))
    load = evidence.measurement.load.model_copy(update={"rate_rps": rate_rps})
    update = {"latency": (found,), "load": load}
    return Evidence(
        replace(evidence.step, rate_rps=rate_rps),
        evidence.measurement.model_copy(update=update),
        evidence.service_s,
    )


@cache
def exact_capacity(servers, mean_s, quantile, limit_s):
    """Of M/M/c: where the closed form reaches the limit."""
    return brentq(
        lambda rate_rps: mmc_sojourn_quantile(quantile, rate_rps, mean_s, servers) - limit_s,
        1e-3,
        servers / mean_s * 0.9999,
    )


# Capacities of the last two: p95 at the limit in 6 simulated runs of 40,000 requests, to 1 %.
PLANTED = [
    pytest.param(
        1,
        0.005,
        1.0,
        "p95<30ms, error_rate<1%",
        exact_capacity(1, 0.005, 0.95, 0.03),
        0.2,
        id="M/M/1",
    ),
    pytest.param(4, 0.02, 0.25, "p95<40ms, error_rate<1%", 138.3, 0.06, id="M/G/4"),
    pytest.param(1, 0.01, 0.0, "p95<30ms", 49.0, 0.06, id="M/D/1"),
]


@pytest.mark.parametrize(("servers", "mean_s", "cv", "text", "truth_rps", "error"), PLANTED)
def test_a_planted_capacity_is_found_within_the_interval(
    servers, mean_s, cv, text, truth_rps, error
):
    """The interval is one of 80 %; and four of five estimates are near."""
    slo = parse_slo(text)
    found = [search(SimulatedServer(servers, mean_s, cv, seed), slo)[0] for seed in range(24)]
    held = [each.low_rps <= truth_rps <= each.high_rps for each in found]
    near = [abs(each.rate_rps / truth_rps - 1) <= error for each in found]
    assert np.mean(held) >= 0.75
    assert np.mean(near) >= 0.8


@pytest.mark.parametrize("servers", [1, 2, 4])
def test_the_ladder_finds_how_many_servers_work_side_by_side(servers):
    _, history = search(SimulatedServer(servers, 0.02, 0.25, seed=1), parse_slo("p95<100ms"))
    ladder = [each for each in history if isinstance(each.step, ClosedStep)]
    model = service_model(ladder)
    assert model.servers == servers
    assert model.saturation_rps == pytest.approx(servers / 0.02, rel=0.05)
    assert model.servers / model.mean_s == pytest.approx(model.saturation_rps)


@pytest.mark.parametrize(
    ("servers", "vcpus", "concurrencies"),
    [(1, None, [1, 2]), (4, None, [1, 2, 4, 8]), (2, 2.0, [1, 4, 8]), (3, 40.0, [1, 64])],
)
def test_the_ladder_rises_until_throughput_is_flat(servers, vcpus, concurrencies):
    server = SimulatedServer(servers, 0.02, 0.0, seed=1, vcpus=vcpus)
    assert rungs(search(server, parse_slo("p95<100ms"))[1]) == concurrencies


def test_a_server_too_slow_for_the_slo_has_no_capacity_and_is_not_pestered():
    capacity, history = search(SimulatedServer(2, 0.05, 0.1, seed=3), parse_slo("p95<40ms"))
    assert capacity.basis == "none"
    assert (capacity.rate_rps, capacity.low_rps, capacity.high_rps) == (0, 0, 0)
    assert capacity.best_s == pytest.approx(0.05 * 1.17, rel=0.05)
    assert not opened(history)


@pytest.mark.parametrize("seed", range(4))
def test_a_cliff_that_the_model_cannot_see_is_found_by_bisection(seed):
    """The model says about 137 requests/s; from 90 on services take six times as long."""
    server = SimulatedServer(2, 0.01, 0.25, seed, cliff_rps=90)
    capacity, history = search(server, parse_slo("p95<30ms, error_rate<1%"))
    assert capacity.basis == "bisected"
    assert 0 < capacity.low_rps <= 90 <= capacity.high_rps
    assert capacity.low_rps < capacity.rate_rps < capacity.high_rps
    assert capacity.high_rps - capacity.low_rps < 0.3 * 90
    assert 2 <= len(opened(history)) <= SETTINGS.most_open


@dataclass(frozen=True)
class StumblingAtFirst(SimulatedServer):
    """Now and then a request sent alone takes ten times as long; nothing does afterwards."""

    def take(self, step, objectives, decided_by=()):
        taken = super().take(step, objectives, decided_by)
        if not isinstance(step, ClosedStep) or step.concurrency > 1:
            return taken
        service_s = taken.service_s.copy()
        service_s[::40] *= 10
        return Evidence(step, taken.measurement, service_s)


def test_a_run_far_faster_than_the_model_says_sends_the_search_above_it():
    """M/D/1 of 100 requests a second: p95 is 60 ms at 74 (7 simulated runs of 40,000 requests)."""
    server, slo = StumblingAtFirst(1, 0.01, 0.0, seed=3), parse_slo("p95<60ms")
    misled, _ = search(server, slo)
    found, history = search(server, slo, replace(SETTINGS, climbs=True))
    assert misled.high_rps < found.low_rps or misled.rate_rps < 0.9 * found.rate_rps
    assert found.low_rps <= 74 <= found.high_rps
    assert len(opened(history)) <= SETTINGS.most_open


def test_where_the_model_is_right_nothing_is_looked_for_above_it():
    server, slo = SimulatedServer(4, 0.02, 0.25, seed=1), parse_slo("p95<40ms")
    climbing = replace(SETTINGS, climbs=True)
    assert as_figures(search(server, slo, climbing)[0]) == as_figures(search(server, slo)[0])


def test_where_the_model_is_right_one_run_confirms_it():
    """Half of the saturated throughput, far from the knee."""
    server = SimulatedServer(4, 0.004, 0.25, seed=2)
    capacity, history = search(server, parse_slo("p95<7ms, error_rate<1%"))
    assert capacity.basis == "confirmed"
    assert len(opened(history)) == 1
    assert 0.8 * capacity.rate_rps <= opened(history)[0].step.rate_rps <= capacity.rate_rps


def test_a_run_far_below_the_boundary_does_not_confirm_it():
    """Few requests fit into the time, so the run is at half of what the model says."""
    server = SimulatedServer(1, 0.04, 0.0, seed=2)
    capacity, history = search(server, parse_slo("p95<400ms"), replace(SETTINGS, confirm_s=12))
    assert opened(history)[0].step.rate_rps < 0.8 * capacity.rate_rps
    assert capacity.basis == "model"


def test_errors_alone_can_miss_the_slo():
    server = SimulatedServer(2, 0.01, 0.25, seed=2, failing=0.04)
    capacity, history = search(server, parse_slo("p50<200ms, error_rate<1%"))
    assert (capacity.rate_rps, capacity.low_rps) == (0, 0)
    assert len(opened(history)) == SETTINGS.most_open


def test_errors_too_rare_to_be_shown_do_not_hide_the_capacity():
    """0.01 % takes 38,000 requests to show; the latency is known after far fewer."""
    server = SimulatedServer(2, 0.01, 0.25, seed=1, cliff_rps=90)
    capacity, _ = search(server, parse_slo("p95<30ms, error_rate<0.01%"))
    assert capacity.low_rps > 40


def test_a_server_that_answers_nothing_well_is_told_so():
    server, slo = SimulatedServer(1, 0.01, 0.25, seed=1, failing=1.0), parse_slo("p95<1s")
    with pytest.raises(InvalidMeasurement, match="not one request was answered") as caught:
        search(server, slo)
    assert caught.value.exit_code == 4
    step = ClosedStep(1, 100, 1.0)
    history = (take(server, step, slo), take(server, replace(step, concurrency=2), slo))
    assert conclude(history, slo, SETTINGS) is None


SEARCHES = [
    (SimulatedServer(1, 0.005, 1.0, seed=49), "p95<30ms, error_rate<1%"),
    (SimulatedServer(2, 0.003, 0.5, seed=3), "p99<10ms, error_rate<1%"),
    (SimulatedServer(2, 0.01, 0.25, seed=1, cliff_rps=90), "p95<30ms"),
    (SimulatedServer(2, 0.05, 0.1, seed=3), "p95<40ms"),
]


@pytest.mark.parametrize(("server", "text"), SEARCHES)
def test_the_same_history_asks_for_the_same_next_step(server, text):
    slo = parse_slo(text)
    capacity, history = search(server, slo)
    for finished in range(len(history)):
        assert next_step(history[:finished], slo, SETTINGS) == history[finished].step
    assert as_figures(next_step(history, slo, SETTINGS)) == as_figures(capacity)


@pytest.mark.parametrize(("server", "text"), SEARCHES)
def test_a_stored_history_answers_without_asking_for_anything_new(server, text):
    slo = parse_slo(text)
    capacity, history = search(server, slo)
    stored = {each.step.key: each for each in history}
    assert len(stored) == len(history), "two steps under one key"
    replayed = ()
    while not isinstance(step := next_step(replayed, slo, SETTINGS), Capacity):
        replayed += (stored[step.key],)
    assert as_figures(step) == as_figures(capacity)


@pytest.mark.parametrize(("server", "text"), SEARCHES)
def test_a_finished_search_concludes_what_it_found(server, text):
    slo = parse_slo(text)
    capacity, history = search(server, slo)
    assert as_figures(conclude(history, slo, SETTINGS)) == as_figures(capacity)


@pytest.mark.parametrize(("server", "text"), SEARCHES[:2])
def test_a_history_can_be_judged_by_another_slo_without_measuring(server, text):
    """A looser one allows a higher rate."""
    _, history = search(server, parse_slo(text))
    strict, loose = (
        parse_slo(text),
        parse_slo(text.replace("30ms", "300ms").replace("10ms", "100ms")),
    )
    rates = [conclude(history, slo, SETTINGS).rate_rps for slo in (strict, loose)]
    assert rates[0] < rates[1]


def test_without_two_rungs_nothing_is_concluded():
    slo = parse_slo("p95<30ms")
    _, history = search(SimulatedServer(1, 0.005, 0.25, seed=1), slo)
    assert conclude((), slo, SETTINGS) is None
    assert conclude(history[:1], slo, SETTINGS) is None
    assert conclude(history[:2], slo, SETTINGS).basis == "model"


@pytest.fixture(scope="module")
def ladder_and_run():
    slo = parse_slo("p95<30ms")
    _, history = search(SimulatedServer(2, 0.01, 0.25, seed=1), slo)
    return slo, tuple(each for each in history if each not in opened(history)), opened(history)[0]


def test_a_run_that_decided_nothing_is_not_asked_for_again(ladder_and_run):
    """A miss at 120, and then nothing but runs whose intervals hold the limit."""
    slo, ladder, run = ladder_and_run
    history = (*ladder, with_p95(run, 120, 0.04, 0.05, 0.06))
    asked = [120.0]
    while not isinstance(step := next_step(history, slo, SETTINGS), Capacity):
        assert step.rate_rps not in asked
        assert 0 < step.rate_rps < 120
        asked.append(step.rate_rps)
        history += (with_p95(run, step.rate_rps, 0.02, 0.025, 0.04),)
    assert asked == [120, 90, 105, 112.5]
    assert (step.low_rps, step.high_rps) == (0, 120)
    assert step.rate_rps == pytest.approx(116.25)


def test_a_run_far_over_the_limit_is_gone_on_from_even_where_it_decided_nothing(ladder_and_run):
    """Its interval reaches below 30 ms: it missed nothing surely, and confirms nothing either."""
    slo, ladder, run = ladder_and_run
    modelled = conclude(ladder, slo, SETTINGS)
    rate_rps = 0.95 * modelled.rate_rps
    doubtful = with_p95(run, rate_rps, 0.02, 0.07, 0.2)
    step = next_step((*ladder, doubtful), slo, SETTINGS)
    assert step.rate_rps == pytest.approx(0.75 * rate_rps)
    alone = conclude((*ladder, doubtful), slo, SETTINGS)
    assert alone.basis == "model"
    assert (alone.low_rps, alone.high_rps) == (0, modelled.high_rps)
    assert alone.rate_rps <= rate_rps
    met = with_p95(run, step.rate_rps, 0.01, 0.015, 0.02)
    assert step.rate_rps < next_step((*ladder, doubtful, met), slo, SETTINGS).rate_rps < rate_rps
    barely_over = with_p95(run, rate_rps, 0.02, 0.035, 0.2)
    assert conclude((*ladder, barely_over), slo, SETTINGS).rate_rps == modelled.rate_rps


def test_an_undecided_run_leans_to_the_side_of_its_estimate(ladder_and_run):
    slo, ladder, run = ladder_and_run
    missed, met = with_p95(run, 120, 0.04, 0.05, 0.06), with_p95(run, 60, 0.01, 0.015, 0.02)
    slower, faster = with_p95(run, 90, 0.02, 0.035, 0.05), with_p95(run, 90, 0.02, 0.025, 0.05)
    assert next_step((*ladder, missed, met, slower), slo, SETTINGS).rate_rps == 75
    assert next_step((*ladder, missed, met, faster), slo, SETTINGS).rate_rps == 105


def test_verdicts_crossed_by_chance_still_make_an_interval(ladder_and_run):
    slo, ladder, run = ladder_and_run
    missed, met = with_p95(run, 90, 0.04, 0.05, 0.06), with_p95(run, 100, 0.01, 0.015, 0.02)
    capacity = conclude((*ladder, missed, met), slo, SETTINGS)
    assert capacity.low_rps <= capacity.rate_rps <= capacity.high_rps
    assert (capacity.low_rps, capacity.high_rps) == (90, 100)


def test_an_invalid_run_places_nothing(ladder_and_run):
    slo, ladder, run = ladder_and_run
    missed = with_p95(run, 50, 0.04, 0.05, 0.06)
    invalid = missed.measurement.model_copy(update={"validity": Validity(status=Status.INVALID)})
    with_it = conclude((*ladder, replace(missed, measurement=invalid)), slo, SETTINGS)
    assert as_figures(with_it) == as_figures(conclude(ladder, slo, SETTINGS))


def test_the_run_is_watched_by_the_objective_furthest_in_the_tail():
    assert tightest(parse_slo("p50<10ms, p99<1s, p95<100ms")).quantile == 0.99


def test_a_miss_above_the_models_boundary_does_not_contradict_it(ladder_and_run):
    """Of a run made for a looser SLO, say: what the model says of this one still stands."""
    slo, ladder, run = ladder_and_run
    alone = conclude(ladder, slo, SETTINGS)
    missed = with_p95(run, 1.3 * alone.rate_rps, 0.04, 0.05, 0.06)
    capacity = conclude((*ladder, missed), slo, SETTINGS)
    assert capacity.basis == "model"
    assert capacity.rate_rps == alone.rate_rps
    assert capacity.high_rps <= 1.3 * alone.rate_rps


def test_a_run_made_for_another_slo_does_not_stand_for_the_one_that_confirms(ladder_and_run):
    """It met this one far below the boundary; one as near as 5 % would say the same again."""
    slo, ladder, run = ladder_and_run
    confirming = next_step(ladder, slo, SETTINGS)
    low = with_p95(run, 0.4 * confirming.rate_rps, 0.01, 0.015, 0.02)
    assert next_step((*ladder, low), slo, SETTINGS) == confirming
    near = with_p95(run, 0.97 * confirming.rate_rps, 0.02, 0.025, 0.04)
    assert isinstance(next_step((*ladder, low, near), slo, SETTINGS), Capacity)
    enough = with_p95(run, 1.1 * confirming.rate_rps, 0.01, 0.015, 0.02)
    assert next_step((*ladder, enough), slo, SETTINGS).basis == "confirmed"


def test_what_a_run_missed_first_is_named():
    server = SimulatedServer(2, 0.01, 0.25, seed=2, failing=0.04)
    capacity, _ = search(server, parse_slo("p50<200ms, error_rate<1%"))
    assert capacity.first_breach.text == "error_rate<1%"
    assert capacity.text == "error_rate is over 1% at every rate tried"


def test_of_several_latencies_the_one_that_binds_fails_first():
    """p99 of M/M/1 is 1.54 times p95 at any load."""
    server = SimulatedServer(1, 0.005, 1.0, seed=1)
    strict, _ = search(server, parse_slo("p95<30ms, p99<2s"))
    other, _ = search(server, parse_slo("p95<2s, p99<40ms"))
    assert strict.first_breach.text == "p95<30ms"
    assert other.first_breach.text == "p99<40ms"


def test_an_slo_met_almost_to_saturation_ends_at_a_cliff():
    """p95 of M/G/4 at 90 % load is about 2.5 service times; the limit is fifteen."""
    capacity, _ = search(SimulatedServer(4, 0.02, 0.25, seed=3), parse_slo("p95<300ms"))
    assert capacity.cliff.kind == "saturation"
    assert capacity.cliff.at_rps == pytest.approx(200, rel=0.05)
    assert capacity.headroom_ratio < 0.1
    assert capacity.text.startswith("p95 passes 300ms at 19")
    assert capacity.text.endswith(f"cliff: saturation at {capacity.cliff.at_rps:.3g} rps")


def test_an_slo_far_from_saturation_has_no_cliff_and_room_above():
    """M/M/1: p95 = -ln(.05)/(200 - rate), which is 30 ms at 100/s, half of what it can do."""
    capacity, _ = search(SimulatedServer(1, 0.005, 1.0, seed=2), parse_slo("p95<30ms"))
    assert capacity.cliff is None
    assert capacity.headroom_ratio == pytest.approx(0.5, abs=0.12)
    assert "cliff" not in capacity.text


def test_a_jump_between_two_near_runs_is_a_cliff(ladder_and_run):
    """Twice the latency for 5 % more load: an elasticity of 14; of 9 or more is a cliff."""
    slo, ladder, run = ladder_and_run
    met = with_p95(run, 100, 0.024, 0.025, 0.026)
    steep = conclude((*ladder, met, with_p95(run, 105, 0.049, 0.05, 0.051)), slo, SETTINGS)
    gentle = conclude((*ladder, met, with_p95(run, 105, 0.0305, 0.031, 0.032)), slo, SETTINGS)
    assert (steep.cliff.kind, steep.cliff.at_rps) == ("jump", 105)
    assert gentle.cliff is None


def test_a_backlog_that_grows_just_above_the_capacity_is_a_cliff(ladder_and_run):
    slo, ladder, run = ladder_and_run
    met, missed = with_p95(run, 100, 0.024, 0.025, 0.026), with_p95(run, 105, 0.04, 0.05, 0.06)
    grown = missed.measurement.model_copy(update={"over_saturated": True})
    capacity = conclude((*ladder, met, replace(missed, measurement=grown)), slo, SETTINGS)
    assert (capacity.cliff.kind, capacity.cliff.at_rps) == ("overload", 105)


def test_a_backlog_far_above_the_capacity_is_a_cliff_only_below_what_waiting_users_got(
    ladder_and_run,
):
    """Of a server that gave users who wait 200 a second, no backlog is expected at 130."""
    slo, ladder, run = ladder_and_run
    met, missed = with_p95(run, 100, 0.024, 0.025, 0.026), with_p95(run, 105, 0.04, 0.05, 0.06)
    grown = missed.measurement.model_copy(update={"over_saturated": True})

    def cliff_at(rate_rps):
        far = replace(missed, step=replace(missed.step, rate_rps=rate_rps), measurement=grown)
        return conclude((*ladder, met, far), slo, SETTINGS).cliff

    assert cliff_at(130).kind == "overload"
    assert cliff_at(195) is None
