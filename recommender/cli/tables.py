"""Tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from recommender.explain import (
    REASONS,
    group_of,
    rejected_by_reason,
    select,
    usd,
    verdict,
)

if TYPE_CHECKING:
    from rich.console import Console

    from recommender.explain import Selection
    from recommender.recommendation import Candidate, Performance, Recommendation

__all__ = ["interval_ms", "render"]

EXAMPLES = 2


def render(console: Console, recommendation: Recommendation, selection: Selection) -> None:
    console.print()
    first, *more = verdict(recommendation)
    console.print(Text(first, style="bold"))
    for sentence in more:
        console.print(Text(sentence))
    console.print()
    if recommendation.ranked:
        console.print(_ranked(recommendation, selection))
        console.print(Text("★ nothing is both cheaper and faster   ~ price derived by rule   "
                           "p95 and capacity at peak: median (80 % interval)", style="dim"))  # fmt: skip
    console.print(_rejected(recommendation, selection))
    console.print(_evidence(recommendation))
    console.print(Text("\nAssumed", style="bold"))
    for line in recommendation.assumptions:
        console.print(Text(f"  {line}", style="dim"))
    cost = recommendation.cost_of_measuring
    run = "" if recommendation.run is None else f"  Run {recommendation.run}."
    console.print(Text(f"\nMeasured in {cost.seconds:.0f} s with {cost.requests:,} requests, for ${cost.usd}.{run}"))


def _ranked(recommendation: Recommendation, selection: Selection) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("option", no_wrap=True)
    table.add_column("bought as", no_wrap=True)
    for name in ("$/month", "$/million", "p95 ms", "capacity req/s", "busy", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("known by", no_wrap=True)
    shown = select(recommendation.ranked, selection)
    previous = 0
    for each in shown:
        if each.rank != previous + 1:
            table.add_row("…", style="dim")
        table.add_row(*_row(each))
        previous = each.rank
    hidden = len(recommendation.ranked) - shown[-1].rank
    if hidden > 0:
        table.add_row("…", f"{hidden} more (--all)", style="dim")
    return table


def _row(each: Candidate) -> tuple[str, ...]:
    performance = each.performance
    mark = "★" if each.frontier else " "
    price = "~" if performance.price_basis == "derived" else ""
    return (
        str(each.rank),
        f"{mark} {each.option.text}",
        group_of(each.option),
        price + usd(each.cost.usd_per_month),
        usd(each.cost.usd_per_million),
        interval_ms(performance),
        _capacity(performance),
        f"{performance.utilization_ratio:.0%}",
        _share(each.probability_best),
        performance.basis.value,
    )


def interval_ms(performance: Performance) -> str:
    interval = performance.interval
    high = "∞" if interval.high is None else _digits(interval.high * 1e3)
    return f"{_digits(interval.median * 1e3)} ({_digits(interval.low * 1e3)}–{high})"


def _capacity(performance: Performance) -> str:
    capacity = performance.capacity_rps
    high = "∞" if capacity.high is None else _digits(capacity.high)
    return f"{_digits(capacity.median)} ({_digits(capacity.low)}–{high})"


def _digits(value: float) -> str:
    """Two significant digits: more are not known."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"  # noqa: PLR2004


def _share(probability: float) -> str:
    if probability == 0:
        return "–"
    return "<1%" if probability < 0.01 else f"{probability:.0%}"  # noqa: PLR2004


def _rejected(recommendation: Recommendation, selection: Selection) -> Group:
    lines = [Text("\nNot ranked", style="bold")] if recommendation.rejected else []
    for reason, found in rejected_by_reason(recommendation).items():
        lines.append(Text(f"  {len(found)} {REASONS[reason]}"))
        shown = found if selection.show_all else found[:EXAMPLES]
        for each in shown:
            name = each.option.instance_type or each.option.accelerator or each.option.text
            lines.append(Text(f"      {name} ({group_of(each.option)}): {each.detail}", style="dim"))
        remedy = next((each.remedy for each in found if each.remedy), None)
        if remedy is not None:
            lines.append(Text(f"      → {remedy}", style="dim"))
    return Group(*lines)


def _evidence(recommendation: Recommendation) -> Group:
    evidence = recommendation.evidence
    lines = [Text("\nMeasured here", style="bold")]
    for size in evidence.sizes:
        cpu = "" if size.cpu_s_per_request is None else f", {size.cpu_s_per_request * 1e3:.3g} CPU-ms a request"
        memory = "" if size.memory_peak_bytes is None else f", {size.memory_peak_bytes / 2**20:.0f} MiB"
        lines.append(
            Text(
                f"  {size.vcpus:g} vCPU: {size.capacity_rps:.3g} req/s at the SLO "
                f"({size.capacity_low_rps:.3g}–{size.capacity_high_rps:.3g}, {size.basis}), "
                f"saturated at {size.saturation_rps:.3g}{cpu}{memory}"
            )
        )
    faults = [each for each in evidence.measurements if each.validity != "valid"]
    for each in faults:
        lines.append(Text(f"  {each.validity.upper()}: {each.key}: {'; '.join(each.faults)}", style="yellow"))
    book = evidence.price_book
    lines.append(Text(f"  prices: book {book.name}, {book.age_days} days old"))
    if evidence.model.holdout_error is not None:
        lines.append(
            Text(
                f"  carried to other machines with a median error of {evidence.model.holdout_error:.0%} "
                "on machines held out"
            )
        )
    return Group(*lines)
