from __future__ import annotations

import os
import socket
import sys
from typing import Any

import click

from loadtests.generator.workers import work_for

INTERRUPTED = 130


@click.command("worker")
@click.option("--master", "host", required=True, metavar="HOST", help="Where the load test runs.")
@click.option(
    "--port", required=True, type=click.IntRange(1, 65535), help="That it says it waits at."
)
@click.option(
    "--wait-s",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    help="For a master that is not there yet.",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing unless it goes wrong.")
def worker_command(host: str, port: int, wait_s: float, *, quiet: bool) -> None:
    """Send a share of the load for a load test that runs on another machine.

    Start it there first: `recommender loadtest PLAN --distributed --expect-workers N`. This one
    ends when the load test does, or with Ctrl-C.

    A worker sends what its master tells it to send, wherever that is: name a master that you
    trust, on a network that you trust. Nothing between the two is encrypted or checked.
    """
    name = f"{socket.gethostname()}-{os.getpid()}"

    def tell(answer: dict[str, Any]) -> None:
        line = _line(answer, name, f"{host}:{port}")
        if line and not quiet:
            click.echo(line, err=True)

    if not quiet:
        click.echo(f"looking for the load test at {host}:{port}", err=True)
    try:
        work_for(host, port, name, wait_s, tell)
    except KeyboardInterrupt:
        click.echo("stopped; the load test goes on without this worker", err=True)
        sys.exit(INTERRUPTED)


def _line(answer: dict[str, Any], name: str, place: str) -> str | None:
    match answer["event"]:
        case "joined":
            return f"{name} works for {place}; Ctrl-C ends it"
        case "working":
            return f"job {answer['job']} begins"
        case "idle":
            return f"sent {answer['sent']:,} requests"
        case "ended":
            return "the load test is over"
        case _:
            return None
