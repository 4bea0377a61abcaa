from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Group

from recommender.cli.tables import plain_table
from recommender.simulation.check import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from recommender.cli.output import Destinations
    from recommender.recommendation import Range
    from recommender.simulation.check import TheoryCheck
    from recommender.simulation_cases import Figure

__all__ = ["figures_shown", "present_theory"]

WRONG = 4
THEORY = ("law", "case", "figure", "found", "expected", "error", "")


def present_theory(rows: Sequence[TheoryCheck], destinations: Destinations) -> int:
    """The exit code: 4 where one is over 2 % off."""
    cells = [
        (
            *(row.law, row.case, row.figure),
            *(f"{value:.4g}" for value in (row.found, row.expected)),
            f"{row.error_ratio:+.2%}",
            "right" if row.is_right else "WRONG",
        )
        for row in rows
    ]
    found = [
        asdict(row) | {"error_ratio": row.error_ratio, "is_right": row.is_right} for row in rows
    ]
    lines = [f"| {' | '.join(each)} |" for each in (THEORY, *cells)]
    lines.insert(1, "|---|---|---|--:|--:|--:|---|")
    destinations.write(json.dumps(found, indent=2) + "\n", "\n".join(lines) + "\n")
    if destinations.is_for_a_person:
        table = plain_table()
        for heading in THEORY:
            is_number = heading in ("found", "expected", "error")
            table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
        for each in cells:
            table.add_row(*each)
        console = destinations.console()
        console.print(table)
        worst = max(abs(row.error_ratio) for row in rows)
        console.print(f"largest error {worst:.2%}; up to {TOLERANCE:.0%} is right")
    return 0 if all(row.is_right for row in rows) else WRONG


def figures_shown(rows: Sequence[Figure]) -> RenderableType:
    faults = dict.fromkeys(f"{row.stage}: {fault}" for row in rows for fault in row.faults)
    return Group("", _table(rows), *faults)


def _table(rows: Sequence[Figure]) -> Table:
    table = plain_table("A fleet that scales: simulated, then done", is_tight=True)
    for name in ("fleet", "figure"):
        table.add_column(name, no_wrap=True)
    for name in ("simulated", "80 % interval", "measured"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        simulated = row.simulated
        table.add_row(
            row.stage,
            row.name,
            "?" if simulated is None else _number(simulated.median),
            "?" if simulated is None else _interval(simulated),
            "?" if row.measured is None else _number(row.measured),
            _judged(row),
        )
    return table


def _judged(row: Figure) -> str:
    if row.faults:
        return "[red]INVALID[/]" if row.is_judged else ""
    if row.is_inside:
        return "[green]inside[/]"
    return "[red]OUTSIDE[/]" if row.is_judged else "outside"


def _interval(simulated: Range) -> str:
    high = "no end" if simulated.high is None else _number(simulated.high)
    return f"{_number(simulated.low)} to {high}"


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004 - three digits
