"""The search for the best environment, tried on planted surfaces with noise."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from loadtests.errors import UsageError
from loadtests.tuning import (
    Trial,
    TrialResult,
    TuningResult,
    TuningSpec,
    conclude,
    next_trial,
    plan_ladder,
    planned_seconds,
    planned_trials,
    planner,
)
from loadtests.tuning.surface import Belief, Observation, Surface
from loadtests.tuning.trials import Trials, expected_improvement, most_different

SMALL = {"OMP_NUM_THREADS": [1, 2], "WEB_CONCURRENCY": [1, 2, 4]}
LARGE = {"OMP_NUM_THREADS": [1, 2, 4, 8], "WEB_CONCURRENCY": [1, 2, 4, 8], "BATCH": [1, 8, 32]}
CROSSED = {"OMP_NUM_THREADS": [1, 2, 4, 8], "WEB_CONCURRENCY": [1, 2, 4, 8]}
NOISE = 0.03  # relative standard deviation of a trial of full length


def additive(setting):
    """Twice the workers give a quarter more, twice the threads a tenth less."""
    gain = 0.22 * math.log2(int(setting["WEB_CONCURRENCY"]))
    gain -= 0.1 * math.log2(int(setting["OMP_NUM_THREADS"]))
    return 100 * math.exp(gain + {"1": 0.0, "8": 0.3, "32": 0.1}[setting.get("BATCH", "1")])


def crossed(setting):
    """Four cores: workers times threads fill them, more of both get in each other's way."""
    product = int(setting["OMP_NUM_THREADS"]) * int(setting["WEB_CONCURRENCY"])
    return 100 * product / 4 if product <= 4 else 100 * math.sqrt(4 / product)


def equal(_setting):
    return 100.0


def measured(trial, truth, rng, spec, *, noise=NOISE):
    sd = noise * math.sqrt(spec.trial_s / trial.fidelity_s)
    log = math.log(truth(trial.setting)) + sd * rng.normal()
    low, high = math.exp(log - 1.96 * sd), math.exp(log + 1.96 * sd)
    return TrialResult(trial=trial, score=math.exp(log), low=low, high=high)


def searched(spec, truth, seed, *, fails=lambda _: None, **noise):
    """The result and its history. Driven from within: replaying each prefix costs its square."""
    rng = np.random.default_rng([seed, 17])
    course = planner._course(Trials(spec), plan_ladder(spec), np.random.default_rng(seed))
    history = ()
    trial = next(course)
    while trial is not None:
        reason = fails(trial.setting)
        if reason is not None:
            history += (TrialResult(trial=trial, failed_reason=reason),)
        else:
            history += (measured(trial, truth, rng, spec, **noise),)
        try:
            trial = course.send(history[-1])
        except StopIteration:
            trial = None
    return next_trial(history, spec, seed), history


def screened(spec, truth, seed, fails=lambda _: None):
    """The settings of the first rung, in order."""
    rng = np.random.default_rng(seed)
    history = ()
    while (trial := next_trial(history, spec, seed)).rung == 0:
        reason = fails(trial.setting)
        history += (
            measured(trial, truth, rng, spec)
            if reason is None
            else TrialResult(trial=trial, failed_reason=reason),
        )
    return [each.trial.setting for each in history]


def best_of(spec, truth):
    return max(truth(spec.named(each)) for each in spec.grid)


def full_grid_s(spec):
    return spec.settings_count * spec.trial_s


@pytest.mark.parametrize(
    ("environment", "truth", "budget", "share", "seeds"),
    [
        (SMALL, additive, {}, 0.67, 40),
        (LARGE, additive, {}, 0.36, 10),
        (LARGE, additive, {"budget_s": 200.0}, 0.155, 10),
        (CROSSED, crossed, {}, 0.37, 20),
    ],
)
def test_the_best_is_found_for_a_fraction_of_the_grid(environment, truth, budget, share, seeds):
    """Or one within the noise, 4 % between two trials of full length, in nine seeds of ten."""
    spec = TuningSpec(environment=environment, **budget)
    hits, sure = 0, 0
    for seed in range(seeds):
        result, _ = searched(spec, truth, seed)
        hits += truth(result.best.setting) >= (1 - math.sqrt(2) * NOISE) * best_of(spec, truth)
        sure += result.gain.is_sure
        assert result.load_s <= share * full_grid_s(spec)
    assert hits >= 0.9 * seeds
    assert sure >= 0.9 * seeds


