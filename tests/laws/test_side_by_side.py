"""Requests of one traffic, dealt out to variants that serve side by side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest

from loadtests.arrivals import due_times
from loadtests.errors import UsageError
from loadtests.modes.side_by_side import Split, assigned
from loadtests.traffic import Steady

SURELY = 1e-6  # a chance so small that it happens to nobody

dues_s = st.lists(st.floats(0, 1e4), max_size=200).map(lambda each: np.sort(np.array(each)))
splits = st.builds(
    Split,
    st.lists(st.floats(0.01, 100), min_size=1, max_size=5).map(tuple),
    st.lists(st.floats(0.01, 1), max_size=3).map(tuple),
)
seeds = st.integers(0, 2**32 - 1)
MANY_S = due_times(Steady(rps=500), 40, seed=3)


@given(dues_s, splits, seeds)
def test_each_request_is_answered_by_one_variant_that_counts(due_s, split, seed):
    due, variants = assigned(due_s, split, seed)
    counts = variants < len(split.shares)
    assert due[counts].tolist() == due_s.tolist()


@given(dues_s, splits, seeds)
def test_a_shadow_gets_copies_of_requests_and_nothing_else(due_s, split, seed):
    due, variants = assigned(due_s, split, seed)
    assert variants.max(initial=0) < len(split.shares) + len(split.shadows)
    for number, share in enumerate(split.shadows, start=len(split.shares)):
        copied = due[variants == number].tolist()
        left = due_s.tolist()
        for each in copied:
            left.remove(each)  # raises for what was never asked
        if share == 1:
            assert not left


@given(dues_s, splits, seeds)
def test_the_schedule_is_in_order_and_the_same_for_the_same_seed(due_s, split, seed):
    due, variants = assigned(due_s, split, seed)
    assert due.shape == variants.shape
    assert np.all(np.diff(due) >= 0)
    again = assigned(due_s, split, seed)
    assert np.array_equal(due, again[0])
    assert np.array_equal(variants, again[1])


def test_another_seed_deals_otherwise():
    split = Split((1.0, 1.0))
    assert not np.array_equal(assigned(MANY_S, split, 1)[1], assigned(MANY_S, split, 2)[1])


@pytest.mark.parametrize("shares", [(1.0,), (1.0, 1.0), (9.0, 1.0), (0.5, 0.3, 0.2), (95, 4, 1)])
def test_every_variant_gets_its_share(shares):
    due, variants = assigned(MANY_S, Split(shares), 7)
    for number, share in enumerate(shares):
        got = int(np.sum(variants == number))
        assert binomtest(got, len(due), share / sum(shares)).pvalue > SURELY


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_every_shadow_gets_its_share_of_all_requests(share):
    _, variants = assigned(MANY_S, Split((3.0, 1.0), (share,)), 7)
    copied = int(np.sum(variants == 2))
    assert binomtest(copied, len(MANY_S), share).pvalue > SURELY


def test_no_variant_gets_the_quiet_moments():
    """Thinned by chance, Poisson traffic stays Poisson (Kingman, Poisson Processes, 1993)."""
    due, variants = assigned(MANY_S, Split((3.0, 1.0), (0.5,)), 7)
    for number in range(3):
        own_s = due[variants == number]
        gaps_s = np.diff(own_s)
        assert kstest(gaps_s, "expon", args=(0, gaps_s.mean())).pvalue > SURELY
        assert kstest(own_s, "uniform", args=(0, 40)).pvalue > SURELY


@pytest.mark.parametrize("shares", [(), (0.0,), (1.0, -1.0)])
def test_a_share_of_nothing_is_refused(shares):
    with pytest.raises(UsageError, match="above 0"):
        Split(shares)


@pytest.mark.parametrize("shadow", [0.0, -0.5, 1.5])
def test_a_shadow_of_more_than_all_or_of_nothing_is_refused(shadow):
    with pytest.raises(UsageError, match="at most 1"):
        Split((1.0,), (shadow,))
