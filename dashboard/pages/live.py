"""A page of a run that may still be at work: what changes is replaced, and nothing else.

So a chart that somebody has zoomed into, or a table scrolled to its end, stays as it is until
there is something new in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from dash import ALL, Dash, Input, Output, State, dcc, html, no_update
from dash.exceptions import PreventUpdate
from plotly.io.json import to_json_plotly

from dashboard.components.job_buttons import done_id
from dashboard.components.looked_into import CHOICE
from dashboard.components.progress import progress_block
from recommender.errors import RecommenderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dash.development.base_component import Component

    from dashboard.data import Repository
    from recommender.store import Run

__all__ = ["LIVE", "Content", "Live", "Made", "live_page", "register", "ticked"]

Content: TypeAlias = "Sequence[Component]"

LIVE, CLOCK, PROGRESS = "live", "live-clock", "live-progress"
EVERY_MS = 2000


@dataclass(frozen=True, slots=True)
class Live:
    """What a run's page shows now. parts: by name, in the order they stand.

    options: of the runs that may be looked into.
    """

    parts: Mapping[str, Content]
    options: tuple[dict[str, Any], ...] = ()


Ticked: TypeAlias = "tuple[Component, list[Any], list[Any], Any, bool]"
Made: TypeAlias = "Callable[[Run], Live]"


def live_page(page: str, run: Run, measured: int, shown: Live, *below: Component) -> Component:
    """page: the name that its maker is registered under. below: what never changes by itself."""
    first, *others = shown.parts.items()
    return html.Article(
        [
            dcc.Store(id=LIVE, data=_held(page, run, measured, shown)),
            dcc.Interval(id=CLOCK, interval=EVERY_MS, disabled=not run.status.is_under_way),
            _part(*first),
            html.Div(progress_block(run), id=PROGRESS),
            *(_part(name, content) for name, content in others),
            *below,
        ]
    )


def _part(name: str, content: Content) -> Component:
    return html.Div(content, id={"type": "live-part", "part": name}, className="part")


def register(app: Dash, repository: Repository, makers: Mapping[str, Made]) -> None:
    def tick(
        _: int,
        __: list[str | None],
        ids: list[dict[str, str]],
        held: dict[str, Any],
        looks: list[dict[str, str]],
    ) -> Ticked:
        """When the clock ticks, and when something was done about the run."""
        try:
            return ticked(repository, makers, held, [each["part"] for each in ids], len(looks))
        except RecommenderError as error:  # of a store that is busy; the next tick asks again
            raise PreventUpdate from error

    app.callback(
        Output(PROGRESS, "children"),
        Output({"type": "live-part", "part": ALL}, "children"),
        Output({**CHOICE, "part": ALL}, "data"),
        Output(LIVE, "data"),
        Output(CLOCK, "disabled"),
        Input(CLOCK, "n_intervals"),
        Input(done_id(ALL), "data"),
        State({"type": "live-part", "part": ALL}, "id"),
        State(LIVE, "data"),
        State({**CHOICE, "part": ALL}, "id"),
        prevent_initial_call=True,
    )(tick)


def ticked(
    repository: Repository,
    makers: Mapping[str, Made],
    held: Mapping[str, Any],
    names: list[str],
    looks: int,
) -> Ticked:
    """Progress, parts by name, options, what is then held, and whether the clock stops.

    held: what the browser shows. looks: how many lists of runs to look into the page has.
    """
    run = repository.run(held["run"])
    measured = repository.finished_measurements(run.id)
    progress, ended = progress_block(run), not run.status.is_under_way
    if held["version"] == _version(run, measured):
        return progress, [no_update] * len(names), [no_update] * looks, no_update, ended
    shown = makers[held["page"]](run)
    parts = [
        shown.parts[name]
        if name in shown.parts and held["tokens"].get(name) != _token(shown.parts[name])
        else no_update
        for name in names
    ]
    now = _held(held["page"], run, measured, shown)
    return progress, parts, [list(shown.options)] * looks, now, ended


def _held(page: str, run: Run, measured: int, shown: Live) -> dict[str, Any]:
    return {
        "page": page,
        "run": run.id,
        "version": _version(run, measured),
        "tokens": {name: _token(content) for name, content in shown.parts.items()},
    }


def _version(run: Run, measured: int) -> str:
    """Of all that a page shows but the progress."""
    return f"{run.status} {measured} {run.finished_at}"


def _token(content: Content) -> str:
    drawn = to_json_plotly(list(content), engine="json")
    return hashlib.blake2b(drawn.encode(), digest_size=8).hexdigest()