def test_what_is_clearly_worse_is_dropped_before_its_time():
    """With little noise most of the plan is saved, and the answer is right each time."""
    spec = TuningSpec(environment=LARGE)
    for seed in range(3):
        result, _ = searched(spec, additive, seed, noise=0.005)
        assert additive(result.best.setting) == best_of(spec, additive)
        assert result.load_s < 0.7 * planned_seconds(spec)
        assert any("surely worse" in each.reason for each in result.dropped)


def test_time_saved_repeats_the_finalists_that_are_not_told_apart():
    """Several settings fill four cores equally well; what racing saved goes to them."""
    spec = TuningSpec(environment=CROSSED, budget_s=250.0)
    _, history = searched(spec, crossed, 3, noise=0.01)
    again = [each.trial for each in history if each.trial.repeat > 1]
    assert again
    assert {each.rung for each in again} == {len(plan_ladder(spec).rungs) - 1}
    assert all(crossed(each.setting) == 100 for each in again)


def test_nothing_is_repeated_once_the_answer_is_sure():
    result, history = searched(TuningSpec(environment=LARGE), additive, 3, noise=0.005)
    assert result.best.probability_best >= 0.95
    assert all(each.trial.repeat == 1 for each in history)


def test_settings_that_are_all_equal_are_called_so():
    """At most one search in twenty may call its luckiest setting surely better."""
    spec = TuningSpec(environment=SMALL)
    results = [searched(spec, equal, seed)[0] for seed in range(40)]
    assert sum(each.gain.is_sure for each in results) <= 2
    assert max(each.best.probability_best for each in results) < 0.95
    inside = [each.gain.low <= 1 <= each.gain.high for each in results]
    assert sum(inside) >= 38


def test_the_gain_s_interval_holds_the_truth():
    spec = TuningSpec(environment=CROSSED)
    inside = 0
    for seed in range(20):
        result, _ = searched(spec, crossed, seed)
        truth = crossed(result.best.setting) / crossed(result.baseline.setting)
        inside += result.gain.low <= truth <= result.gain.high
    assert inside >= 17


def test_each_value_s_worth_is_found_within_its_interval():
    """Against the baseline's value, other values alike; the planted truth is 22 % to 93 %."""
    spec = TuningSpec(environment=LARGE, baseline={"BATCH": "8"})
    planted = {
        ("OMP_NUM_THREADS", "4"): math.exp(-0.2),
        ("WEB_CONCURRENCY", "8"): math.exp(0.66),
        ("BATCH", "1"): math.exp(-0.3),
        ("BATCH", "8"): 1.0,
    }
    inside = 0
    for seed in range(6):
        result, _ = searched(spec, additive, seed)
        found = {(each.variable, each.value): each for each in result.effects}
        for which, ratio in planted.items():
            effect = found[which]
            inside += effect.low <= 100 * (ratio - 1) + 1e-9 and (
                100 * (ratio - 1) - 1e-9 <= effect.high
            )
            assert effect.percent == pytest.approx(100 * (ratio - 1), abs=12)
        assert not result.interaction.is_seen
    assert inside >= 20  # of 24


def test_effects_that_interact_are_flagged():
    spec = TuningSpec(environment=CROSSED)
    results = [searched(spec, crossed, seed)[0] for seed in range(5)]
    assert all(each.interaction.is_seen for each in results)
    assert all(each.interaction.typical_percent > 10 for each in results)


def test_of_a_latency_less_is_better():
    spec = TuningSpec(environment=SMALL, objective="latency")

    def latency(setting):
        return 10 / additive(setting)

    result, _ = searched(spec, latency, 3, noise=0.01)
    assert result.best.setting == {"OMP_NUM_THREADS": "1", "WEB_CONCURRENCY": "4"}
    assert result.gain.is_sure
    assert result.gain.high < 1
    effects = {(each.variable, each.value): each.percent for each in result.effects}
    assert effects["WEB_CONCURRENCY", "4"] == pytest.approx(100 * math.expm1(-0.44), abs=6)
    assert result.best.low < result.best.score < result.best.high


def test_a_setting_that_fails_is_dropped_with_its_reason_and_never_tried_again():
    def fails(setting):
        return "out of memory" if setting["WEB_CONCURRENCY"] == "8" else None

    spec = TuningSpec(environment=LARGE, budget_s=200.0)
    result, history = searched(spec, additive, 1, fails=fails)
    failed = [each.trial.setting for each in history if each.failed_reason]
    assert failed
    assert [each.setting for each in result.dropped if each.reason == "out of memory"] == failed
    assert len({tuple(each.items()) for each in failed}) == len(failed)
    assert result.best.setting["WEB_CONCURRENCY"] == "4"
    effects = {(each.variable, each.value): each for each in result.effects}
    lost = effects["WEB_CONCURRENCY", "8"]
    assert lost.percent is None
    assert lost.reason == "WEB_CONCURRENCY=8 failed each time"


