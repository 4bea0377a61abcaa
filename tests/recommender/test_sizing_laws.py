import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.demand import Constraints
from recommender.sizing import needed_replicas, replicas_for, with_zones

CAPACITIES = st.lists(st.floats(0.1, 1e4), min_size=1, max_size=40).map(np.array)
PEAKS = st.floats(0.01, 1e5)
HEADROOMS = st.floats(0, 0.9)
CONFIDENCES = st.floats(0.51, 0.99)


def constraints(headroom=0.2, zones=1, confidence=0.8):
    return Constraints(headroom_ratio=headroom, zones=zones, confidence=confidence)


@given(st.integers(1, 200), st.integers(2, 6))
def test_losing_the_fullest_zone_leaves_enough_and_one_replica_fewer_would_not(needed, zones):
    def left(replicas):
        return replicas - math.ceil(replicas / zones)

    spread = int(with_zones(np.array([float(needed)]), zones)[0])
    assert left(spread) >= needed
    assert left(spread - 1) < needed


@given(CAPACITIES, PEAKS, st.integers(2, 6))
def test_redundancy_never_needs_fewer_replicas_than_none(capacity, peak, zones):
    assert replicas_for(capacity, peak, constraints(zones=zones)) > replicas_for(
        capacity, peak, constraints()
    )


@given(CAPACITIES, PEAKS, HEADROOMS, HEADROOMS)
def test_more_headroom_never_needs_fewer_replicas(capacity, peak, one, other):
    less, more = sorted((one, other))
    assert replicas_for(capacity, peak, constraints(less)) <= replicas_for(
        capacity, peak, constraints(more)
    )


@given(CAPACITIES, PEAKS, CONFIDENCES, CONFIDENCES)
def test_more_confidence_never_needs_fewer_replicas(capacity, peak, one, other):
    less, more = sorted((one, other))
    assert replicas_for(capacity, peak, constraints(confidence=less)) <= replicas_for(
        capacity, peak, constraints(confidence=more)
    )


@given(CAPACITIES, PEAKS, PEAKS)
def test_more_traffic_never_needs_fewer_replicas(capacity, one, other):
    less, more = sorted((one, other))
    assert replicas_for(capacity, less, constraints()) <= replicas_for(
        capacity, more, constraints()
    )


@given(CAPACITIES, PEAKS, HEADROOMS, CONFIDENCES)
def test_the_fleet_carries_the_peak_with_the_confidence_asked_for(
    capacity, peak, headroom, confidence
):
    replicas = replicas_for(capacity, peak, constraints(headroom, confidence=confidence))
    carried = np.mean(capacity * (1 - headroom) * replicas >= peak * (1 - 1e-12))
    assert carried >= confidence


def test_no_number_of_replicas_that_cannot_serve_one_request_is_enough():
    capacity = np.array([0.0, 0.0, 0.0, 10.0, 10.0])
    assert replicas_for(capacity, 1.0, constraints(confidence=0.8)) is None
    assert np.isinf(needed_replicas(capacity, 1.0, constraints())[0])


def test_a_machine_that_fails_in_fewer_draws_than_the_confidence_allows_is_sized():
    capacity = np.array([0.0] + [10.0] * 9)
    assert replicas_for(capacity, 16.0, constraints(confidence=0.8)) == 2


@pytest.mark.parametrize(
    ("needed", "zones", "spread"), [(1, 1, 1), (1, 2, 2), (3, 2, 6), (3, 3, 5), (4, 3, 6)]
)
def test_known_fleets(needed, zones, spread):
    assert with_zones(np.array([float(needed)]), zones)[0] == spread
