from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from loadtests.environment import utc_now
from recommender.cli.loadtest import present_report
from recommender.cli.options import open_chosen_store, store_option
from recommender.cli.output import Output, output_options, present
from recommender.cli.price_books import book_in_use
from recommender.cli.progress import progress_line
from recommender.cli.tables import plain_table
from recommender.errors import NothingMeasured
from recommender.kept_verdicts import kept_verdicts
from recommender.loadtest.building import build_report
from recommender.loadtest.session import KIND as LOADTEST
from recommender.recommendation import Recommendation
from recommender.store import RunStatus

if TYPE_CHECKING:
    from recommender.store import Progress, Run, Store

__all__ = ["list_command", "show_command", "stored_recommendation"]

MEASURED = "measured"
COLUMNS = ("run", "kind", "status", "created (UTC)", "measurements", MEASURED)


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
            report = build_report(store, found, book_in_use())
            _say_progress(found)
            sys.exit(present_report(report, output.destinations))
        recommendation = stored_recommendation(store, found)
    sys.exit(present(recommendation, output))


def stored_recommendation(store: Store, run: Run) -> Recommendation:
    """Raises NothingMeasured where the run has none yet."""
    stored = store.recommendation(run.id)
    if stored is None:
        raise _nothing_yet(run, store.count_measurements(run.id))
    return Recommendation.model_validate(stored.document)


def _nothing_yet(run: Run, kept: int) -> NothingMeasured:
    said = [f"run {run.id} ({run.status.lower()}) has no recommendation yet"]
    said[0] += f"; it holds {kept} finished measurements"
    doing = progress_line(run, utc_now())
    if doing is not None:
        said.append(f"  now: {doing}")
    if run.error:
        said.append(f"  it ended with: {run.error}")
    if run.status is RunStatus.RUNNING:
        hint = f"wait until it ends, or stop it: recommender stop {run.id}"
    else:
        hint = f"go on with it: recommender quick --resume {run.id}"
    return NothingMeasured("\n".join(said), hint=hint)


def _say_progress(run: Run) -> None:
    doing = progress_line(run, utc_now())
    if doing is not None:
        click.echo(f"{run.id} now: {doing}", err=True)


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
        verdicts = kept_verdicts(store, runs)
        rows = [
            {
                "id": run.id,
                "kind": run.kind,
                "status": run.status.lower(),
                "created_at": run.created_at.isoformat(timespec="seconds"),
                "measurements": store.count_measurements(run.id),
                "measured": run.label,
                "verdict": verdicts.get(run.id),
                "progress": run.progress and _plain(run.progress),
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
    for run_id, verdict in verdicts.items():
        click.echo(f"{run_id}: {verdict}")
    for run in runs:
        _say_progress(run)


def _plain(progress: Progress) -> dict[str, Any]:
    told_at = progress.told_at.isoformat(timespec="seconds")
    return {"doing": progress.doing, "left_s": progress.left_s, "told_at": told_at}


def _print(rows: list[dict[str, Any]]) -> None:
    table = plain_table()
    cells = [_cells(row) for row in rows]
    for name, column in zip(COLUMNS, zip(*cells, strict=True), strict=True):
        # What was measured may be long, and gives way: an id is needed whole.
        widest = None if name == MEASURED else max(map(len, (name, *column)))
        table.add_column(name, no_wrap=True, min_width=widest)
    for line in cells:
        table.add_row(*line)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(no_color=True, highlight=False, width=160)
    console.print(table)
    if any(row["status"] == "interrupted" for row in rows):
        console.print(
            "go on with an interrupted run: recommender quick --resume RUN, "
            "or recommender loadtest --resume RUN"
        )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    created = row["created_at"][:19].replace("T", " ")
    counted = str(row["measurements"])
    return (row["id"], row["kind"], row["status"], created, counted, row["measured"] or "")
