"""Sharing out cores: nobody is crowded while there is room; the generator keeps one if it can."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.targets.cores import most_asked_of_a_core, shared_out
from loadtests.targets.limits import Capabilities

SIZES = st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0])


def machine(cores):
    return Capabilities(tuple(range(cores)), 8.0, None)


@given(SIZES, st.integers(1, 12), st.integers(1, 16))
def test_each_member_gets_as_many_cores_as_hold_its_size(vcpus, members, cores):
    shares = shared_out(vcpus, members, machine(cores))
    assert len(shares) == members
    for share in shares:
        assert len(set(share)) == len(share) == min(math.ceil(vcpus), cores)
        assert set(share) <= set(range(cores))


@given(SIZES, st.integers(1, 12), st.integers(1, 16))
def test_no_core_is_crowded_where_another_is_not_needed(vcpus, members, cores):
    """Whole cores that are enough for all are enough for each."""
    shares = shared_out(vcpus, members, machine(cores))
    if members * math.ceil(vcpus) <= cores:
        assert most_asked_of_a_core(vcpus, shares) <= 1


@given(SIZES, st.integers(1, 12), st.integers(2, 16))
def test_the_first_core_is_left_to_the_generator_while_the_others_hold_everyone(
    vcpus, members, cores
):
    taken = {core for share in shared_out(vcpus, members, machine(cores)) for core in share}
    if members * math.ceil(vcpus) < cores:
        assert 0 not in taken


@given(st.integers(1, 30), st.integers(1, 8))
def test_where_cores_must_be_shared_none_has_two_more_than_another(members, cores):
    shares = shared_out(1.0, members, machine(cores))
    counts = [sum(core in share for share in shares) for core in range(cores)]
    if members >= cores:
        assert max(counts) - min(counts) <= 1


def test_fractions_fill_a_core_before_they_take_the_generators():
    assert shared_out(0.25, 4, machine(2)) == ((1,),) * 4
    assert shared_out(0.25, 5, machine(2))[-1] == (0,)


def test_two_of_one_vcpu_on_two_cores_are_not_crowded_for_the_generators_sake():
    assert shared_out(1, 2, machine(2)) == ((1,), (0,))


def test_without_a_size_each_may_use_everything():
    assert shared_out(None, 2, machine(3)) == ((0, 1, 2), (0, 1, 2))
    assert most_asked_of_a_core(None, ((0, 1, 2),)) is None


def test_crowding_is_what_the_busiest_core_is_asked_for():
    assert most_asked_of_a_core(1, shared_out(1, 3, machine(2))) == 2
    assert most_asked_of_a_core(0.25, shared_out(0.25, 3, machine(2))) == pytest.approx(0.75)
