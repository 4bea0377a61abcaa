"""What a simulated fleet and the ways to serve come to, ready to be read. It decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dashboard import format as fmt
from dashboard.views import Card
from recommender.simulation.words import (
    hour_text,
    lost_text,
    probability_text,
    share_text,
)

if TYPE_CHECKING:
    from recommender.recommendation import Range
    from recommender.simulation.fleet_day import FleetDay
    from recommender.simulation.report import SimulationReport, Way

__all__ = ["WayLine", "fleet_cards", "fleet_facts", "missing_lines", "way_lines"]


class WayLine(NamedTuple):
    """usd, in_time: with an interval on a second line."""

    name: str
    what: str
    usd: str
    in_time: str
    probability: str
    lost: str
    worst_hour: str
    meets: bool
    is_chosen: bool


def fleet_cards(day: FleetDay) -> tuple[Card, ...]:
    way = day.chosen
    worst = way.worst_hour
    return (
        Card(
            "Cost per month",
            fmt.usd(way.usd_per_month),
            _usd_interval(way.usd_per_month_range) or "the same in every draw",
            f"{fmt.usd(f'{way.usd_per_million:.6g}')} a million requests",
        ),
        Card(
            "Requests in time",
            share_text(way.good_ratio.median),
            _shares(way.good_ratio),
            f"{fmt.INTERVAL}; {fmt.percent(day.quantile)} are asked for",
        ),
        Card(
            "Sure it meets the objective",
            f"{way.probability:.0%}",
            f"{fmt.percent(day.confidence)} is asked for",
            "share of draws in which enough requests are in time",
        ),
        Card(
            "Instances",
            "not simulated" if way.replicas_mean is None else f"{way.replicas_mean:.3g}",
            "" if way.replicas_most is None else f"at most {way.replicas_most} in any draw",
            "on average, those that start included"
            + ("" if worst is None else f"; worst hour: {share_text(worst.good_ratio)} in time"),
        ),
    )


def fleet_facts(day: FleetDay, asked: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """asked: of the question, beside the traffic."""
    return (
        ("traffic", day.traffic_text),
        ("objective", day.objective),
        ("instance", f"{day.machine}, {fmt.usd(f'{day.usd_per_hour:.6g}')}/h"),
        *asked,
    )


def way_lines(report: SimulationReport, chosen: Way) -> tuple[WayLine, ...]:
    """In the report's order; the policy that is looked at among them, by cost."""
    others = [
        each for each in report.ways if (each.option, each.text) != (chosen.option, chosen.text)
    ]
    lines = [_line(each, is_chosen=False) for each in others]
    before = [
        n for n, each in enumerate(others) if each.meets == chosen.meets
        and not each.at_best and float(each.usd_per_month) <= float(chosen.usd_per_month)
    ]  # fmt: skip
    meeting = sum(each.meets for each in others)
    place = before[-1] + 1 if before else 0 if chosen.meets else meeting
    lines.insert(place, _line(chosen, is_chosen=True))
    return tuple(lines)


def missing_lines(report: SimulationReport) -> tuple[str, ...]:
    return tuple(
        f"{each.name}: {each.reason}" + (f" (see {each.hint})" if each.hint else "")
        for each in report.missing
    )


def _line(way: Way, *, is_chosen: bool) -> WayLine:
    worst = way.worst_hour
    return WayLine(
        name="this policy" if is_chosen else way.name,
        what=f"{way.option}, {way.text}",
        usd="\n".join(
            [_at_least(way) + fmt.usd(way.usd_per_month), _usd_interval(way.usd_per_month_range)]
        ).rstrip(),
        in_time=f"{share_text(way.good_ratio.median)}\n{_shares(way.good_ratio)}",
        probability=probability_text(way),
        lost=lost_text(way) or "none",
        worst_hour="not looked at"
        if worst is None
        else f"{share_text(worst.good_ratio)}\n{hour_text(worst.at_s)}",
        meets=way.meets,
        is_chosen=is_chosen,
    )


def _at_least(way: Way) -> str:
    return "≥ " if way.at_best else ""


def _usd_interval(found: Range) -> str:
    """Nothing where all draws cost the same."""
    if found.high is None or found.high == found.low:
        return ""
    low, high = (fmt.usd(f"{each:.6g}") for each in (found.low, found.high))
    return "" if low == high else f"{low}{fmt.TO}{high}"


def _shares(found: Range) -> str:
    return f"{share_text(found.low)}{fmt.TO}{share_text(found.high or 1.0)}"
