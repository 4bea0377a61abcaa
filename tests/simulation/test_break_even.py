import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing import HOURS_PER_MONTH
from recommender.simulation.break_even import (
    FleetTerms,
    break_even,
    fleet_curve,
    per_request_curve,
)

MONTH_S = HOURS_PER_MONTH * 3600
UNTIL = 50e6

fleets = st.builds(
    FleetTerms,
    usd_per_hour=st.floats(0.05, 2),
    capacity_rps=st.floats(4, 50),
    least=st.integers(0, 3),
    zones=st.integers(1, 4),
)
shapes = st.lists(st.floats(0.01, 4), min_size=1, max_size=6).map(np.array)
fleet_curves = st.builds(
    fleet_curve,
    st.just("fleet"),
    fleets,
    shapes,
    st.just(UNTIL),
    st.floats(0, 1e-6),
)
lines = st.builds(
    per_request_curve,
    st.just("line"),
    st.floats(1e-7, 1e-4),
    st.sampled_from([UNTIL / 7, UNTIL / 2, UNTIL]),
    st.floats(0, 500),
)


def test_one_machine_against_one_price_per_request_is_a_division():
    fleet = fleet_curve("fleet", FleetTerms(0.2, 100.0), np.ones(1), UNTIL)
    serverless = per_request_curve("serverless", 5e-6, UNTIL)
    (only,) = break_even([fleet, serverless]).crossings
    assert only.requests_per_month == pytest.approx(0.2 * 730 / 5e-6, rel=1e-12)
    assert only.usd_per_month == pytest.approx(0.2 * 730)
    assert (only.cheaper_below, only.cheaper_above) == ("serverless", "fleet")
    assert not only.at_a_step


def test_a_second_machine_hands_the_lead_back_at_its_step():
    fleet = fleet_curve("fleet", FleetTerms(0.2, 12.0), np.ones(1), UNTIL)
    serverless = per_request_curve("serverless", 8e-6, UNTIL)
    first, step, last = break_even([fleet, serverless]).crossings
    assert first.requests_per_month == pytest.approx(18.25e6)
    assert step.requests_per_month == pytest.approx(12 * MONTH_S)
    assert step.at_a_step
    assert (step.cheaper_below, step.cheaper_above) == ("fleet", "serverless")
    assert last.requests_per_month == pytest.approx(36.5e6)
    assert last.cheaper_above == "fleet"


@given(fleets, shapes, st.floats(1, UNTIL))
def test_a_fleets_curve_is_its_machines_counted_step_by_step(terms, shape, requests):
    curve = fleet_curve("fleet", terms, shape, UNTIL)
    needed = requests / MONTH_S * shape / terms.capacity_rps
    if np.min(np.abs(needed - np.rint(needed))) < 1e-6:
        return  # at the very step either is right
    machines = np.maximum(np.ceil(needed), terms.least)
    if terms.zones > 1:
        machines = machines + np.ceil(machines / (terms.zones - 1))
    expected = terms.usd_per_hour * HOURS_PER_MONTH * machines.mean()
    assert curve.usd(np.array([requests]))[0] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=40)
@given(fleet_curves, lines)
def test_a_break_even_point_is_one(fleet, line):
    for each in break_even([fleet, line]).crossings:
        at = each.requests_per_month
        usd = {curve.name: curve for curve in (fleet, line)}
        below, above = usd[each.cheaper_below], usd[each.cheaper_above]
        before = np.array([at * (1 - 1e-9)])
        after = np.array([at * (1 + 1e-9)])
        slack = 1 + 1e-6
        assert below.usd(before)[0] <= above.usd(before)[0] * slack
        assert above.usd_just_above(after)[0] <= below.usd_just_above(after)[0] * slack
        if each.at_a_step:
            assert at in fleet.starts


@settings(max_examples=40)
@given(fleet_curves, lines)
def test_between_break_even_points_nobody_changes_places(fleet, line):
    found = break_even([fleet, line])
    until = min(fleet.until, line.until)
    grid = np.linspace(1, until, 1999)
    cheaper = np.sign(np.round(fleet.usd(grid) - line.usd(grid), 9))
    told = np.flatnonzero(cheaper)
    points = np.array([each.requests_per_month for each in found.crossings])
    for one, two in itertools.pairwise(told):
        crossed = int(((points >= grid[one] - 1) & (points <= grid[two] + 1)).sum())
        assert cheaper[one] == cheaper[two] or crossed > 0


@settings(max_examples=40)
@given(fleet_curves, lines, st.floats(0.001, 0.999))
def test_the_cheapest_of_a_stretch_is_cheapest_in_it(fleet, line, share):
    found = break_even([fleet, line])
    stretches = found.stretches
    assert stretches[0].from_requests == 0
    assert stretches[-1].to_requests == max(fleet.until, line.until)
    for one, two in itertools.pairwise(stretches):
        assert one.to_requests == two.from_requests
        assert one.cheapest != two.cheapest
    for each in stretches:
        at = np.array([each.from_requests + share * (each.to_requests - each.from_requests)])
        usd = {curve.name: float(curve.usd(at)[0]) for curve in (fleet, line)}
        assert usd[each.cheapest] <= min(usd.values()) * (1 + 1e-9)


@given(fleet_curves)
def test_a_chart_shows_every_step_and_what_is_between(curve):
    requests, usd = curve.vertices()
    assert (np.diff(requests) >= 0).all()
    assert requests[-1] == curve.until
    assert usd[1::2] == pytest.approx(curve.usd(requests[1::2]))
    assert usd[::2] == pytest.approx(curve.usd_just_above(requests[::2]))


def test_beyond_what_serverless_can_take_it_is_nobodys_choice():
    fleet = fleet_curve("fleet", FleetTerms(50.0, 100.0), np.ones(1), UNTIL)
    serverless = per_request_curve("serverless", 1e-6, 1e6)
    first, second = break_even([fleet, serverless]).stretches
    assert (first.cheapest, first.to_requests) == ("serverless", 1e6)
    assert (second.cheapest, second.to_requests) == ("fleet", UNTIL)
    (alone,) = break_even([serverless]).stretches
    assert alone.to_requests == 1e6
    assert math.isinf(serverless.usd(np.array([1e6 + 1]))[0])
