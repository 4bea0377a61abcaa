from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from loadtests.environment import utc_now
from loadtests.generator_bench import run_bench
from loadtests.journal import Journal
from loadtests.validity import Status
from pricing import load_book
from recommender.cli.bench_tables import bench_shown
from recommender.cli.places import data_folder, journal_folder
from recommender.cli.progress import progress_shown
from recommender.doctor import Level, examine
from recommender.self_test import run_self_test

if TYPE_CHECKING:
    from loadtests.generator_bench import Bench
    from recommender.doctor import Finding
    from recommender.self_test import Comparison

WRONG = 4


@click.command("doctor")
@click.option(
    "--self-test", is_flag=True, help="Measure the built-in server, whose truth is known."
)
@click.option(
    "--duration-s", type=click.FloatRange(2, 600), default=60.0, show_default=True,
    help="Of the shortest case of the self-test; the four take 11 times that.",
)  # fmt: skip
@click.option(
    "--bench-generator", is_flag=True, help="Measure the load generator, beside others (3 min)."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, to stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def doctor_command(
    *, self_test: bool, duration_s: float, bench_generator: bool, as_json: bool, quiet: bool
) -> None:
    """Say what this machine can do: limits, containers, GPU, AWS credentials, price-book age.

    --self-test measures queues whose latencies are known by theory (at the rate that was offered
    and the mean service time that was drawn) and prints the error of each quantile; it exits with
    4 when one is neither within 10 % nor inside its stated interval.
    "added" is what the instrument itself adds: measured less the server's own log of the same
    requests.

    --bench-generator measures the load generator itself on the built-in server, each on a core of
    its own, and beside it wrk, k6 and stock Locust where they are installed; it exits with 4 when
    a goal was missed.
    """
    journal = Journal(journal_folder())
    findings = examine(data_folder(), journal, load_book(), utc_now().date())
    rows: tuple[Comparison, ...] = ()
    if self_test:
        with progress_shown(quiet=quiet, color=True) as progress:
            rows = run_self_test(journal, duration_s, progress)
    bench: Bench | None = None
    if bench_generator:
        with progress_shown(quiet=quiet, color=True) as progress:
            bench = run_bench(journal, progress)
    if as_json:
        click.echo(json.dumps(_document(findings, rows, bench), indent=2))
    else:
        console = Console(highlight=False)
        console.print(_findings(findings))
        if rows:
            console.print(_comparisons(rows))
        if bench is not None:
            console.print(bench_shown(bench))
    is_good = all(row.is_right for row in rows) and (bench is None or bench.is_good)
    sys.exit(0 if is_good else WRONG)


def _document(
    findings: tuple[Finding, ...], rows: tuple[Comparison, ...], bench: Bench | None
) -> dict[str, object]:
    return {
        "findings": [asdict(finding) for finding in findings],
        "self_test": [
            asdict(row) | {"error_ratio": row.error_ratio, "is_right": row.is_right}
            for row in rows
        ],
        "generator_bench": None if bench is None else bench.as_json(),
    }


def _findings(findings: tuple[Finding, ...]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    marks = {
        Level.OK: "[green]ok[/]",
        Level.NOTE: "[yellow]note[/]",
        Level.PROBLEM: "[red]problem[/]",
    }
    for finding in findings:
        text = finding.found if finding.advice is None else f"{finding.found}: {finding.advice}"
        table.add_row(marks[finding.level], finding.what, text)
    return table


def _comparisons(rows: tuple[Comparison, ...]) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
        title="Self-test, ms",
        title_justify="left",
    )
    table.add_column("queue", no_wrap=True)
    for name in ("quantile", "theory", "measured", "95 % interval", "error", "added"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_row(
            row.case,
            f"p{row.quantile * 100:g}",
            _ms(row.truth_s),
            _ms(row.measured_s),
            f"{_ms(row.low_s)} to {_ms(row.high_s)}",
            "" if row.error_ratio is None else f"{row.error_ratio:+.1%}",
            _ms(row.added_s),
            _judged(row),
        )
    return table


def _judged(row: Comparison) -> str:
    if row.status is Status.INVALID:
        return f"[red]INVALID: {'; '.join(row.faults)}[/]"
    return "[green]right[/]" if row.is_right else "[red]WRONG[/]"


def _ms(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds * 1e3:.2f}"
