from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dashboard.app import LOOPBACK, create_app
from dashboard.data import StoreRepository
from dashboard.picture import write_picture
from dashboard.serve import Server, listen
from recommender.cli.options import open_chosen_store, store_option
from recommender.errors import BadRequest, NothingMeasured
from recommender.request import KIND

if TYPE_CHECKING:
    from flask import Flask


@click.command("dashboard")
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback only, for now.")
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
    host: str, port: int, picture: Path | None, run: str, store_url: str | None
) -> None:
    """See runs and recommendations in a browser."""
    if picture is not None:
        _draw(picture, run, store_url)
        return
    if host not in LOOPBACK:
        raise BadRequest(
            f"the dashboard listens on loopback only, not on {host}: it asks nobody who they are",
            hint=f"come by a tunnel: ssh -L {port}:127.0.0.1:{port} USER@THIS-MACHINE",
        )
    open_chosen_store(store_url).close()  # say here, and not in the server's log, what is wrong

    def make_app() -> Flask:
        app = create_app(StoreRepository(open_chosen_store(store_url)))
        server: Flask = app.server
        return server

    listener = listen(host, port)
    click.echo(f"dashboard: http://{host}:{listener.getsockname()[1]}/  (Ctrl-C stops it)")
    Server(listener, make_app).run()


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
