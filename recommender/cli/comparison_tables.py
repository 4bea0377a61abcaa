"""A comparison to a person: in a terminal or as Markdown, with the same words and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recommender.comparison.document import Verdict
from recommender.comparison.words import (
    WEIGHTS,
    change_text,
    decided_by,
    figure_text,
    interval_text,
    side_text,
)
from recommender.exports.markdown import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from recommender.comparison.document import Difference, RunComparison

__all__ = ["comparison_markdown", "render_comparison"]

COLUMNS = ("figure", "before", "after", "change", "95 % interval", "verdict")
NUMERIC = ("before", "after", "change", "95 % interval")
STYLES = {
    Verdict.BETTER: "green",
    Verdict.WORSE: "red",
    Verdict.SAME: "",
    Verdict.UNKNOWN: "yellow",
}


def render_comparison(console: Console, found: RunComparison) -> None:
    first, *more = found.said
    console.print(Text(first, style="bold"))
    for sentence in more:
        console.print(Text(sentence))
    console.print(Text(f"\nbefore  {side_text(found.before)}"))
    console.print(Text(f"after   {side_text(found.after)}"))
    if found.conditions:
        console.print(Text("\nNot the same", style="bold"))
        console.print(_conditions(found))
    if found.differences:
        matters = f"what matters is {found.threshold_ratio * 100:.3g} % or more"
        console.print(Text(f"\nCompared; {matters}", style="bold"))
        console.print(_differences(found))
    _print_lines(console, "In money", [each.said for each in found.money])
    alone = [f"{each.what}: {each.why}" for each in found.not_compared]
    _print_lines(console, "Not compared", alone)
    console.print()
    for note in found.notes:
        console.print(Text(note, style="dim"))


def _print_lines(console: Console, title: str, lines: list[str]) -> None:
    if lines:
        console.print(Text(f"\n{title}", style="bold"))
        for line in lines:
            console.print(Padding(Text(line), (0, 0, 0, 2)))


def comparison_markdown(found: RunComparison) -> str:
    first, *more = found.said
    lines = ["# Comparison", "", f"**{escaped(first)}**", "", *map(escaped, more), ""]
    lines += [
        f"- before: {escaped(side_text(found.before))}",
        f"- after: {escaped(side_text(found.after))}",
    ]
    if found.conditions:
        lines += [
            "",
            "## Not the same",
            "",
            *_row(("what", "before", "after", "weight"), head=True),
        ]
        lines += [
            line
            for each in found.conditions
            for line in _row((each.what, each.before, each.after, WEIGHTS[each.weight]))
        ]
    if found.differences:
        lines += ["", "## Compared", "", *_row(("of", *COLUMNS), head=True)]
        lines += [line for each in found.differences for line in _row((each.where, *_cells(each)))]
    if found.money:
        lines += ["", "## In money", "", *(f"- {escaped(each.said)}" for each in found.money)]
    if found.not_compared:
        lines += ["", "## Not compared", ""]
        lines += [f"- {escaped(each.what)}: {escaped(each.why)}" for each in found.not_compared]
    if found.notes:
        lines += ["", *(line for note in found.notes for line in (escaped(note), ""))][:-1]
    return "\n".join(lines) + "\n"


def _conditions(found: RunComparison) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("what", "before", "after", ""):
        table.add_column(name)
    for each in found.conditions:
        style = "red" if each.weight == "unsound" else ""
        cells = (each.what, each.before, each.after, WEIGHTS[each.weight])
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _differences(found: RunComparison) -> Table:
    """Below the name of each size or test, its figures."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in COLUMNS:
        is_number = name in NUMERIC
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number)
    last = None
    for each in found.differences:
        if each.where != last:
            table.add_row(Text(each.where, style="bold"))
        *cells, verdict = _cells(each)
        style = STYLES[each.verdict]
        table.add_row(Text(f"  {cells[0]}"), *cells[1:], Text(verdict, style=style))
        last = each.where
    return table


def _cells(each: Difference) -> tuple[str, ...]:
    more = decided_by(each)
    return (
        each.name,
        figure_text(each.before, each.unit),
        figure_text(each.after, each.unit),
        change_text(each),
        interval_text(each.change, is_ratio=each.is_ratio),
        f"{each.verdict.value}; {more}" if more else each.verdict.value,
    )


def _row(cells: Iterable[str], *, head: bool = False) -> list[str]:
    cells = tuple(cells)
    line = "| " + " | ".join(escaped(cell) for cell in cells) + " |"
    return [line, "|" + "---|" * len(cells)] if head else [line]
