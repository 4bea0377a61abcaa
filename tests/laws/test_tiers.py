"""Several SLOs answered by the runs of one search."""

from functools import cache

import pytest
from simulated_queue import SimulatedServer

from loadtests.errors import UsageError
from loadtests.modes import capacity
from loadtests.modes.capacity import Capacity, SearchSettings
from loadtests.modes.tiers import Tier, conclude, next_step, objectives_of, watched
from loadtests.queueing import mmc_sojourn_quantile
from loadtests.slo import parse_slo
from loadtests.steps import ClosedStep, OpenStep

SETTINGS = SearchSettings(seed=7)
GOLD, SILVER, BRONZE = (
    Tier(name, parse_slo(text))
    for name, text in (("gold", "p95<20ms"), ("silver", "p95<30ms"), ("bronze", "p95<80ms"))
)
ALL = (GOLD, SILVER, BRONZE)


@cache
def search(server, tiers):
    history = ()
    while isinstance(step := next_step(history, tiers, SETTINGS), ClosedStep | OpenStep):
        history += (server.take(step, objectives_of(tiers), watched(tiers)),)
        assert len(history) < 25, "the search does not end"
    return step, history


@cache
def alone(server, tier):
    history = ()
    while not isinstance(step := capacity.next_step(history, tier.slo, SETTINGS), Capacity):
        history += (server.take(step, tier.slo.latency, watched((tier,))),)
    return step, history


SERVERS = [SimulatedServer(1, 0.005, 1.0, seed) for seed in (1, 2, 3)]


@pytest.mark.parametrize("server", SERVERS)
def test_a_looser_tier_has_no_smaller_capacity(server):
    found, _ = search(server, ALL)
    rates = [each.capacity.rate_rps for each in found]
    assert rates == sorted(rates)
    assert [each.tier.name for each in found] == ["gold", "silver", "bronze"]


@pytest.mark.parametrize("server", SERVERS)
def test_every_tier_is_found_where_theory_has_it(server):
    """M/M/1: p95 = -ln(.05)/(200 - rate)."""
    found, _ = search(server, ALL)
    for each, limit_s in zip(found, (0.02, 0.03, 0.08), strict=True):
        truth_rps = 200 + mmc_sojourn_quantile(0.95, 0, 1.0, 1) / -limit_s
        assert each.capacity.rate_rps == pytest.approx(truth_rps, rel=0.25)


@pytest.mark.parametrize("server", SERVERS)
def test_tiers_share_their_ladder_and_their_runs(server):
    _, together = search(server, ALL)
    apart = [alone(server, tier)[1] for tier in ALL]
    rungs = [each for each in together if isinstance(each.step, ClosedStep)]
    assert len(rungs) == sum(isinstance(each.step, ClosedStep) for each in apart[0])
    assert len(together) < sum(len(history) for history in apart)


@pytest.mark.parametrize("server", SERVERS)
def test_no_rate_is_tried_twice(server):
    _, history = search(server, ALL)
    keys = [each.step.key for each in history]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("server", SERVERS)
def test_a_stored_history_answers_without_asking_for_anything_new(server):
    found, history = search(server, ALL)
    stored, replayed = {each.step.key: each for each in history}, ()
    while isinstance(step := next_step(replayed, ALL, SETTINGS), ClosedStep | OpenStep):
        replayed += (stored[step.key],)
    assert [each.text for each in step] == [each.text for each in found]


def test_one_tier_is_the_search_for_one_slo():
    server = SERVERS[0]
    found, history = search(server, (SILVER,))
    single, steps = alone(server, SILVER)
    assert [each.step for each in history] == [each.step for each in steps]
    assert found[0].capacity.rate_rps == single.rate_rps


def test_a_tier_that_nothing_meets_costs_no_run_of_its_own():
    server = SimulatedServer(2, 0.05, 0.1, seed=3)
    never = Tier("never", parse_slo("p95<40ms"))
    found, history = search(server, (never,))
    assert found[0].capacity.basis == "none"
    assert found[0].text == "never: p95 is over 40ms for one request at a time"
    assert not [each for each in history if isinstance(each.step, OpenStep)]


def test_a_run_that_missed_a_loose_tier_is_no_reason_to_give_a_strict_one_nothing():
    """Bronze alone was sought: gold's boundary is still what the model says."""
    server = SERVERS[0]
    _, history = search(server, (BRONZE,))
    found = conclude(history, (GOLD,), SETTINGS)
    assert found[0].capacity.rate_rps == pytest.approx(50, rel=0.4)


def test_without_tiers_there_is_nothing_to_search():
    with pytest.raises(UsageError, match="needs an SLO"):
        next_step((), (), SETTINGS)


def test_without_two_rungs_nothing_is_concluded():
    assert conclude((), ALL, SETTINGS) is None


def test_runs_are_summarised_for_the_strictest_limit_of_each_quantile():
    tiers = (Tier("a", parse_slo("p95<1s, p99<2s")), Tier("b", parse_slo("p95<2s, p50<1s")))
    assert [each.text for each in objectives_of(tiers)] == ["p50<1s", "p95<1s", "p99<2s"]


def test_a_run_goes_on_until_every_tier_is_decided():
    assert [each.limit_s for each in watched(ALL)] == [0.02, 0.03, 0.08]
    assert len(watched((GOLD, GOLD))) == 1
