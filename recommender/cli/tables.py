"""Tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from recommender.explain import (
    REASONS,
    age_text,
    group_of,
    interval_ms,
    probability_text,
    regret_text,
    rejected_by_reason,
    select,
    two_digits,
    usd,
    verdict,
)

if TYPE_CHECKING:
    from rich.console import Console

    from recommender.explain import Selection
    from recommender.recommendation import Candidate, Recommendation, SizeFacts

__all__ = ["plain_table", "render"]

EXAMPLES = 2
LEGEND = (
    "★ nothing is both cheaper and faster   ~ price derived by rule   "
    "latency at peak: median, 80 % interval   best: probability of being the cheapest   "
    "regret: $/month above the cheapest, on average"
)


def plain_table(
    title: str | None = None, *, is_tight: bool = False, has_heading: bool = True
) -> Table:
    """Columns set apart by space alone: two of it, or one where it is tight."""
    return Table(
        title=title,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0) if is_tight else (0, 1),
        show_header=has_heading,
        header_style="bold",
    )


def render(console: Console, recommendation: Recommendation, selection: Selection) -> None:
    console.print()
    first, *more = verdict(recommendation)
    console.print(Text(first, style="bold"))
    for sentence in more:
        console.print(Text(sentence))
    console.print()
    if recommendation.ranked:
        console.print(_ranked(recommendation, selection))
        console.print(Text(LEGEND, style="dim"))
    console.print(_rejected(recommendation, selection))
    console.print(_evidence(recommendation))
    console.print(Text("\nAssumed", style="bold"))
    for line in recommendation.assumptions:
        console.print(Text(f"  {line}", style="dim"))
    cost = recommendation.cost_of_measuring
    run = "" if recommendation.run is None else f"  Run {recommendation.run}."
    measured = (
        f"Measured in {cost.seconds:.0f} s with {cost.requests:,} requests, for ${cost.usd}."
    )
    console.print(Text(f"\n{measured}{run}"))


def _ranked(recommendation: Recommendation, selection: Selection) -> Table:
    table = plain_table()
    table.add_column("#", justify="right")
    table.add_column("option", no_wrap=True)
    table.add_column("bought as", no_wrap=True)
    quantile = recommendation.ranked[0].performance.interval_quantile
    for name in (
        "$/month",
        "$/million",
        f"p{quantile * 100:g} ms",
        "req/s",
        "busy",
        "best",
        "regret",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("known by", no_wrap=True)
    shown = select(recommendation.ranked, selection)
    for each in shown:
        table.add_row(*_row(each))
    hidden = len(recommendation.ranked) - len(shown)
    if hidden > 0:
        table.add_row("…", f"  {hidden} more (--all)", style="dim")
    return table


def _row(each: Candidate) -> tuple[str, ...]:
    performance = each.performance
    mark = "★" if each.frontier else " "
    price = "~" if each.cost.price.basis == "derived" else ""
    return (
        str(each.rank),
        f"{mark} {each.option.text}",
        group_of(each.option).removeprefix("SageMaker "),
        price + usd(each.cost.usd_per_month),
        usd(each.cost.usd_per_million),
        interval_ms(performance),
        two_digits(performance.capacity_rps.median),
        f"{performance.utilization_ratio:.0%}",
        _share(each.probability_best),
        regret_text(each),
        performance.basis.value,
    )


def _share(probability: float) -> str:
    return "-" if probability == 0 else probability_text(probability)


def _rejected(recommendation: Recommendation, selection: Selection) -> Group:
    lines = _measure_next(recommendation)
    lines += [Text("\nNot ranked", style="bold")] if recommendation.rejected else []
    for reason, found in rejected_by_reason(recommendation).items():
        lines.append(Text(f"  {len(found)} {REASONS[reason]}"))
        shown = found if selection.show_all else found[:EXAMPLES]
        for each in shown:
            name = each.option.instance_type or each.option.accelerator or each.option.text
            text = f"      {name} ({group_of(each.option)}): {each.detail}"
            lines.append(Text(text, style="dim"))
        remedy = next((each.remedy for each in found if each.remedy), None)
        if remedy is not None:
            lines.append(Text(f"      → {remedy}", style="dim"))
    return Group(*lines)


def _measure_next(recommendation: Recommendation) -> list[Text]:
    worth = recommendation.value_of_measuring
    if worth is None or worth.best is None:
        return []
    lines = [Text("\nMeasure next", style="bold"), Text(f"  → {worth.best.command}")]
    return lines + [
        Text(
            f"      or {each.instance_type}: {usd(each.usd)}, changes the answer with probability "
            f"{each.probability_changes_answer:.0%}",
            style="dim",
        )
        for each in worth.others
    ]


def _evidence(recommendation: Recommendation) -> Group:
    evidence = recommendation.evidence
    lines = [Text("\nMeasured here", style="bold")]
    lines += [Text(_size(size)) for size in evidence.sizes]
    lines += [
        Text(f"  {each.validity.upper()}: {each.key}: {'; '.join(each.faults)}", style="yellow")
        for each in evidence.measurements
        if each.validity != "valid"
    ]
    book = evidence.price_book
    lines.append(Text(f"  prices: book {book.name}, {age_text(book)}"))
    if evidence.model.holdout_error is not None:
        error = f"{evidence.model.holdout_error:.0%}"
        lines.append(Text(f"  median error on machines and workloads held out: {error}"))
    return Group(*lines)


def _size(size: SizeFacts) -> str:
    cpu_s, memory = size.cpu_s_per_request, size.memory_peak_bytes
    waits = " (it mostly waits)" if size.bound_by == "waiting" else ""
    cpu = "" if cpu_s is None else f", {cpu_s * 1e3:.3g} CPU-ms a request{waits}"
    held = "" if memory is None else f", {memory / 2**20:.0f} MiB"
    return (
        f"  {size.vcpus:g} vCPU: {size.capacity_rps:.3g} req/s at the SLO "
        f"({size.capacity_low_rps:.3g} to {size.capacity_high_rps:.3g}, {size.basis}), "
        f"saturated at {size.saturation_rps:.3g}{cpu}{held}"
    )
