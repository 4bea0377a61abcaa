"""The last few answers, and no more of them."""

from hypothesis import given
from hypothesis import strategies as st

from recommender.last_few import LastFew


@given(asked=st.lists(st.integers(0, 6), max_size=30), most=st.integers(1, 4))
def test_only_the_last_few_that_were_asked_for_are_known(asked, most):
    kept = LastFew(most)
    for key in asked:
        assert kept.get((key,), lambda key=key: str(key)) == str(key)
    last = list(dict.fromkeys(reversed(asked)))[:most]
    assert {key for key in range(7) if kept.known((key,)) is not None} == set(last)


def test_what_is_known_is_not_made_again():
    kept = LastFew(2)
    first = kept.get(("a",), object)
    assert kept.get(("a",), object) is first
    assert kept.known(("b",)) is None
