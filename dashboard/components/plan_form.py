"""A load test's form: its plan as text, the files it names, and what it would come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dash_mantine_components as dmc
from dash import dcc, html

from dashboard.asked_plan import MOST_LETTERS
from dashboard.components.file_box import FileBox
from dashboard.components.sections import section, table
from dashboard.format import count
from recommender.loadtest.explanation import length

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.components.sections import Cell
    from recommender.loadtest.explanation import Explanation, Line

__all__ = ["FOLDER", "PLAN", "PLAN_FILE", "PLAN_FILES", "explained", "plan_form"]

PLAN, FOLDER, PLAN_FILE = "new-plan", "new-plan-folder", "new-plan-file"
PLAN_FILES = FileBox("new-plan-files")
TYPING_MS = 200
FREE, UNKNOWN = "none", "not known"


def plan_form(text: str, folder: str, *, is_guest: bool) -> list[Component]:
    return [
        section(
            "Plan",
            html.Div(
                [
                    dmc.Textarea(
                        id=PLAN, label="The plan, as YAML", value=text, autosize=True, minRows=14,
                        maxRows=40, debounce=TYPING_MS, classNames={"input": "mono"},
                        spellCheck=False,
                    ),
                    _file(),
                ],
                className="stack",
            ),
            note="Configurations, each tested in each scenario. `recommender schema plan` prints "
            "every key that a plan can have.",
        ),
        section(
            "Files that it names",
            html.Div(
                [
                    PLAN_FILES.component("Payload, record and traffic files", "files"),
                    dmc.TextInput(
                        id=FOLDER, label="Folder of this machine that others are in", value=folder,
                        placeholder="where the dashboard was started", debounce=TYPING_MS,
                        disabled=is_guest,
                    ),
                ],
                className="stack",
            ),
            note="What the plan calls by the name of an uploaded file is that file.",
        ),
    ]  # fmt: skip


def _file() -> Component:
    shown: Component = html.Div(
        dcc.Upload(
            html.Span(["Or drop a plan file, or ", html.U("choose one")]),
            id=PLAN_FILE,
            accept=".yaml,.yml,.json",
            max_size=MOST_LETTERS,
            multiple=False,
            className="drop",
        ),
        className="files",
    )
    return shown


def explained(explanation: Explanation) -> list[Component]:
    first, *more = explanation.words
    return [
        html.P(html.B(first)),
        *map(html.P, more),
        table(
            ("Test", "About", "Requests", "Cost"),
            [_cells(line) for line in explanation.lines],
            numeric=(1, 2, 3),
            label="what would be run",
            kind="explained",
        ),
    ]


def _cells(line: Line) -> tuple[Cell, ...]:
    requests = line.estimate.requests
    return (
        [
            html.Div(f"{line.configuration}: {line.scenario}"),
            html.Div(line.does, className="interval"),
        ],
        length(line.estimate.seconds),
        UNKNOWN if requests is None else count(round(requests)),
        FREE if line.usd is None else f"${line.usd:.2f}",
    )
