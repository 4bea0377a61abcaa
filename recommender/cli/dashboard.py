from __future__ import annotations

import atexit
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from dashboard.access import LOOPBACK
from dashboard.app import create_app
from dashboard.data import StoreRepository, WithDemo
from dashboard.picture import write_picture
from dashboard.serve import Server, listen
from recommender.cli.options import open_chosen_store, store_option
from recommender.cli.own_prior import prior_in_use
from recommender.cli.places import jobs_folder
from recommender.cli.price_books import price_shelf
from recommender.errors import BadRequest, NothingMeasured
from recommender.jobs import Jobs
from recommender.request import KIND

if TYPE_CHECKING:
    from flask import Flask


LEAST_TOKEN = 16


@click.command("dashboard")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen; anywhere but on loopback asks for --token.",
)
@click.option(
    "--token",
    envvar="RECOMMENDER_TOKEN",
    metavar="TEXT",
    help=f"What a browser must bring, {LEAST_TOKEN} characters or more.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8050,
    show_default=True,
    help="Where to listen; 0 takes a free one.",
)
@click.option(
    "--picture",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the frontier of a run and serve nothing: .html stands alone, .png needs Chromium.",
)
@click.option("--run", default="latest", show_default=True, help="The run of --picture.")
@store_option
def dashboard_command(
    host: str, port: int, token: str | None, picture: Path | None, run: str, store_url: str | None
) -> None:
    """See, start and stop runs in a browser, and ask what if."""
    if picture is not None:
        _draw(picture, run, store_url)
        return
    _check_access(host, port, token)
    open_chosen_store(store_url).close()  # say here, and not in the server's log, what is wrong

    def make_app() -> Flask:
        prior, shelf = prior_in_use(), price_shelf()
        store = open_chosen_store(store_url)
        repository = WithDemo(StoreRepository(store, prior, shelf), prior, shelf)
        is_here = host in LOOPBACK
        jobs = Jobs(store, store_url, jobs_folder(), shelf, runs_programs=is_here)
        atexit.register(repository.close)
        Thread(target=repository.make_ready, daemon=True).start()
        app = create_app(repository, LOOPBACK if is_here else None, token, jobs)
        server: Flask = app.server
        return server

    listener = listen(host, port)
    entry = "" if token is None else f"?token={quote(token)}"
    click.echo(f"dashboard: http://{host}:{listener.getsockname()[1]}/{entry}  (Ctrl-C stops it)")
    Server(listener, make_app).run()


def _check_access(host: str, port: int, token: str | None) -> None:
    if token is not None and len(token) < LEAST_TOKEN:
        raise BadRequest(
            f"a token of {len(token)} characters is too short",
            hint=f"take {LEAST_TOKEN} or more: --token $(openssl rand -hex 16)",
        )
    if token is None and host not in LOOPBACK:
        raise BadRequest(
            f"the dashboard does not listen on {host} without a token: anybody there could read "
            "your runs",
            hint="give it one: --token $(openssl rand -hex 16); or come by a tunnel: "
            f"ssh -L {port}:127.0.0.1:{port} USER@THIS-MACHINE",
        )


def _draw(picture: Path, run: str, store_url: str | None) -> None:
    with open_chosen_store(store_url) as store:
        repository = StoreRepository(store)
        found = repository.run(run)
        if found.kind != KIND:
            raise BadRequest(
                f"{found.id} is a {found.kind} run: there is no recommendation to draw",
                hint=f"see it in the dashboard, or: recommender show {found.id}",
            )
        recommendation = repository.recommendation(found.id)
    if recommendation is None:
        raise NothingMeasured(
            f"run {found.id} ({found.status.lower()}) has no recommendation to draw",
            hint=f"go on with it: recommender quick --resume {found.id}",
        )
    write_picture(picture, recommendation)
    click.echo(f"written: {picture}", err=True)
