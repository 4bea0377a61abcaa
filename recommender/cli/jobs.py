from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from recommender.cli.options import open_chosen_store, store_option
from recommender.cli.places import jobs_folder
from recommender.cli.price_books import price_shelf
from recommender.errors import RecommenderError
from recommender.jobs import Jobs
from recommender.store import RunStatus

if TYPE_CHECKING:
    from recommender.store import Run, Store

__all__ = ["delete_command", "stop_command"]

TIDIES_UP_S = 60.0
LOOK_EVERY_S = 0.2


@click.command("stop")
@click.argument("run")
@store_option
def stop_command(run: str, store_url: str | None) -> None:
    """Stop RUN, which goes on in another process of this machine.

    It ends as by Ctrl-C: what it started is stopped, what it measured is kept.
    """
    with open_chosen_store(store_url) as store:
        found = store.run(run)
        _jobs(store, store_url).stop(found.id)
        ended = _ended(store, found.id)
    click.echo(f"{ended.id} has ended: {ended.status.lower()}")
    if ended.status is not RunStatus.FINISHED:
        click.echo(f"  go on with it: recommender {ended.kind} --resume {ended.id}")


@click.command("delete")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
@click.option("--yes", "-y", "is_sure", is_flag=True, help="Do not ask.")
@store_option
def delete_command(runs: tuple[str, ...], *, is_sure: bool, store_url: str | None) -> None:
    """Delete each RUN, with its measurements and its recommendation; not one that runs."""
    with open_chosen_store(store_url) as store:
        jobs, found = _jobs(store, store_url), [store.run(run) for run in runs]
        for run in found:
            kept = store.count_measurements(run.id)
            asked = f"Delete {run.id} ({run.status.lower()}, {kept} measurements)?"
            if is_sure or click.confirm(asked, err=True):
                jobs.delete(run.id)
                click.echo(f"deleted: {run.id}")


def _jobs(store: Store, store_url: str | None) -> Jobs:
    return Jobs(store, store_url, jobs_folder(), price_shelf())


def _ended(store: Store, run_id: str) -> Run:
    for _ in range(int(TIDIES_UP_S / LOOK_EVERY_S)):
        run = store.run(run_id)
        if not run.status.is_under_way:
            return run
        time.sleep(LOOK_EVERY_S)
    raise RecommenderError(
        f"the run {run_id} was asked to stop and has not ended within {TIDIES_UP_S:.0f} s",
        hint="look again with `recommender list`; it stops what it started first",
    )
