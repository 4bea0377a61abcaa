"""What a search found: the best setting, how sure that is, and what each value was worth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.tuning.spec import Objective
from loadtests.tuning.trials import Trials, Z, probability_best

if TYPE_CHECKING:
    from loadtests.tuning.surface import Belief, Surface

__all__ = [
    "Dropped",
    "Effect",
    "Gain",
    "Interaction",
    "Standing",
    "TuningResult",
    "percent",
    "result_of",
]


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Standing(_Figures):
    """A setting's score with its 95 % interval, from all trials through the fitted surface.

    rung: the highest it was measured at, 0 the lowest. probability_best: among all settings that
    have a score.
    """

    setting: dict[str, str]
    score: float
    low: float
    high: float
    rung: int
    trials: int
    probability_best: float


class Gain(_Figures):
    """The best setting's score over the baseline's, with its 95 % interval.

    is_sure: the interval leaves out 1. Otherwise no setting is surely better than the baseline.
    """

    ratio: float
    low: float
    high: float
    is_sure: bool


class Effect(_Figures):
    """The score with this value less that with the baseline's, in %, the other values alike.

    An average over the settings tried where values interact. percent, low and high are None with
    a reason where it is not known.
    """

    variable: str
    value: str
    percent: float | None
    low: float | None
    high: float | None
    trials: int
    reason: str | None = None


class Interaction(_Figures):
    """is_seen: the values do not simply add up (in log score), beyond the noise.

    typical_percent: by how much a setting typically departs from the sum of its values' effects.
    """

    is_seen: bool
    typical_percent: float


class Dropped(_Figures):
    setting: dict[str, str]
    rung: int
    reason: str


class TuningResult(_Figures):
    """best, gain: None with a reason where there is none. standings: the best first.

    untried: settings of the grid that were never measured. load_s: seconds of load spent.
    """

    objective: Objective
    best: Standing | None
    baseline: Standing | None
    gain: Gain | None
    reason: str | None
    standings: tuple[Standing, ...]
    effects: tuple[Effect, ...]
    interaction: Interaction | None
    dropped: tuple[Dropped, ...]
    untried: int
    trials: int
    load_s: float


class Percent(NamedTuple):
    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        return f"{self.value:+.1f} % ({self.low:+.1f} to {self.high:+.1f})"


def percent(mean: float, sd: float, sign: int) -> Percent:
    """Of a log ratio of gains, as a change of the score itself."""
    low, high = sorted((sign * (mean - Z * sd), sign * (mean + Z * sd)))
    return Percent(*(100 * math.expm1(each) for each in (sign * mean, low, high)))


def result_of(trials: Trials, seed: int) -> TuningResult:
    spec, scored = trials.spec, trials.scored()
    surface = trials.surface() if scored else None
    standings = () if surface is None else _standings(trials, surface, seed)
    best = _best(standings)
    at_start = next(
        (each for each in standings if each.setting == spec.named(spec.baseline_setting)), None
    )
    gain = None
    if surface is not None and best is not None and at_start is not None:
        gain = _gain(trials, surface, best)
    return TuningResult(
        objective=spec.objective,
        best=best,
        baseline=at_start,
        gain=gain,
        reason=_reason(trials, best, at_start),
        standings=standings,
        effects=_effects(trials, surface),
        interaction=None if surface is None else _interaction(surface),
        dropped=tuple(
            Dropped(setting=spec.named(each.setting), rung=each.rung, reason=each.reason)
            for each in trials.departures
        ),
        untried=spec.settings_count - len(trials.tried()),
        trials=len(trials.results),
        load_s=trials.load_s,
    )


def _standings(trials: Trials, surface: Surface, seed: int) -> tuple[Standing, ...]:
    scored = trials.scored()
    belief = surface.gains(scored, trials.top_rung)
    chances = probability_best(belief, seed)
    found = []
    for index in np.argsort(-belief.mean, kind="stable"):
        runs = [
            each.trial.rung for each in trials.results if trials.setting(each) == scored[index]
        ]
        found.append(
            Standing(
                setting=trials.spec.named(scored[index]),
                rung=max(runs),
                trials=len(runs),
                probability_best=float(chances[index]),
                **_score(belief, int(index), trials.sign),
            )
        )
    return tuple(found)


def _score(belief: Belief, index: int, sign: int) -> dict[str, float]:
    mean, sd = float(belief.mean[index]), float(belief.sd[index])
    low, high = sorted((sign * (mean - Z * sd), sign * (mean + Z * sd)))
    return {"score": math.exp(sign * mean), "low": math.exp(low), "high": math.exp(high)}


def _best(standings: tuple[Standing, ...]) -> Standing | None:
    """The first of those measured longest: what left the search early cannot win it."""
    top = max((each.rung for each in standings), default=0)
    return next((each for each in standings if each.rung == top), None)


def _gain(trials: Trials, surface: Surface, best: Standing) -> Gain:
    baseline = trials.spec.baseline_setting
    over = surface.gains((trials.spec.unnamed(best.setting), baseline), trials.top_rung).over(1)
    mean, sd = float(over.mean[0]), float(over.sd[0])
    low, high = sorted((trials.sign * (mean - Z * sd), trials.sign * (mean + Z * sd)))
    return Gain(
        ratio=math.exp(trials.sign * mean),
        low=math.exp(low),
        high=math.exp(high),
        is_sure=mean > Z * sd and mean > 0,
    )


def _reason(trials: Trials, best: Standing | None, at_start: Standing | None) -> str | None:
    if not trials.results:
        return "nothing was tried"
    if best is None:
        return "no setting has a score: " + "; ".join(
            dict.fromkeys(each.reason for each in trials.departures)
        )
    if at_start is None:
        failed = {each.setting: each.reason for each in trials.departures}
        why = failed.get(trials.spec.baseline_setting, "it was not tried")
        return f"the baseline has no score: {why}"
    return None


def _effects(trials: Trials, surface: Surface | None) -> tuple[Effect, ...]:
    spec = trials.spec
    return tuple(
        _effect(trials, surface, column, value)
        for column, variable in enumerate(spec.variables)
        for value in spec.environment[variable]
    )


def _effect(trials: Trials, surface: Surface | None, column: int, value: str) -> Effect:
    variable = trials.spec.variables[column]
    reference = trials.spec.baseline_setting[column]
    counts = {
        each: sum(
            trials.setting(result)[column] == each and result.score is not None
            for result in trials.results
        )
        for each in (value, reference)
    }
    unknown = _why_unknown(trials, column, value if counts[value] == 0 else reference, counts)
    if surface is None or unknown is not None:
        found: tuple[float | None, ...] = (None, None, None)
    else:
        belief = surface.effect(column, value, reference)
        found = percent(float(belief.mean[0]), float(belief.sd[0]), trials.sign)
    return Effect(
        variable=variable,
        value=value,
        percent=found[0],
        low=found[1],
        high=found[2],
        trials=counts[value],
        reason=unknown,
    )


def _why_unknown(trials: Trials, column: int, value: str, counts: dict[str, int]) -> str | None:
    if counts[value] > 0:
        return None
    named = f"{trials.spec.variables[column]}={value}"
    was_tried = any(trials.setting(result)[column] == value for result in trials.results)
    return f"{named} {'failed each time' if was_tried else 'was never tried'}"


def _interaction(surface: Surface) -> Interaction:
    return Interaction(
        is_seen=surface.interacts,
        typical_percent=100 * math.expm1(surface.interaction_sd),
    )
