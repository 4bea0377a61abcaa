"""Which trial next: a search that is a pure function of the trials so far.

Screening: the whole grid at the shortest trial, or, where the budget does not carry that, a spread
of settings followed by those the fitted surface expects most of. Then rung by rung: what is surely
worse than the leader is dropped (racing; Maron & Moore 1994), and of the rest as many go on as the
ladder has places. Time saved by dropping early repeats the finalists, until the answer is sure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from loadtests.errors import UsageError
from loadtests.tuning.ladder import Ladder, plan_ladder
from loadtests.tuning.outcome import TuningResult, percent, result_of
from loadtests.tuning.spec import Trial
from loadtests.tuning.trials import (
    Departure,
    Trials,
    better_than,
    expected_improvement,
    most_different,
    probability_best,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from loadtests.tuning.spec import Setting, TrialResult, TuningSpec

    Course = Generator[Trial, TrialResult, None]

__all__ = ["conclude", "next_trial"]

SURELY = 0.01  # probability to be better, below which a setting is dropped
SURE_BEST = 0.95
SPREAD_SHARE = 2 / 3  # of a screening that does not cover the grid; the rest is proposed
AT_ONCE = 64  # candidates whose joint distribution is worked out; it grows as the square
DIGITS = 9  # compared; the last ones differ between machines, and a replay must decide alike
SLACK_S = 1e-6


def next_trial(
    history: tuple[TrialResult, ...], spec: TuningSpec, seed: int
) -> Trial | TuningResult:
    """What to try next, or the answer.

    Raises UsageError when the history is not of this spec and seed, or the budget is too small.
    """
    trials, trial = _replayed(history, spec, seed)
    return result_of(trials, seed) if trial is None else trial


def conclude(history: tuple[TrialResult, ...], spec: TuningSpec, seed: int) -> TuningResult:
    """The answer from what is there, however little; raises as next_trial does."""
    trials, _ = _replayed(history, spec, seed)
    return result_of(trials, seed)


def _replayed(
    history: tuple[TrialResult, ...], spec: TuningSpec, seed: int
) -> tuple[Trials, Trial | None]:
    trials = Trials(spec)
    course = _course(trials, plan_ladder(spec), np.random.default_rng(seed))
    trial = next(course, None)
    for result in history:
        if trial is None or result.trial != trial:
            raise UsageError(
                f"the stored trial {result.trial.key!r} is not of this plan, which asks for "
                f"{'no more' if trial is None else repr(trial.key)}",
                hint="the ranges, the budget or the seed changed: start a new test",
            )
        try:
            trial = course.send(result)
        except StopIteration:
            trial = None
    return trials, trial


def _course(trials: Trials, ladder: Ladder, rng: np.random.Generator) -> Course:
    yield from _screen(trials, ladder, rng)
    for rung in range(1, len(ladder.rungs)):
        field = _promoted(trials, rung - 1, ladder.rungs[rung].settings)
        for index in rng.permutation(len(field)):
            yield from _measure(trials, ladder, field[index], rung)
    yield from _repeat_finalists(trials, ladder)


def _measure(trials: Trials, ladder: Ladder, setting: Setting, rung: int) -> Course:
    """One trial, unless those before took longer than planned and no time is left for it."""
    spec, fidelity_s = trials.spec, ladder.rungs[rung].fidelity_s
    if spec.budget_s is not None and trials.load_s + fidelity_s > spec.budget_s + SLACK_S:
        return
    result = yield Trial(
        setting=spec.named(setting),
        fidelity_s=fidelity_s,
        rung=rung,
        repeat=trials.runs(setting, rung) + 1,
    )
    trials.results.append(result)
    if result.failed_reason is not None:
        trials.departures.append(Departure(setting, rung, result.failed_reason))


def _screen(trials: Trials, ladder: Ladder, rng: np.random.Generator) -> Course:
    spec, places = trials.spec, ladder.rungs[0].settings
    if places == spec.settings_count:
        for index in rng.permutation(places):
            yield from _measure(trials, ladder, spec.grid[index], 0)
        return
    main_effects = 1 + sum(len(values) - 1 for values in spec.environment.values())
    spread = max(math.ceil(SPREAD_SHARE * places), min(main_effects, places))
    left = dict.fromkeys(spec.grid)
    for place in range(places):
        tried = trials.tried()
        if not tried:
            setting = spec.baseline_setting
        elif place < spread or not trials.scored():
            setting = most_different(tried, tuple(left), rng)
        else:
            setting = _most_promising(trials, tuple(left))
        del left[setting]
        yield from _measure(trials, ladder, setting, 0)


def _most_promising(trials: Trials, candidates: tuple[Setting, ...]) -> Setting:
    """By expected improvement; a value that failed each time comes last."""
    scored = trials.scored()
    failed = set(trials.tried()) - set(scored)
    hopeless = [
        {setting[column] for setting in failed} - {setting[column] for setting in scored}
        for column in range(len(trials.spec.variables))
    ]
    hopeful = tuple(
        each
        for each in candidates
        if not any(value in bad for value, bad in zip(each, hopeless, strict=True))
    )
    candidates = hopeful or candidates
    surface = trials.surface()
    best = float(surface.gains(scored, 0).mean.max())
    promises = [
        expected_improvement(surface.gains(candidates[start : start + AT_ONCE], 0), best)
        for start in range(0, len(candidates), AT_ONCE)
    ]
    return candidates[int(np.argmax(np.concatenate(promises).round(DIGITS)))]


def _promoted(trials: Trials, rung: int, places: int) -> tuple[Setting, ...]:
    """Of those at the rung; the others depart with a reason.

    The baseline goes on unless it is surely worse and others need its place.
    """
    field = trials.scored(rung)
    if not field:
        return ()
    belief = trials.surface().gains(field, rung)
    order = [int(index) for index in np.argsort(-belief.mean.round(DIGITS), kind="stable")]
    leader = order[0]
    chances = better_than(belief, leader).round(DIGITS)
    hopeful = [index for index in order if chances[index] >= SURELY]
    kept = hopeful[:places]
    baseline = trials.spec.baseline_setting
    at_start = field.index(baseline) if baseline in field else None
    if at_start is not None and at_start not in kept:
        if at_start in hopeful:
            kept = [*kept[: places - 1], at_start]
        elif len(kept) < places:
            kept.append(at_start)
    over = belief.over(leader)
    for index in order:
        if index not in kept:
            behind = percent(float(over.mean[index]), float(over.sd[index]), trials.sign)
            why = f"no place among the {places} that go on" if index in hopeful else "surely worse"
            trials.departures.append(
                Departure(field[index], rung, f"{why}: {behind.text} against the leader")
            )
    return tuple(field[index] for index in kept)


def _repeat_finalists(trials: Trials, ladder: Ladder) -> Course:
    """While time saved is left and the answer is not sure: the least often tried contender."""
    top = len(ladder.rungs) - 1
    trial_s = ladder.rungs[top].fidelity_s
    while (
        len(trials.results) < ladder.trials and trials.load_s + trial_s <= ladder.load_s + SLACK_S
    ):
        contenders = _undecided(trials, top)
        if not contenders:
            return
        before = len(trials.results)
        setting = min(contenders, key=lambda each: trials.runs(each, top))
        yield from _measure(trials, ladder, setting, top)
        if len(trials.results) == before:
            return


def _undecided(trials: Trials, top: int) -> tuple[Setting, ...]:
    """The finalists that may be the best, the baseline with them; none when the answer is sure."""
    field = trials.scored(top)
    if len(field) < 2:  # noqa: PLR2004 - one alone is not compared
        return ()
    belief = trials.surface().gains(field, top)
    leader = int(np.argmax(belief.mean.round(DIGITS)))
    chances = better_than(belief, leader).round(DIGITS)
    contenders = {field[index] for index in np.flatnonzero(chances >= SURELY)}
    baseline = trials.spec.baseline_setting
    beaten = baseline not in contenders or baseline == field[leader]
    # Drawn alike at each replay, whatever was drawn before.
    if beaten and probability_best(belief, seed=0)[leader] >= SURE_BEST:
        return ()
    if baseline in field:
        contenders.add(baseline)
    return tuple(each for each in field if each in contenders)
