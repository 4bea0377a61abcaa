"""What a simulation found, for people: a table, and as Markdown."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.text import Text

from loadtests.quantities import rate_text, seconds_text
from recommender.cli.tables import plain_table
from recommender.explain import usd
from recommender.exports.markdown import escaped
from recommender.simulation.words import hour_text, lost_text, probability_text, share_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from recommender.cli.output import Destinations
    from recommender.simulation.bench import BenchTimed
    from recommender.simulation.report import SimulationReport, Way, ZonePlanFacts
    from recommender.simulation.ways.curves import BreakEvenFacts

__all__ = ["present_bench", "present_simulation", "show_ways"]

HEADINGS = ("way", "$/month", "$/million (good)", "in time", "meets it", "lost", "worst hour")
MILLION = 1e6


def present_simulation(report: SimulationReport, destinations: Destinations) -> None:
    destinations.write(report.model_dump_json(indent=2) + "\n", _markdown(report))
    if not destinations.is_for_a_person:
        return
    console = destinations.console()
    show_ways(report, console)
    for title, lines in _sections(report):
        console.print(Text(f"\n{title}", style="bold"))
        for line in lines:
            console.print(Text(f"  {line}"))


def show_ways(report: SimulationReport, console: Console) -> None:
    console.print()
    for line in _head(report):
        console.print(Text(line, style="bold"))
    table = plain_table()
    for heading in HEADINGS:
        is_first = heading == HEADINGS[0]
        table.add_column(heading, justify="left" if is_first else "right", no_wrap=not is_first)
    for way in report.ways:
        table.add_row(*_row(way))
    console.print()
    console.print(table)


def present_bench(timed: Sequence[BenchTimed], destinations: Destinations) -> None:
    rows = [(each.case.name, each.seconds, each.s_per_day, each.case.goal_s) for each in timed]
    lines = [
        f"| {name} | {seconds:.3f} | {per_day:.4f} | {'' if goal_s is None else f'{goal_s:g}'} |"
        for name, seconds, per_day, goal_s in rows
    ]
    headings = ("simulated", "s of one core", "s a day simulated", "goal s")
    head = [f"| {' | '.join(headings)} |", "|---|--:|--:|--:|"]
    destinations.write(
        json.dumps([asdict(each) for each in timed], indent=2) + "\n",
        "\n".join([*head, *lines]) + "\n",
    )
    if not destinations.is_for_a_person:
        return
    table = plain_table()
    for heading in headings:
        table.add_column(heading, justify="left" if heading == headings[0] else "right")
    for name, seconds, per_day, goal_s in rows:
        goal = "" if goal_s is None else f"{goal_s:g}"
        table.add_row(name, f"{seconds:.3f}", f"{per_day:.4f}", goal)
    destinations.console().print(table)


def _head(report: SimulationReport) -> list[str]:
    traffic = report.traffic
    return [
        f"{report.objective} with a confidence of {report.confidence:.0%}, in {report.region}",
        (
            f"{traffic.text}: {seconds_text(traffic.duration_s)}, mean "
            f"{rate_text(float(f'{traffic.mean_rps:.3g}'))}, "
            f"peak {rate_text(float(f'{traffic.peak_rps:.3g}'))}"
        ),
    ]


def _row(way: Way) -> tuple[str, ...]:
    good, worst = way.good_ratio, way.worst_hour
    million = way.usd_per_million_good
    good_usd = "none" if million is None else usd(f"{million:.6g}")
    return (
        f"{way.name}: {way.option}, {way.text}",
        usd(way.usd_per_month),
        f"{usd(f'{way.usd_per_million:.6g}')} ({good_usd})",
        f"{share_text(good.low)} to {share_text(good.high or 1)}",
        probability_text(way),
        lost_text(way),
        "" if worst is None else f"{share_text(worst.good_ratio)} {hour_text(worst.at_s)}",
    )


def _sections(report: SimulationReport) -> Iterator[tuple[str, list[str]]]:
    first = report.ways[0]
    yield f"Bill of {first.name}, a month", [
        *(f"{item.name}: {float(item.quantity):,.1f} {item.unit} x ${item.usd_per_unit} = "
          f"{usd(item.usd)}" for item in first.items),
        f"in all {usd(first.usd_per_month)}{_interval(first)}",
    ]  # fmt: skip
    if report.missing:
        yield (
            "Not simulated",
            [
                f"{each.name}: {each.reason}" + (f" (see {each.hint})" if each.hint else "")
                for each in report.missing
            ],
        )
    if report.explanation:
        yield "Why", list(report.explanation)
    if report.zones:
        yield "Zones, of a fixed fleet", [_zone_text(each) for each in report.zones]
    if report.break_even is not None:
        yield "Break-even", list(_break_even(report.break_even))
    notes = [note for way in report.ways for note in way.notes]
    yield "Assumed", list(dict.fromkeys([*notes, *report.assumptions]))


def _zone_text(plan: ZonePlanFacts) -> str:
    if plan.zones == 1:
        return f"1: {plan.replicas} instances, {usd(f'{plan.usd_per_month:.6g}')} a month"
    more = usd(f"{plan.extra_usd_per_month:.6g}")
    return (
        f"{plan.zones}: {plan.replicas} instances, {usd(f'{plan.usd_per_month:.6g}')} a month, "
        f"{more} more; while the fullest is lost {1 - plan.lost_ratio:.0%} of the requests are "
        "in time"
    )


def _break_even(found: BreakEvenFacts) -> Iterator[str]:
    """Who is cheapest at how many requests, and who overtakes whom for good."""
    yield f"this traffic: {_millions(found.requests_per_month)} requests a month"
    for each in found.stretches:
        if each.cheapest is not None:
            until = _millions(each.to_requests)
            yield f"cheapest from {_millions(each.from_requests)} to {until}: {each.cheapest}"
    last = {frozenset((met.cheaper_below, met.cheaper_above)): met for met in found.crossings}
    for met in last.values():
        yield (
            f"above {_millions(met.requests_per_month)} {met.cheaper_above} stays cheaper than "
            f"{met.cheaper_below}"
        )
    for curve in found.curves:
        if curve.meets_from > 0:
            yield (
                f"below {_millions(curve.meets_from)} {curve.name} misses the objective: too many "
                "requests start cold"
            )


def _millions(requests: float) -> str:
    return f"{requests / MILLION:,.4g} million" if requests else "0"


def _interval(way: Way) -> str:
    found = way.usd_per_month_range
    if found.high is None or found.high == found.low:
        return ""
    return f"; with 80 % between {usd(f'{found.low:.6g}')} and {usd(f'{found.high:.6g}')}"


def _markdown(report: SimulationReport) -> str:
    lines = [f"# {_head(report)[0]}", "", _head(report)[1], ""]
    lines += [f"| {' | '.join(HEADINGS)} |", f"|{'|'.join(['---'] * len(HEADINGS))}|"]
    lines += [f"| {' | '.join(escaped(cell) for cell in _row(way))} |" for way in report.ways]
    for title, said in _sections(report):
        lines += ["", f"## {title}", "", *(f"- {escaped(line)}" for line in said)]
    return "\n".join(lines) + "\n"
