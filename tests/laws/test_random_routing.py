from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loadtests.gateway.pools import AtRandom, pool_of
from loadtests.gateway.settings import Stage


def test_a_stage_routes_at_random_where_it_is_told_to():
    assert isinstance(pool_of(Stage("replica", "random")), AtRandom)


@given(st.integers(1, 8))
def test_each_member_gets_about_its_share_and_in_no_order(members):
    pool = AtRandom()
    for member in range(members):
        pool.add(member, 0.0)
    taken = [pool.take(None, 0.0) for _ in range(400 * members)]
    counts = [taken.count(member) for member in range(members)]
    assert min(counts) > 300
    assert max(counts) < 500
    again = sum(one == other for one, other in pairwise(taken))
    assert again / len(taken) * members > 0.7  # the same twice in a row, as chance has it


def test_who_is_removed_gets_nothing_more():
    pool = AtRandom()
    for member in range(3):
        pool.add(member, 0.0)
    pool.remove(1)
    assert {pool.take(None, 0.0) for _ in range(100)} == {0, 2}
