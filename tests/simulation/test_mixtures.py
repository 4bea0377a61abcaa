import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.simulation.mixtures import MachineType, best_mixture, shortage_rps

CONFIDENCE = 0.8


def types(prices, capacities, spread=0.0, draws=40, seed=1):
    """capacities: by type, then kind."""
    rng = np.random.default_rng(seed)
    common = rng.lognormal(0, spread, (draws, 1))
    return [
        MachineType(
            str(at),
            price,
            np.array(each, ndmin=2) * common * rng.lognormal(0, spread / 2, (draws, 1)),
        )
        for at, (price, each) in enumerate(zip(prices, capacities, strict=True))
    ]


def served(machines, counts, rates):
    capacity = np.stack([each.capacity_rps for each in machines])
    return shortage_rps(np.array(counts, dtype=float), capacity, np.array(rates))


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(0.05, 3), st.floats(1, 100)), min_size=1, max_size=6),
    st.floats(1, 300),
    st.floats(0, 0.4),
    st.integers(0, 100),
)
def test_a_mixture_never_costs_more_than_one_type_and_suffices(offers, rate, spread, seed):
    prices, capacities = zip(*offers, strict=True)
    machines = types(prices, [[each] for each in capacities], spread, seed=seed)
    found = best_mixture(machines, np.array([rate]), CONFIDENCE)
    alone = [
        each.usd_per_hour
        * math.ceil(rate / np.quantile(each.capacity_rps, 0.2, method="lower") - 1e-7)
        for each in machines
    ]
    assert found.usd_per_hour <= min(alone) * (1 + 1e-9)
    assert found.alone.usd_per_hour == pytest.approx(min(alone))
    short = served(machines, found.counts, [rate])
    assert (short <= 1e-6 * rate).mean() >= CONFIDENCE
    assert sum(count > 0 for count in found.counts) <= 2
    assert found.usd_per_hour == pytest.approx(
        sum(n * each.usd_per_hour for n, each in zip(found.counts, machines, strict=True))
    )


@settings(max_examples=10)
@given(
    st.lists(
        st.tuples(st.floats(0.1, 3), st.floats(3, 40), st.floats(3, 40)), min_size=2, max_size=3
    ),
    st.floats(5, 60),
    st.floats(5, 60),
)
def test_no_other_counts_are_cheaper(offers, one, other):
    """Every combination tried, where nothing is uncertain."""
    machines = types([each[0] for each in offers], [list(each[1:]) for each in offers], draws=1)
    rates = [one, other]
    found = best_mixture(machines, np.array(rates), CONFIDENCE, most_types=len(machines))
    most = [range(math.ceil(one / each[1] + other / each[2]) + 1) for each in offers]
    cheaper = [
        counts
        for counts in itertools.product(*most)
        if np.dot(counts, [each[0] for each in offers]) < found.usd_per_hour * (1 - 1e-6)
    ]
    for counts in cheaper[:: max(len(cheaper) // 40, 1)]:
        assert served(machines, counts, rates)[0] > 1e-7 * sum(rates)


def test_two_kinds_of_request_go_where_each_is_cheap():
    """Mélange's point: short requests to the small machine, long ones to the large."""
    machines = types([1.0, 4.0], [[10.0, 1.0], [20.0, 20.0]], draws=1)
    found = best_mixture(machines, np.array([30.0, 20.0]), CONFIDENCE)
    assert found.counts == (3, 1)
    assert found.usd_per_hour == pytest.approx(7.0)
    assert found.alone.usd_per_hour == pytest.approx(12.0)


def test_a_type_that_cannot_serve_a_kind_is_mixed_in_for_the_others_only():
    machines = types([1.0, 4.0], [[10.0, 0.0], [10.0, 10.0]], draws=1)
    found = best_mixture(machines, np.array([20.0, 10.0]), CONFIDENCE)
    assert found.counts == (2, 1)
    assert found.alone.counts == (0, 3)


def test_there_may_be_no_more_of_a_type_than_are_to_be_had():
    cheap = MachineType("cheap", 0.1, np.full((5, 1), 10.0), most=2)
    dear = MachineType("dear", 1.0, np.full((5, 1), 10.0))
    found = best_mixture([cheap, dear], np.array([40.0]), CONFIDENCE)
    assert found.counts == (2, 2)
    assert found.alone.counts == (0, 4)
    assert best_mixture([cheap], np.array([40.0]), CONFIDENCE) is None


def test_types_that_err_apart_are_planned_for_together():
    """Each type's cautious draw alone may not say enough of a sum with a heavy tail."""
    rng = np.random.default_rng(4)
    machines = [
        MachineType(str(at), price, np.where(rng.random((400, 1)) < 0.17, 1.0, 10.0))
        for at, price in enumerate((1.0, 1.01))
    ]
    limited = [MachineType(m.name, m.usd_per_hour, m.capacity_rps, most=3) for m in machines]
    found = best_mixture(limited, np.array([50.0]), CONFIDENCE)
    assert found is None or found.confidence >= CONFIDENCE
