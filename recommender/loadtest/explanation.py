"""A plan in words: what will be run, how long it takes, how much is asked and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from loadtests.targets.limits import capabilities
from loadtests.tuning import planned_trials
from recommender.loadtest.agenda import (
    Estimate,
    agenda,
    configurations_of,
    duration_s,
    estimate_of,
    starting_s,
)
from recommender.loadtest.prices import hourly_prices, paid_prices
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.scenario import (
    CapacityScenario,
    CompareScenario,
    FixedScenario,
    OfflineScenario,
    ProfileScenario,
    SoakScenario,
    TuneScenario,
    load_of,
    traffic_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pricing import PriceBook
    from recommender.loadtest.agenda import Test
    from recommender.loadtest.plan import Plan
    from recommender.loadtest.scenario import Scenario

__all__ = ["Explanation", "Line", "explain", "explain_here", "length"]

HOUR_S = 3600.0
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Line:
    """One test. usd: None where nothing is billed for it."""

    configuration: str
    scenario: str
    does: str
    estimate: Estimate
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Explanation:
    lines: tuple[Line, ...]
    total: Estimate
    usd: Decimal | None
    words: tuple[str, ...]


def explain_here(plan: Plan, folder: Path, book: PriceBook) -> Explanation:
    """Of a plan on this machine, whose payloads are looked for as well. folder: where they are.

    Raises what keeps such a load test from being begun.
    """
    cores = len(capabilities().cores)
    configurations = configurations_of(plan, cores)
    prices = hourly_prices(configurations, plan.region, book)
    LoadTestRequest.of(plan, folder)
    return explain(plan, cores, paid_prices(plan, configurations, prices))


def explain(plan: Plan, cores: int, usd_per_hour: Mapping[str, Decimal]) -> Explanation:
    """usd_per_hour: of the configurations whose time is paid for, by name."""
    tests = agenda(plan, cores)
    lines = tuple(_line(test, len(plan.tiers), usd_per_hour) for test in tests)
    start_s = starting_s(tests)
    total = sum((line.estimate for line in lines), Estimate(start_s, start_s, start_s, 0.0))
    paid = [line.usd for line in lines if line.usd is not None]
    usd = sum(paid, Decimal(0)) if paid else None
    return Explanation(lines, total, usd, _words(plan, lines, total, usd))


def length(seconds: float) -> str:
    """As one would say it: 40 s, 7 min, 2.5 h."""
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    return f"{seconds / HOUR_S:.1f} h"


def _line(test: Test, tiers: int, usd_per_hour: Mapping[str, Decimal]) -> Line:
    estimate = estimate_of(test, tiers)
    rates = [usd_per_hour[each.name] for each in test.configurations if each.name in usd_per_hour]
    hours = Decimal(repr(estimate.seconds)) / Decimal(HOUR_S)
    return Line(
        configuration=test.name,
        scenario=test.scenario.name,
        does=_does(test.scenario),
        estimate=estimate,
        usd=sum(rates, Decimal(0)) * hours if rates else None,
    )


def _does(scenario: Scenario) -> str:
    match scenario:
        case FixedScenario():
            return _asks(scenario)
        case SoakScenario():
            return f"{traffic_of(scenario).text} for {length(scenario.duration_s)}: does it drift?"
        case CompareScenario():
            span = length(scenario.duration_s)
            return (
                f"{traffic_of(scenario).text} for {span}, split between them: "
                f"is p{scenario.quantile * 100:g} within {scenario.margin_ratio:.0%}?"
            )
        case _:
            return _seeks(scenario)


def _asks(scenario: FixedScenario) -> str:
    """A traffic that has a length of its own has told it."""
    load = load_of(scenario)
    arrivals = "" if scenario.arrivals.process == "poisson" else f", {scenario.arrivals.text}"
    is_told = scenario.duration_s is None and load.duration_s is not None
    span = "" if is_told else f" for {length(duration_s(scenario))}"
    times = f", {scenario.repeats} times" if scenario.repeats > 1 else ""
    return f"{load.text}{arrivals}{span}{times}"


def _seeks(scenario: Scenario) -> str:
    match scenario:
        case CapacityScenario():
            return (
                f"the largest load that meets the SLO, open loop up to {scenario.duration_s:g} s"
            )
        case ProfileScenario(rates_rps=None):
            return f"latency at {scenario.points} loads, {scenario.duration_s:g} s each"
        case ProfileScenario(rates_rps=rates):
            return f"latency at {len(rates or ())} rates, {scenario.duration_s:g} s each"
        case OfflineScenario():
            return f"the highest throughput{_sized(scenario)}, for {scenario.duration_s:g} s"
        case TuneScenario(tuning=tuning):
            most = planned_trials(tuning)
            return f"the best of {tuning.settings_count} environments, {most} trials at most"
        case _:
            raise TypeError(scenario.mode)


def _sized(scenario: OfflineScenario) -> str:
    records = scenario.records
    if records is None:
        return ""
    if scenario.batch_size != "auto":
        return f" at {scenario.batch_size} of {records.count:,} records a request"
    most = records.most_rows(scenario.max_payload_mb)
    return f", at the best of 1 to {most:,} records a request"


def _words(
    plan: Plan, lines: tuple[Line, ...], total: Estimate, usd: Decimal | None
) -> tuple[str, ...]:
    count = len(lines)
    words = [f"{plan.name}: {count} test{'' if count == 1 else 's'}, {_span(total)}."]
    if total.requests is None:
        words.append("How many requests depends on what the server can do.")
    else:
        words.append(f"About {total.requests:,.0f} requests will be sent.")
    if usd is None:
        words.append("Nothing is billed: it all runs on this machine, or where no price is known.")
    else:
        words.append(f"It costs about ${usd:.2f} of instance time.")
    return (*words, *_limited(plan, total, usd))


def _limited(plan: Plan, total: Estimate, usd: Decimal | None) -> Iterator[str]:
    limits = plan.limits
    left_out = (
        "what tells most about the cheapest configuration, of those with a price, comes first, "
        "and the last tests will not be run."
    )
    if limits.time_s is not None:
        yield f"It ends after {length(limits.time_s)} at the latest."
        if limits.time_s < total.low_s:
            yield f"That is too short for all of it: {left_out}"
    if limits.usd is not None:
        yield f"It ends before more than ${limits.usd} is spent."
        if usd is not None and limits.usd < usd:
            yield f"That is too little for all of it: {left_out}"


def _span(total: Estimate) -> str:
    about = f"about {length(total.seconds)}"
    if total.high_s - total.low_s < 0.1 * total.seconds:
        return about
    return f"{about} ({length(total.low_s)} to {length(total.high_s)})"
