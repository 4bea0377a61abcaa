from __future__ import annotations

import click

from loadtests.journal import Journal
from recommender.cli.places import journal_folder


@click.command("cleanup")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and leave it.")
def cleanup_command(*, dry_run: bool) -> None:
    """Remove what crashed runs left behind: processes, control groups, temporary folders.

    Runs that are still at work are left alone, and nothing measured is touched.
    """
    journal = Journal(journal_folder())
    leftovers = journal.leftovers()
    if dry_run:
        for entry in leftovers:
            click.echo(f"would remove {entry.kind}: {entry.what}")
    else:
        for line in journal.clean_leftovers():
            click.echo(f"removed {line}")
    for file in journal.unreadable():
        click.echo(f"not understood, left alone: {file.name}")
    if not leftovers:
        click.echo("nothing to clean up")
