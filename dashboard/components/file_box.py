"""Files that come with a form: taken in one after the other, named, and left out again."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from dash import ALL, ClientsideFunction, Input, Output, State, ctx, dcc, html, no_update

from dashboard.components.sections import aria
from recommender.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dash import Dash
    from dash.development.base_component import Component

    from recommender.jobs import Jobs

__all__ = ["FileBox", "Taken", "unpacked"]

KIB = 1024


class Taken(TypedDict):
    """path: where it is kept here."""

    name: str
    path: str
    bytes: int


class FileBox(NamedTuple):
    """Ids of its parts. taken: what it holds, a list of `Taken`."""

    name: str

    @property
    def taken(self) -> str:
        return f"{self.name}-taken"

    @property
    def _drop(self) -> str:
        return f"{self.name}-drop"

    @property
    def _sent(self) -> str:
        return f"{self.name}-sent"

    @property
    def _shown(self) -> str:
        return f"{self.name}-shown"

    @property
    def _said(self) -> str:
        return f"{self.name}-said"

    def _leave(self, number: object) -> dict[str, Any]:
        return {"type": f"{self.name}-leave", "number": number}

    def component(self, label: str, what: str) -> Component:
        box: Component = html.Div(
            [
                html.Span(label, className="label"),
                dcc.Upload(
                    html.Span([f"Drop {what}, or ", html.U("choose some")]),
                    id=self._drop,
                    multiple=True,
                    className="drop",
                ),
                dcc.Store(id=self._sent),
                dcc.Store(id=self.taken, data=[]),
                html.Ul(id=self._shown, className="taken"),
                html.Div(id=self._said, className="fault", role="alert"),
            ],
            className="files",
        )
        return box

    def register(self, app: Dash, jobs: Jobs | None) -> None:
        app.clientside_callback(  # type: ignore[no-untyped-call]
            ClientsideFunction("new_run", "send"),
            Output(self._sent, "data"),
            Output(self._said, "children"),
            Input(self._drop, "contents"),
            State(self._drop, "filename"),
            prevent_initial_call=True,
        )
        if jobs is None:
            return
        app.callback(
            Output(self.taken, "data"),
            Output(self._shown, "children"),
            Output(self._said, "children", allow_duplicate=True),
            Input(self._sent, "data"),
            Input(self._leave(ALL), "n_clicks"),
            State(self.taken, "data"),
            prevent_initial_call=True,
        )(partial(self._turned, jobs))

    def _turned(
        self,
        jobs: Jobs,
        sent: list[tuple[str, str]] | None,
        clicks: Sequence[int | None],
        taken: list[Taken],
    ) -> Any:  # noqa: ANN401 - what three outputs become
        match ctx.triggered_id:
            case {"number": number} if any(clicks):
                left = [each for at, each in enumerate(taken) if at != number]
            case str():
                try:
                    left = taken + [_kept(jobs, name, packed) for name, packed in sent or ()]
                except BadRequest as error:
                    return no_update, no_update, f"{error}. {error.hint or ''}"
            case _:
                return (no_update,) * 3
        return left, self._listed(left), ""

    def _listed(self, taken: list[Taken]) -> list[Component]:
        return [
            html.Li(
                [
                    html.Span(each["name"], className="mono"),
                    html.Span(_size(each["bytes"]), className="note"),
                    html.Button(
                        "leave out",
                        id=self._leave(number),
                        className="plain",
                        **aria(label=f"leave out {each['name']}"),
                    ),
                ]
            )
            for number, each in enumerate(taken)
        ]


def unpacked(contents: str) -> bytes:
    """contents: a data URL. Raises BadRequest."""
    try:
        return base64.b64decode(contents.partition(",")[2], validate=True)
    except binascii.Error as error:
        raise BadRequest("the file did not arrive whole", hint="drop it again") from error


def _kept(jobs: Jobs, name: str, packed: str) -> Taken:
    content = unpacked(packed)
    return Taken(name=name, path=str(jobs.keep_upload(name, content)), bytes=len(content))


def _size(size_bytes: int) -> str:
    return f"{size_bytes} bytes" if size_bytes < KIB else f"{size_bytes / KIB:,.1f} KiB"
