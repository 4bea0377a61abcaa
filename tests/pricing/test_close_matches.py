from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from pricing import close_matches, did_you_mean, load_book


@cache
def names():
    return tuple(machine.name for machine in load_book().instances)


KNOWN = st.deferred(lambda: st.sampled_from(names()))


@given(st.text(max_size=30))
def test_only_known_names_are_suggested_three_at_most_each_once(asked):
    found = close_matches(asked, names())
    assert len(found) == len(set(found)) <= 3
    assert set(found) <= set(names())


@given(KNOWN, st.sampled_from("-_."), st.booleans())
def test_case_and_separators_do_not_hide_a_name(name, separator, shout):
    asked = name.replace(".", separator)
    assert close_matches(asked.upper() if shout else asked, names())[0] == name


@given(KNOWN, st.data())
def test_a_letter_typed_twice_still_finds_the_name(name, data):
    at = data.draw(st.integers(0, len(name) - 1))
    assert name in close_matches(name[:at] + name[at] + name[at:], names())


def test_nothing_near_suggests_nothing():
    assert close_matches("zzzzzzzz", names()) == ()
    assert did_you_mean("zzzzzzzz", names()) == ""


def test_the_suggestion_reads_as_the_end_of_a_sentence():
    assert did_you_mean("us-est-1", ["us-east-1", "eu-west-3"]).startswith(
        "; did you mean us-east-1"
    )
