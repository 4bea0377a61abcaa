import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from loadtests.users import AnyUsers, Constant, Phases, Stairs

PATTERN = TypeAdapter(AnyUsers)

durations_s = st.floats(0.1, 1e4)
phases = st.lists(
    st.fixed_dictionaries(
        {
            "initial_number_of_users": st.integers(1, 20),
            "spawn_rate": st.sampled_from([0, 1, 3, 60, 7.5]),
            "duration_s": st.floats(0.1, 600),
        }
    ),
    min_size=1,
    max_size=5,
).map(lambda each: Phases(phases=each))
stairs = st.builds(
    lambda users, steps, duration_s: Stairs(
        users_per_step=users, number_of_steps=steps, duration_s=duration_s
    ),
    st.integers(1, 10),
    st.integers(1, 20),
    durations_s,
)
constants = st.builds(
    lambda users, duration_s: Constant(users=users, duration_s=duration_s),
    st.integers(1, 50),
    durations_s,
)
patterns = constants | phases | stairs


@given(patterns)
def test_each_user_starts_before_it_ends_within_the_test(pattern):
    spans_s = pattern.spans_s()
    assert spans_s.dtype == np.float64
    assert spans_s.shape == (len(spans_s), 2)
    assert np.all(np.diff(spans_s[:, 0]) >= 0)
    assert np.all(spans_s[:, 0] >= 0)
    assert np.all(spans_s[:, 0] < spans_s[:, 1])
    assert spans_s[:, 1].max() == pattern.duration_s


@given(patterns, st.floats(-0.2, 1.2))
def test_the_users_at_a_time_are_those_whose_spans_cover_it(pattern, part):
    t_s = part * pattern.duration_s
    spans_s = pattern.spans_s()
    if np.any(np.isclose(spans_s, t_s, rtol=1e-9, atol=1e-9)):
        return  # rounding decides on which side of a change it falls
    covering = np.count_nonzero((spans_s[:, 0] <= t_s) & (t_s < spans_s[:, 1]))
    assert pattern.at(t_s) == covering


@given(patterns)
def test_the_most_users_are_reached_and_never_passed(pattern):
    events_s = np.unique(pattern.spans_s())
    at_once = [pattern.at(t_s) for t_s in ((events_s[1:] + events_s[:-1]) / 2).tolist()]
    assert max(at_once) == pattern.most


@given(patterns)
def test_a_pattern_says_that_it_is_a_closed_loop(pattern):
    assert pattern.text.startswith("closed loop, ")


@given(patterns)
def test_a_pattern_goes_through_a_file_unchanged(pattern):
    assert PATTERN.validate_json(PATTERN.dump_json(pattern)) == pattern


@given(stairs)
def test_stairs_are_half_full_over_all_their_steps(pattern):
    """Steps of equal length with u, 2u, … n·u users: n·(n + 1)/2 · u users times one step."""
    spans_s = pattern.spans_s()
    steps = pattern.number_of_steps
    user_seconds = steps * (steps + 1) / 2 * pattern.users_per_step * pattern.duration_s / steps
    assert (spans_s[:, 1] - spans_s[:, 0]).sum() == pytest.approx(user_seconds)
    assert pattern.most == steps * pattern.users_per_step


def test_a_stair_lasts_its_part_of_the_whole():
    pattern = Stairs(users_per_step=2, number_of_steps=3, duration_s="3min")
    assert [pattern.at(t_s) for t_s in (0, 59, 61, 119, 121, 179, 180)] == [2, 2, 4, 4, 6, 6, 0]
    assert pattern.spans_s().tolist() == [
        [0, 180], [0, 180], [60, 180], [60, 180], [120, 180], [120, 180],
    ]  # fmt: skip


def test_a_phase_adds_users_by_the_minute():
    pattern = Phases(
        phases=[{"initial_number_of_users": 1, "spawn_rate": 3, "duration_s": "2min"}]
    )
    assert [pattern.at(t_s) for t_s in (0, 19, 21, 41, 61, 119)] == [1, 1, 2, 3, 4, 6]
    assert pattern.spans_s()[:, 0].tolist() == [0, 20, 40, 60, 80, 100]