def test_a_value_that_failed_each_time_is_proposed_last():
    """After the spread; none with the value that never starts."""

    def fails(setting):
        return "unknown model" if setting["BATCH"] == "32" else None

    first = screened(TuningSpec(environment=LARGE, budget_s=200.0), additive, 2, fails)
    proposed = first[math.ceil(len(first) * 2 / 3) :]
    assert proposed
    assert all(each["BATCH"] != "32" for each in proposed)


def test_when_nothing_starts_there_is_no_answer_but_a_reason():
    spec = TuningSpec(environment=SMALL)
    result, history = searched(spec, additive, 1, fails=lambda _: "port in use")
    assert (result.best, result.gain, result.standings) == (None, None, ())
    assert result.reason == "no setting has a score: port in use"
    assert len(history) == 6
    assert all(each.percent is None for each in result.effects)


def test_a_baseline_that_fails_leaves_a_best_without_a_gain():
    def fails(setting):
        is_baseline = setting == {"OMP_NUM_THREADS": "1", "WEB_CONCURRENCY": "1"}
        return "needs two workers" if is_baseline else None

    result, _ = searched(TuningSpec(environment=SMALL), additive, 1, fails=fails)
    assert result.best is not None
    assert result.gain is None
    assert result.reason == "the baseline has no score: needs two workers"


def test_a_baseline_that_is_surely_worse_fills_a_place_that_nobody_needs():
    """Here it is by far the worst, and the few that may be best leave room."""
    spec = TuningSpec(environment=LARGE, baseline={"OMP_NUM_THREADS": "8"})
    result, _ = searched(spec, additive, 4, noise=0.01)
    assert result.baseline.rung == result.best.rung == 2
    assert result.gain.ratio == pytest.approx(math.exp(0.3 + 0.66 + 0.3), rel=0.05)


def spec_of(levels, **rest):
    environment = {f"V{n}": list(range(count)) for n, count in enumerate(levels)}
    return TuningSpec(environment=environment, **rest)


grids = st.lists(st.integers(1, 4), min_size=1, max_size=4).filter(
    lambda levels: math.prod(levels) >= 2
)


@settings(max_examples=15, deadline=None)
@given(grids, st.floats(60, 400), st.integers(4, 25), st.integers(0, 99), st.booleans())
def test_the_budget_is_never_exceeded(levels, budget_s, trials, seed, is_limited):
    """Neither seconds nor trials, and the plan is an upper bound of both."""
    spec = spec_of(levels, budget_s=budget_s, trials=trials if is_limited else None)
    result, history = searched(spec, equal, seed)
    assert planned_seconds(spec) <= budget_s + 1e-6
    assert result.load_s <= planned_seconds(spec) + 1e-6
    assert len(history) == result.trials <= planned_trials(spec)
    assert planned_trials(spec) <= trials or not is_limited
    assert result.load_s == pytest.approx(sum(each.trial.fidelity_s for each in history))


@given(grids, st.integers(2, 60), st.integers(2, 10), st.floats(3, 100))
def test_any_number_of_trials_from_two_can_be_planned(levels, trials, eta, trial_s):
    """At full length on top, each rung below shorter by eta, fewer places the higher."""
    spec = spec_of(levels, trials=trials, eta=eta, trial_s=trial_s)
    rungs = plan_ladder(spec).rungs
    assert sum(each.settings for each in rungs) == planned_trials(spec) <= trials
    assert rungs[-1].fidelity_s == trial_s
    assert rungs[0].fidelity_s >= spec.shortest_s * (1 - 1e-9)
    for below, above in itertools.pairwise(rungs):
        assert above.fidelity_s == pytest.approx(eta * below.fidelity_s)
        assert 2 <= above.settings <= below.settings


def test_trials_that_take_longer_than_planned_end_the_search_within_its_budget():
    spec = TuningSpec(environment=SMALL, budget_s=110.0)
    rng = np.random.default_rng(1)
    history = ()
    while isinstance(found := next_trial(history, spec, 1), Trial):
        slow = measured(found, additive, rng, spec)
        history += (slow.model_copy(update={"spent_s": 1.3 * found.fidelity_s}),)
    assert found.load_s <= 110 + 0.3 * 27
    assert found.best is not None


