"""A load test's report to a person: in a terminal or as Markdown, with the same words and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from loadtests.validity import Status
from recommender.cli.tables import plain_table
from recommender.loadtest.explanation import length
from recommender.loadtest.words import COLUMNS, headline, run_rows, taken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from recommender.loadtest.explanation import Explanation
    from recommender.loadtest.report import KeptRun, LoadTestReport, TestReport

__all__ = ["explanation_table", "render_report", "report_markdown"]

STYLES = {
    "finished": "green", "partial": "yellow", "failed": "red", "invalid": "red",
    "not run": "yellow",
}  # fmt: skip


def render_report(console: Console, report: LoadTestReport) -> None:
    console.print(f"[bold]{escape(headline(report))}[/]")
    for finding in report.findings:
        console.print(escape(finding))
    for test in report.tests:
        console.print()
        state = f"[{STYLES[test.state]}]{test.state}[/]"
        took = f"[dim], {took}[/]" if (took := taken(test)) else ""
        console.print(f"[bold]{escape(_title(test))}[/]  {state}{took}")
        for line in _lines(test):
            console.print(f"  {escape(line)}")
        if test.runs or test.invalid:
            console.print(_runs(test))


def report_markdown(report: LoadTestReport) -> str:
    parts = [f"# {report.plan.name}", "", headline(report)]
    parts += ["", *(f"- {finding}" for finding in report.findings)] if report.findings else []
    for test in report.tests:
        took = f", {took}" if (took := taken(test)) else ""
        parts += ["", f"## {_title(test)}", "", f"*{test.state}*{took}", ""]
        parts += [f"- {line}" for line in _lines(test)]
        if test.runs or test.invalid:
            parts += ["", _row(COLUMNS), _row("---" for _ in COLUMNS)]
            parts += [_row(row) for row in run_rows(test)]
    return "\n".join(parts) + "\n"


def explanation_table(explanation: Explanation) -> Table:
    table = plain_table()
    for name in ("configuration", "scenario", "what is done"):
        table.add_column(name)
    for name in ("about", "requests", "$"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in explanation.lines:
        requests = line.estimate.requests
        table.add_row(
            escape(line.configuration),
            escape(line.scenario),
            escape(line.does),
            length(line.estimate.seconds),
            "?" if requests is None else f"{requests:,.0f}",
            "-" if line.usd is None else f"{line.usd:.2f}",
        )
    return table


def _title(test: TestReport) -> str:
    return f"{', '.join(test.configurations)}: {test.scenario}"


def _lines(test: TestReport) -> Iterator[str]:
    if test.reason is not None:
        yield test.reason
    yield from test.findings
    for each in _doubtful(test):
        for fault in each.measurement.validity.faults:
            yield f"{each.key}: {fault.status.value.upper()}, {fault.found}; {fault.advice}"


def _doubtful(test: TestReport) -> tuple[KeptRun, ...]:
    return tuple(
        each for each in test.runs if each.measurement.validity.status is not Status.VALID
    )


def _runs(test: TestReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in COLUMNS:
        is_text = name in ("run", "asked", "verdict")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text)
    for row in run_rows(test):
        table.add_row(*(escape(cell) for cell in row))
    return table


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
