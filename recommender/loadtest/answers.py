"""The answer of each mode, from what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from loadtests.errors import InvalidMeasurement
from loadtests.judging import judge_measurement
from loadtests.measurement import Interval
from loadtests.modes import offline, profile, tiers
from loadtests.modes.compare import CompareSettings
from loadtests.modes.compare import compare as compare_samples
from loadtests.modes.drift import MemorySeries, SoakSettings, judge_soak
from loadtests.modes.offline import OfflineResult
from loadtests.modes.profile import LoadCurve
from loadtests.probe import replayed
from loadtests.slo import (
    Bound,
    ErrorRateObjective,
    GoodputObjective,
    LatencyObjective,
    TokenObjective,
    Verdict,
    claimed_quantile,
    is_about_quantiles,
    judge,
)
from loadtests.traffic import Traffic
from recommender.loadtest.comparing import taken_side_by_side
from recommender.loadtest.course import (
    course_of,
    offline_settings,
    profile_settings,
    search_settings,
    tiers_of,
)
from recommender.loadtest.report import (
    CapacityAnswer,
    ComparisonAnswer,
    FixedAnswer,
    ObjectiveVerdict,
    OfflineAnswer,
    ProfileAnswer,
    SoakAnswer,
    TierAnswer,
    TuningAnswer,
)
from recommender.loadtest.scenario import (
    CapacityScenario,
    CompareScenario,
    FixedScenario,
    OfflineScenario,
    ProfileScenario,
    SoakScenario,
    TuneScenario,
    load_of,
)
from recommender.loadtest.tuned import tuning_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.measurement import Measurement
    from loadtests.modes.ladder import Evidence
    from loadtests.modes.tiers import TierCapacity
    from loadtests.probe import Measured
    from loadtests.slo import Objective
    from recommender.loadtest.agenda import Test
    from recommender.loadtest.kept import Kept
    from recommender.loadtest.plan import Plan
    from recommender.loadtest.report import Answer

__all__ = ["Case", "answer_of", "is_settled"]

MILLION = Decimal(1_000_000)
HOUR_S = Decimal(3600)


@dataclass(frozen=True, slots=True)
class Case:
    """A test with all that is known of it. usd_per_hour: None without a price."""

    test: Test
    plan: Plan
    kept: Mapping[tuple[str, str], Kept]
    usd_per_hour: Decimal | None

    @property
    def steps(self) -> Mapping[str, Measured]:
        """Of the one configuration it measures."""
        found = self.kept.get((self.test.name, self.test.scenario.name))
        return {} if found is None else found.steps


def answer_of(case: Case) -> Answer | None:
    """None while a run is missing. Raises InvalidMeasurement where nothing was answered well."""
    match case.test.scenario:
        case CompareScenario() as scenario:
            return _compared(case, scenario)
        case TuneScenario() as scenario:
            kept = case.kept.get((case.test.name, scenario.name))
            found = None if kept is None else tuning_answer(case.test, case.plan, kept)
            return None if found is None else TuningAnswer(tuning=found)
        case _:
            history = replayed(course_of(case.test, case.plan), case.steps)
            return None if history is None else _searched(case, history)


def is_settled(test: Test, plan: Plan, kept: Mapping[tuple[str, str], Kept]) -> bool:
    """Is every run there that its answer needs?"""
    if isinstance(test.scenario, CompareScenario):
        return taken_side_by_side(test, kept) is not None
    own = kept.get((test.name, test.scenario.name))
    if own is None:
        return False
    if isinstance(test.scenario, TuneScenario):
        return tuning_answer(test, plan, own) is not None
    try:
        return replayed(course_of(test, plan), own.steps) is not None
    except InvalidMeasurement:
        return False


def _searched(case: Case, history: tuple[Evidence, ...]) -> Answer:
    match case.test.scenario:
        case CapacityScenario() as scenario:
            return _capacity(case, scenario, history)
        case ProfileScenario() as scenario:
            curve = profile.next_step(history, profile_settings(scenario, case.plan))
            if not isinstance(curve, LoadCurve):
                raise TypeError("a whole history asks for no step")
            return ProfileAnswer(curve=curve)
        case OfflineScenario() as scenario:
            return _offline(case, scenario, history)
        case FixedScenario() as scenario:
            return _fixed(case, scenario, tuple(each.measurement for each in history))
        case SoakScenario():
            return _soak(case, history)
        case scenario:
            raise TypeError(scenario.mode)


def _capacity(
    case: Case, scenario: CapacityScenario, history: tuple[Evidence, ...]
) -> CapacityAnswer:
    sought = tiers_of(case.plan)
    found = tiers.next_step(history, sought, search_settings(scenario, case.plan))
    if not isinstance(found, tuple):
        raise TypeError("a whole history asks for no step")
    return CapacityAnswer(tiers=tuple(_tier(each, case.usd_per_hour) for each in found))


def _tier(found: TierCapacity, usd_per_hour: Decimal | None) -> TierAnswer:
    capacity = found.capacity
    return TierAnswer(
        tier=found.tier.name,
        slo=found.tier.slo.text,
        capacity_rps=Interval(
            value=capacity.rate_rps, low=capacity.low_rps, high=capacity.high_rps
        ),
        saturation_rps=capacity.model.saturation_rps,
        headroom_ratio=capacity.headroom_ratio,
        basis=capacity.basis,
        first_breach=None if capacity.first_breach is None else capacity.first_breach.text,
        cliff=None if capacity.cliff is None else capacity.cliff.text,
        usd_per_million=_usd_per_million(usd_per_hour, capacity.rate_rps),
    )


def _offline(
    case: Case, scenario: OfflineScenario, history: tuple[Evidence, ...]
) -> OfflineAnswer:
    found = offline.next_step(history, offline_settings(scenario))
    if not isinstance(found, OfflineResult):
        raise TypeError("a whole history asks for no step")
    return OfflineAnswer(
        offline=found,
        usd_per_million_rows=_usd_per_million(case.usd_per_hour, found.rows_per_s.value),
    )


def _fixed(case: Case, scenario: FixedScenario, runs: tuple[Measurement, ...]) -> FixedAnswer:
    is_open = isinstance(load_of(scenario), Traffic)
    throughput = float(np.median([run.throughput_rps for run in runs]))
    return FixedAnswer(
        loop="open" if is_open else "closed",
        verdicts=tuple(
            _verdict(tier.name, objective, runs, is_open=is_open)
            for tier in tiers_of(case.plan)
            for objective in tier.slo.objectives
        ),
        usd_per_million=_usd_per_million(case.usd_per_hour, throughput),
    )


def _verdict(
    tier: str, objective: Objective, runs: tuple[Measurement, ...], *, is_open: bool
) -> ObjectiveVerdict:
    """MISSED when one repeat surely missed, MET when every one surely met."""
    judge_one = judge_measurement if is_open else _judge_service
    verdicts = {judge_one(run, objective) for run in runs}
    figures = [_figure(run, objective, is_open=is_open) for run in runs]
    return ObjectiveVerdict(
        tier=tier,
        objective=objective.text,
        measured=_middle(figures),
        unit="s" if is_about_quantiles(objective) else "ratio",
        verdict=_overall(verdicts),
    )


def _overall(verdicts: set[Verdict]) -> Verdict:
    if Verdict.MISSED in verdicts:
        return Verdict.MISSED
    return Verdict.MET if verdicts == {Verdict.MET} else Verdict.UNKNOWN


def _judge_service(measured: Measurement, objective: Objective) -> Verdict:
    """A closed loop keeps nobody waiting to be sent: what its users saw is the service time."""
    if not isinstance(objective, LatencyObjective):
        return judge_measurement(measured, objective)
    seen = _figure(measured, objective, is_open=False)
    if not measured.is_evidence or seen.value is None:
        return Verdict.UNKNOWN
    return judge(Bound(seen.value, seen.low, seen.high), objective.limit_s)


def _figure(measured: Measurement, objective: Objective, *, is_open: bool) -> Interval:
    match objective:
        case ErrorRateObjective():
            return measured.error_ratio
        case GoodputObjective(within=limits):
            return measured.goodput_within(limits)
        case TokenObjective():
            return measured.at(objective)
        case LatencyObjective(quantile=quantile):
            if is_open:
                return measured.latency_at(quantile)
            found = (each.seconds for each in measured.service if each.quantile == quantile)
            return next(found, Interval(value=None))


def _middle(figures: list[Interval]) -> Interval:
    """The median of the repeats, within the lowest low and the highest high."""
    values = [each.value for each in figures if each.value is not None]
    lows = [each.low for each in figures]
    highs = [each.high for each in figures]
    if len(values) < len(figures):
        return Interval(value=None)
    return Interval(
        value=float(np.median(values)),
        low=None if None in lows else min(each for each in lows if each is not None),
        high=None if None in highs else max(each for each in highs if each is not None),
    )


def _soak(case: Case, history: tuple[Evidence, ...]) -> SoakAnswer:
    taken = case.steps[history[-1].step.key]
    growth = None if taken.resources is None else taken.resources.memory_growth()
    quantile = claimed_quantile(tiers_of(case.plan)[0].slo.latency)
    return SoakAnswer(
        soak=judge_soak(
            taken.samples,
            SoakSettings(quantile=quantile),
            memory=None if growth is None else MemorySeries(*growth),
            memory_gib=case.test.configurations[0].memory_gib,
        )
    )


def _compared(case: Case, scenario: CompareScenario) -> ComparisonAnswer | None:
    taken = taken_side_by_side(case.test, case.kept)
    if taken is None:
        return None
    names = [each.name for each in case.test.configurations]
    settings = CompareSettings(
        quantile=scenario.quantile, margin_ratio=scenario.margin_ratio, seed=case.plan.seed
    )
    baseline = (names[0], taken[0].samples)
    return ComparisonAnswer(
        comparisons=tuple(
            compare_samples(
                baseline, (name, measured.samples), settings, shadow=name in scenario.shadow
            )
            for name, measured in list(zip(names, taken, strict=True))[1:]
        )
    )


def _usd_per_million(usd_per_hour: Decimal | None, rate: float | None) -> Decimal | None:
    if usd_per_hour is None or rate is None or rate <= 0:
        return None
    return usd_per_hour / (Decimal(repr(rate)) * HOUR_S) * MILLION
