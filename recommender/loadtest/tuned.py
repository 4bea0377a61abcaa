"""The search for settings: each trial starts the server anew with them and puts it under load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.errors import TargetError
from loadtests.modes import capacity
from loadtests.modes.capacity import SearchSettings
from loadtests.modes.ladder import Evidence, service_model
from loadtests.probe import carry_out, replayed
from loadtests.samples import quantile_bound
from loadtests.steps import ClosedStep
from loadtests.tuning import Trial, TrialResult, TuningResult, next_trial
from recommender.loadtest.course import MANY_REQUESTS, Course, Done, tiers_of
from recommender.loadtest.kept import Note
from recommender.loadtest.scenario import TuneScenario

if TYPE_CHECKING:
    from loadtests.steps import Step
    from recommender.loadtest.agenda import Test
    from recommender.loadtest.kept import Kept
    from recommender.loadtest.plan import Plan
    from recommender.loadtest.rig import Rig

__all__ = ["tune", "tuning_answer"]

ALONE_SHARE = 1 / 3  # of a trial's time, for one request at a time; the rest is for many
MANY_PER_VCPU = 8
LATENCY_QUANTILE = 0.95
Z = 1.96  # 95 %


def tune(rig: Rig, test: Test) -> None:
    """Trial after trial, until the search has its answer.

    A setting whose server does not start or does not survive is out of the search. A measurement
    that stays INVALID is not the setting's fault, and ends it: raises InvalidMeasurement.
    """
    scenario = _scenario(test)
    while True:
        _, trial = _progress(test, rig.plan, rig.kept_of(test.name, scenario.name))
        if trial is None:
            return
        within = _within(trial)
        try:
            tried = scenario.tried(test.configurations[0], trial.setting)
            with rig.serving(*tried) as started:
                course = _course(trial, test)
                hooks = rig.hooks(test.name, scenario.name, within)
                carry_out(rig.probe(started, scenario), course, hooks)
        except TargetError as error:
            note = Note(state="failed", reason=_in_one_line(error))
            rig.note(test.name, scenario.name, note, within)


def _in_one_line(error: TargetError) -> str:
    """What was seen, and the last line that the server wrote."""
    seen, *written = str(error).splitlines()
    return f"{seen} {written[-1].strip(' |')}" if written else seen


def tuning_answer(test: Test, plan: Plan, kept: Kept) -> TuningResult | None:
    """From what is stored; None while a trial is missing."""
    results, trial = _progress(test, plan, kept)
    if trial is not None:
        return None
    answer = next_trial(results, _scenario(test).tuning, plan.seed)
    return answer if isinstance(answer, TuningResult) else None


def _progress(test: Test, plan: Plan, kept: Kept) -> tuple[tuple[TrialResult, ...], Trial | None]:
    """The trials that are over, and the one that comes next or is not whole."""
    results: tuple[TrialResult, ...] = ()
    while True:
        trial = next_trial(results, _scenario(test).tuning, plan.seed)
        if not isinstance(trial, Trial):
            return results, None
        result = _result(trial, test, plan, kept)
        if result is None:
            return results, trial
        results += (result,)


def _course(trial: Trial, test: Test) -> Course:
    """One request at a time, then many: what it takes, and what it can do at most."""
    vcpus = test.configurations[0].vcpus or 1
    alone_s = ALONE_SHARE * trial.fidelity_s
    steps = (
        ClosedStep(1, MANY_REQUESTS, alone_s),
        ClosedStep(round(MANY_PER_VCPU * vcpus), MANY_REQUESTS, trial.fidelity_s - alone_s),
    )

    def course(history: tuple[Evidence, ...]) -> Step | Done:
        return steps[len(history)] if len(history) < len(steps) else Done()

    return course


def _result(trial: Trial, test: Test, plan: Plan, kept: Kept) -> TrialResult | None:
    within = _within(trial)
    history = replayed(_course(trial, test), kept.within(within))
    if history is None:
        note = kept.notes.get(within)
        return None if note is None else TrialResult(trial=trial, failed_reason=note.reason)
    return _scored(trial, history, test, plan)


def _scored(trial: Trial, history: tuple[Evidence, ...], test: Test, plan: Plan) -> TrialResult:
    match _scenario(test).tuning.objective:
        case "throughput":
            model = service_model(history)
            return _of(trial, model.saturation_rps, Z * model.saturation_error)
        case "latency":
            bound = quantile_bound(history[0].service_s, LATENCY_QUANTILE)
            return TrialResult(
                trial=trial, score=bound.value, low=bound.low or 0.0, high=bound.high
            )
        case _:
            return _capacity(trial, history, plan)


def _capacity(trial: Trial, history: tuple[Evidence, ...], plan: Plan) -> TrialResult:
    """Under the first tier of the plan."""
    tier = tiers_of(plan)[0]
    settings = SearchSettings(confidence=0.95, seed=plan.seed)
    found = capacity.conclude(history, tier.slo, settings)
    if found is None or found.rate_rps <= 0:
        reason = f"even one request at a time misses {tier.slo.text}"
        return TrialResult(trial=trial, failed_reason=reason)
    return TrialResult(trial=trial, score=found.rate_rps, low=found.low_rps, high=found.high_rps)


def _of(trial: Trial, score: float, error_ratio: float) -> TrialResult:
    low, high = score * max(1 - error_ratio, 0.0), score * (1 + error_ratio)
    return TrialResult(trial=trial, score=score, low=low, high=high)


def _within(trial: Trial) -> str:
    return f"{trial.key}: "


def _scenario(test: Test) -> TuneScenario:
    if not isinstance(test.scenario, TuneScenario):
        raise TypeError(test.scenario.mode)
    return test.scenario
