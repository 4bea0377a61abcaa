"""The bench of the load generator, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group

from loadtests.generator_bench import Unit
from recommender.cli.tables import plain_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType
    from rich.table import Table

    from loadtests.generator_bench import Bench, Figure, Goal

__all__ = ["bench_shown"]

KIB = 1024
OWN_LOG = "the server's log"
BESIDE = (
    "Errors are of what the tool reports at 1,000/s on M/M/4 at 70 %, against the server's log of "
    "the tool's own requests; CV is of the gaps between them (Poisson: 1). The server that stalls "
    "1 s in 10 is asked for 200/s; in the last row, what Poisson arrivals met there."
)


def bench_shown(bench: Bench) -> RenderableType:
    notes = [
        f"{figure.goal.name}: {figure.note}" for figure in bench.figures if figure.note is not None
    ] + [f"{row.tool}: {row.note}" for row in bench.peers if row.note is not None]
    return Group(
        "",
        f"Load generator: {bench.arrangement}",
        _figures(bench),
        "An error is of a quantile, against the server's own log of the same requests.",
        "",
        "Beside others, one core each",
        _peers(bench),
        BESIDE,
        *([""] if notes else []),
        *notes,
    )


def _table() -> Table:
    return plain_table()


def _figures(bench: Bench) -> Table:
    table = _table()
    table.add_column("figure", no_wrap=True)
    table.add_column("goal", justify="right", no_wrap=True)
    table.add_column("reached", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for figure in bench.figures:
        goal = figure.goal
        side = "" if goal.unit is Unit.STATUS else "≥ " if goal.at_least else "≤ "
        table.add_row(
            goal.name,
            side + _value(goal, goal.limit),
            "?" if figure.reached is None else _value(goal, figure.reached),
            _mark(figure),
        )
    return table


def _mark(figure: Figure) -> str:
    if figure.is_reached:
        return "[green]ok[/]"
    if figure.goal.is_stretch:
        return "[yellow]stretch[/]"
    return "[yellow]disturbed[/]" if figure.is_disturbed else "[red]MISSED[/]"


def _value(goal: Goal, value: float) -> str:
    texts: dict[Unit, Callable[[float], str]] = {
        Unit.RPS: "{:,.0f} req/s".format,
        Unit.SECONDS: "{:.2f} s".format,
        Unit.MILLISECONDS: lambda seconds: f"{seconds * 1e3:.2f} ms",
        Unit.RATIO: "{:.1%}".format,
        Unit.DISTANCE: "{:.3f}".format,
        Unit.BYTES: lambda size: f"{size / KIB:,.0f} KiB",
        Unit.STATUS: lambda found: "INVALID" if found >= goal.limit else "not INVALID",
    }
    return texts[goal.unit](value)


def _peers(bench: Bench) -> Table:
    table = _table()
    table.add_column("", no_wrap=True)
    for name in (
        "flat out, req/s", "CV", "p95 error", "p99 error", "stalled p95", "stalled p99",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    for row in bench.peers:
        table.add_row(
            row.tool,
            "" if row.closed_rps is None else f"{row.closed_rps:,.0f}",
            "" if row.arrivals_cv is None else f"{row.arrivals_cv:.2f}",
            _error(row.p95_error_ratio),
            _error(row.p99_error_ratio),
            _ms(row.stall_p95_s),
            _ms(row.stall_p99_s),
        )
    table.add_row(OWN_LOG, "", "", "", "", _ms(bench.stall_p95_s), _ms(bench.stall_p99_s))
    return table


def _error(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:+.1%}"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:,.0f} ms"
