from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from recommender.cli.tables import plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from recommender.prediction_cases import Agreement

__all__ = ["agreements_shown"]


def agreements_shown(rows: Sequence[Agreement]) -> Group:
    """A table, and below it why a case was not measured: of each case once."""
    why = {row.case: row.faults[-1] for row in rows if row.ratio is None and row.faults}
    return Group(_table(rows), *(Text(f"{case}: {fault}") for case, fault in why.items()))


def _table(rows: Sequence[Agreement]) -> Table:
    table = plain_table("Predicted from 1 vCPU", is_tight=True)
    for name in ("case", "figure"):
        table.add_column(name, no_wrap=True)
    for name in ("predicted", "measured", "error", "of the rounds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for row in rows:
        table.add_row(
            row.case,
            row.figure,
            _number(row.predicted),
            _number(row.measured),
            _error(row.ratio),
            "?" if row.low is None else f"{_error(row.low)} to {_error(row.high)}",
            _judged(row),
        )
    return table


def _judged(row: Agreement) -> str:
    if row.ratio is None:
        return "[red]not measured[/]"
    said = "[green]right[/]" if row.is_right else "[red]WRONG[/]"
    return said if not row.faults else f"{said} ({len(row.faults)} rounds INVALID)"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}"


def _error(ratio: float | None) -> str:
    return "?" if ratio is None else f"{ratio - 1:+.1%}"
