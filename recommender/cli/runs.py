from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from pricing import load_book
from recommender.cli.loadtest import present_report
from recommender.cli.options import open_chosen_store, store_option
from recommender.cli.output import Output, output_options, present
from recommender.errors import NothingMeasured
from recommender.loadtest.building import build_report
from recommender.loadtest.session import KIND as LOADTEST
from recommender.recommendation import Recommendation
from recommender.store import RunStatus


@click.command("show")
@click.argument("run", default="latest")
@output_options
@store_option
def show_command(run: str, store_url: str | None, **given: Any) -> None:  # noqa: ANN401
    """Show the recommendation, or the load test, of RUN: its id, the start of it, or `latest`."""
    output = Output.taken_from(given)
    with open_chosen_store(store_url) as store:
        found = store.run(run)
        if found.kind == LOADTEST:
            report = build_report(store, found, load_book())
            sys.exit(present_report(report, output.destinations))
        stored = store.recommendation(found.id)
        kept = len(store.measurements(found.id))
    if stored is None:
        raise NothingMeasured(
            f"run {found.id} ({found.status.lower()}) has no recommendation yet; "
            f"it holds {kept} finished measurements"
            + (f"\n  it ended with: {found.error}" if found.error else ""),
            hint=f"go on with it: recommender quick --resume {found.id}",
        )
    sys.exit(present(Recommendation.model_validate(stored.document), output))


@click.command("list")
@click.option("--limit", default=20, show_default=True, help="Newest runs to list.")
@click.option(
    "--status", type=click.Choice([each.lower() for each in RunStatus]), help="These only."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, to stdout.")
@store_option
def list_command(limit: int, status: str | None, *, as_json: bool, store_url: str | None) -> None:
    """List the runs kept, newest first."""
    with open_chosen_store(store_url) as store:
        runs = store.runs(limit=limit, status=RunStatus(status.upper()) if status else None)
        rows = [
            {
                "id": run.id,
                "kind": run.kind,
                "status": run.status.lower(),
                "created_at": run.created_at.isoformat(timespec="seconds"),
                "measurements": len(store.measurements(run.id)),
                "measured": run.label,
                "error": run.error,
            }
            for run in runs
        ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("no runs yet: start with `recommender quick`")
        return
    _print(rows)


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "kind", "status", "created (UTC)", "measurements", "measured"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        created = row["created_at"][:19].replace("T", " ")
        table.add_row(
            row["id"],
            row["kind"],
            row["status"],
            created,
            str(row["measurements"]),
            row["measured"] or "",
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(no_color=True, highlight=False, width=160)
    console.print(table)
    if any(row["status"] == "interrupted" for row in rows):
        console.print(
            "go on with an interrupted run: recommender quick --resume RUN, "
            "or recommender loadtest --resume RUN"
        )