def test_a_phase_with_fewer_users_ends_the_youngest():
    pattern = Phases(
        phases=[
            {"initial_number_of_users": 1, "spawn_rate": 2, "duration_s": 80},
            {"initial_number_of_users": 2, "duration_s": 10},
            {"initial_number_of_users": 3, "duration_s": 10},
        ]
    )
    assert pattern.spans_s().tolist() == [[0, 100], [30, 100], [60, 80], [90, 100]]
    assert [pattern.at(t_s) for t_s in (70, 85, 95)] == [3, 2, 3]


def test_a_user_due_at_the_end_of_a_phase_does_not_start():
    pattern = Phases(phases=[{"initial_number_of_users": 1, "spawn_rate": 1, "duration_s": 60}])
    assert len(pattern.spans_s()) == pattern.most == 1


def test_sagemakers_own_document_is_the_same_pattern():
    document = {
        "TrafficType": "PHASES",
        "Phases": [
            {"InitialNumberOfUsers": 1, "SpawnRate": 1, "DurationInSeconds": 120},
            {"InitialNumberOfUsers": 2, "SpawnRate": 0, "DurationInSeconds": 300},
        ],
    }
    ours = {
        "kind": "phases",
        "phases": [
            {"initial_number_of_users": 1, "spawn_rate": 1, "duration_s": "2min"},
            {"initial_number_of_users": 2, "spawn_rate": 0, "duration_s": "5min"},
        ],
    }
    half = {"kind": "phases", "phases": document["Phases"]}
    assert (
        PATTERN.validate_python(document)
        == PATTERN.validate_python(ours)
        == PATTERN.validate_python(half)
    )
    stairs_of_theirs = {"DurationInSeconds": 1200, "NumberOfSteps": 5, "UsersPerStep": 2}
    assert PATTERN.validate_python(
        {"TrafficType": "STAIRS", "Stairs": stairs_of_theirs}
    ) == Stairs(users_per_step=2, number_of_steps=5, duration_s="20min")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"TrafficType": "WAVES"}, "PHASES or STAIRS, not 'WAVES'"),
        ({"TrafficType": "PHASES"}, "goes with Phases; found nothing"),
        ({"TrafficType": "PHASES", "Stairs": {}}, "goes with Phases; found Stairs"),
        ({"TrafficType": "STAIRS", "Stairs": []}, "Stairs is not"),
        (
            {"TrafficType": "STAIRS", "Stairs": {"UsersPerStep": 1}},
            "NumberOfSteps|number_of_steps",
        ),
        ({"TrafficType": "PHASES", "Phases": []}, "at least 1 item"),
        ({"TrafficType": "PHASES", "Phases": [{"Users": 1}]}, "Users"),
        ({"kind": "constant", "users": 0, "duration_s": 1}, "greater than or equal to 1"),
        ({"kind": "constant", "users": 1, "duration_s": 0}, "greater than 0"),
        ({"kind": "constant", "users": 1.5, "duration_s": 1}, "integer"),
        (
            {"kind": "stairs", "users_per_step": 101, "number_of_steps": 100, "duration_s": 1},
            "10100",
        ),
        ({"kind": "crowd", "users": 1}, "crowd"),
    ],
)
def test_what_is_no_pattern_is_refused(document, said):
    with pytest.raises(ValidationError, match=said):
        PATTERN.validate_python(document)


@pytest.mark.parametrize(
    "phase", [{"spawn_rate": 1e12}, {"spawn_rate": -1}, {"spawn_rate": math.nan}]
)
def test_a_phase_of_more_users_than_can_be_run_is_refused_at_once(phase):
    with pytest.raises(ValidationError):
        Phases(phases=[{"initial_number_of_users": 1, "duration_s": "1day", **phase}])


def test_a_pattern_without_users_is_refused():
    with pytest.raises(ValidationError, match="no phase has a user"):
        Phases(phases=[{"initial_number_of_users": 0, "duration_s": 10}])