@given(grids)
def test_without_a_budget_every_setting_is_tried_and_none_at_full_length_at_once(levels):
    spec = spec_of(levels)
    count = spec.settings_count
    assert planned_trials(spec) >= count
    assert planned_seconds(spec) <= full_grid_s(spec)
    if count > 4:
        assert planned_seconds(spec) <= 0.8 * full_grid_s(spec)


@given(grids, st.floats(60, 3000), st.floats(1, 3))
def test_a_larger_budget_plans_no_fewer_settings(levels, budget_s, factor):
    little = spec_of(levels, budget_s=budget_s)
    much = spec_of(levels, budget_s=factor * budget_s)
    first = [next_trial((), each, 0) for each in (little, much)]
    assert all(isinstance(each, Trial) for each in first)
    assert planned_seconds(much) <= factor * budget_s + 1e-6


def test_the_plan_of_a_grid_of_48_is_the_textbook_s():
    """48 at 3 s, 16 at 9 s, 6 at 27 s: 144 + 144 + 162."""
    spec = TuningSpec(environment=LARGE)
    assert planned_seconds(spec) == pytest.approx(450)
    assert planned_trials(spec) == 70


def test_a_plan_ends_as_planned_unless_something_is_sure():
    spec = TuningSpec(environment=SMALL)
    result, history = searched(spec, equal, 5)
    assert result.load_s == pytest.approx(planned_seconds(spec), rel=0.2)
    assert len(history) == planned_trials(spec)


def test_the_same_seed_gives_the_same_search_and_another_another():
    spec = TuningSpec(environment=SMALL)
    one, again = searched(spec, additive, 7), searched(spec, additive, 7)
    assert one == again
    assert searched(spec, additive, 8)[1] != one[1]


def test_an_interrupted_search_goes_on_where_it_stopped():
    """Each prefix, through its JSON, with keys in any order, asks for what came next."""
    spec = TuningSpec(environment=LARGE, budget_s=150.0)
    _, history = searched(spec, additive, 3)
    stored = [TrialResult.model_validate_json(each.model_dump_json()) for each in history]
    stored = [
        each.model_copy(
            update={
                "trial": each.trial.model_copy(
                    update={"setting": dict(sorted(each.trial.setting.items()))}
                )
            }
        )
        for each in stored
    ]
    for done in range(0, len(history), 4):
        assert next_trial(tuple(stored[:done]), spec, 3) == history[done].trial
    assert next_trial(tuple(stored), spec, 3) == next_trial(history, spec, 3)


def test_a_history_of_another_plan_is_refused():
    spec = TuningSpec(environment=SMALL)
    _, history = searched(spec, additive, 7)
    with pytest.raises(UsageError, match="not of this plan"):
        next_trial(history[:3], spec, 8)


def test_an_interrupted_search_can_be_concluded():
    spec = TuningSpec(environment=SMALL)
    _, history = searched(spec, additive, 7)
    early = conclude(history[:3], spec, 7)
    assert (early.trials, early.untried) == (3, 3)
    assert early.best.setting in [each.trial.setting for each in history[:3]]
    assert conclude((), spec, 7).reason == "nothing was tried"


def test_trials_have_keys_of_their_own():
    spec = TuningSpec(environment=LARGE)
    _, history = searched(spec, additive, 0, noise=0.02)
    keys = [each.trial.key for each in history]
    assert len(set(keys)) == len(keys)


def test_a_screening_too_small_for_the_grid_tries_every_value():
    spec = TuningSpec(environment=LARGE, budget_s=200.0)
    for seed in range(3):
        first = screened(spec, equal, seed)
        assert len(first) < spec.settings_count
        for variable, values in spec.environment.items():
            assert {each[variable] for each in first} == set(values)


def test_a_result_survives_its_json():
    for truth, fails in ((additive, lambda _: None), (equal, lambda _: "broken")):
        result, _ = searched(TuningSpec(environment=SMALL), truth, 2, fails=fails)
        assert TuningResult.model_validate_json(result.model_dump_json()) == result


def test_values_are_what_an_environment_holds():
    """Text, whatever YAML made of them; and the schema says both may be written."""
    spec = TuningSpec.model_validate({"environment": {"A": [1, 2.5, "auto"]}})
    assert spec.environment["A"] == ("1", "2.5", "auto")
    written = TuningSpec.model_json_schema()["properties"]["environment"]
    kinds = written["additionalProperties"]["items"]["anyOf"]
    assert {each["type"] for each in kinds} == {"string", "integer", "number"}


@pytest.mark.parametrize("seed", range(5))
def test_a_spread_of_four_shows_every_value_of_a_grid_of_four_by_four(seed):
    """A Latin square's diagonal: no value twice, whatever chance decides between equals."""
    rng = np.random.default_rng(seed)
    left = list(itertools.product("0123", repeat=2))
    tried = [left.pop(5)]
    while len(tried) < 4:
        tried.append(most_different(tried, left, rng))
        left.remove(tried[-1])
    assert [len(set(column)) for column in zip(*tried, strict=True)] == [4, 4]


def test_the_chances_to_be_best_add_up():
    result, _ = searched(TuningSpec(environment=SMALL), additive, 2)
    assert sum(each.probability_best for each in result.standings) == pytest.approx(1)
    scores = [each.score for each in result.standings]
    assert scores == sorted(scores, reverse=True)


def test_the_surface_of_one_setting_is_the_weighted_mean_of_its_runs():
    """Theory: the inverse variances weigh; the vague level hardly pulls."""
    seen = [Observation(("1",), 0, 4.0, 0.1), Observation(("1",), 0, 4.3, 0.2)]
    belief = Surface(seen).gains([("1",)], 0)
    assert belief.mean[0] == pytest.approx((4.0 / 0.01 + 4.3 / 0.04) / 125, abs=0.02)
    assert 0.089 <= belief.sd[0] < 0.15


def test_the_surface_predicts_settings_that_were_never_tried():
    """Additive variables of three values: eight settings give the ninth."""
    seen = [
        Observation((str(one), str(other)), 0, 0.4 * one + 0.2 * other, 0.01)
        for one, other in itertools.product(range(3), repeat=2)
        if (one, other) != (2, 2)
    ]
    belief = Surface(seen).gains([("2", "2"), ("0", "0")], 0)
    assert belief.mean[0] == pytest.approx(1.2, abs=0.03)
    assert belief.sd[0] > belief.sd[1]


def test_expected_improvement_at_its_limits():
    """Sure: the improvement itself, or nothing. Level with the best: sd / sqrt(2 pi)."""
    belief = Belief(np.array([1.5, 0.5, 1.0]), np.diag([0.0, 0.0, 0.04]))
    expected = [0.5, 0.0, 0.2 / math.sqrt(2 * math.pi)]
    assert expected_improvement(belief, 1.0) == pytest.approx(expected, abs=1e-6)


def test_what_trials_of_one_length_share_changes_no_difference():
    """Short trials score 20 % less: a setting with short ones only is not the worse for it."""
    rng = np.random.default_rng(4)
    seen = [
        Observation((str(n),), rung, 1.0 - 0.2 * (rung == 0) + 0.01 * rng.normal(), 0.01)
        for n, rung in itertools.chain(
            itertools.product(range(8), [0]), itertools.product(range(4), [1])
        )
    ]
    over = Surface(seen).gains([("0",), ("7",)], 1).over(0)
    assert over.mean[1] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"environment": {"A": [1]}}, "one setting only"),
        ({"environment": {"A": []}}, "A has no values"),
        ({"environment": {"A": [1, "1"]}}, "names a value twice"),
        ({"environment": {"A": [True, False]}}, "'true' in quotes"),
        ({"environment": {f"V{n}": list(range(8)) for n in range(5)}}, "narrow them"),
        ({"environment": SMALL, "baseline": {"OMP_THREADS": 1}}, "did you mean 'OMP_NUM_THREADS'"),
        ({"environment": SMALL, "baseline": {"OMP_NUM_THREADS": 3}}, "there are 1, 2"),
        ({"environment": SMALL, "shortest_s": 60}, "longer than the longest"),
        ({"environment": SMALL, "objectve": "capacity"}, "objectve"),
    ],
)
def test_a_spec_that_makes_no_sense_says_why(wrong, message):
    with pytest.raises(ValidationError, match=message):
        TuningSpec.model_validate(wrong)


def test_a_budget_too_small_to_compare_two_settings_is_refused():
    with pytest.raises(UsageError, match="compare two settings takes 54 s"):
        planned_seconds(TuningSpec(environment=SMALL, budget_s=50.0))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"score": 1.0, "failed_reason": "both"},
        {"score": 1.0, "low": 2.0, "high": 3.0},
        {"score": 0.0},
        {"score": math.nan},
    ],
)
def test_a_result_is_a_score_or_a_reason(wrong):
    trial = Trial(setting={"A": "1"}, fidelity_s=3.0, rung=0)
    with pytest.raises(ValidationError):
        TrialResult(trial=trial, **wrong)
