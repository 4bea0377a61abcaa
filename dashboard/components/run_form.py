"""The fields of a quick run's form."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

import dash_mantine_components as dmc
from dash import dcc, html

from dashboard.asked_run import KINDS, QuickForm, is_asked
from dashboard.components.controls import PLATFORMS, PURCHASES
from dashboard.components.file_box import FileBox
from dashboard.components.sections import section
from recommender.cli.quick import DEFAULT_SLO, DEFAULT_TRAFFIC
from recommender.guests import HARMLESS

if TYPE_CHECKING:
    from dash.development.base_component import Component

__all__ = ["FIELDS", "HOURS", "PAYLOADS", "field_id", "quick_form", "where_shown", "wrapper_id"]

PAYLOADS = FileBox("new-payload-files")
HOURS = "new-hours"
TYPING_MS = 200
FIELDS = tuple(each.name for each in fields(QuickForm) if each.name != "uploads")
KIND_NAMES = {
    "sample": "The sample container",
    "command": "A command",
    "image": "A container image",
    "build": "A Dockerfile",
    "url": "A URL",
}


class Where(NamedTuple):
    label: str
    description: str
    placeholder: str


WHERE = {
    "sample": Where("", "", ""),
    "command": Where(
        "Command",
        "Starts your model server; {port} becomes the port to listen on.",
        "gunicorn -b 127.0.0.1:{port} wsgi:app",
    ),
    "image": Where(
        "Image",
        "Answers as SageMaker asks: IMAGE serve, GET /ping, POST /invocations on 8080. Needs "
        "Docker or Podman.",
        "my-model:latest",
    ),
    "build": Where(
        "Folder of the Dockerfile",
        "The image is built from it, and then measured.",
        "/home/me/model",
    ),
    "url": Where("URL", "A server that already runs; measured as it is.", "http://127.0.0.1:8080"),
}


class Text(NamedTuple):
    """placeholder: what the command takes where the field is empty."""

    name: str
    label: str
    placeholder: str = ""
    description: str = ""


MEASURED = (
    Text("sizes", "Sizes, vCPUs", "1, 2 and 4 as they fit", "With commas in between."),
    Text("vcpus", "vCPUs it runs on", "not known", "Of the server behind the URL."),
    Text("memory_gib", "Memory limit, GiB", "none"),
    Text("measured_on", "Measured on", "this machine", "The instance type it stands for."),
    Text("measure_s", "Longest run at a size, s", "10"),
    Text("startup_timeout_s", "Longest start, s", "480"),
    Text("seed", "Seed of arrivals", "1"),
)
CHOSEN = (
    Text("region", "Region", "us-east-1"),
    Text("instance_types", "Instance types", "all", "Globs, such as ml.c7i.*, c7g.*"),
    Text("headroom", "Headroom", "0.2", "Share of capacity kept free at peak."),
    Text("zones", "Zones", "1", "With two or more, losing one keeps the SLO."),
    Text("confidence", "Confidence", "0.8", "With which a fleet must meet the SLO."),
)


def field_id(name: str) -> str:
    return f"new-{name.replace('_', '-')}"


def wrapper_id(name: str) -> str:
    return f"{field_id(name)}-field"


def where_shown(kind: str) -> dict[str, Any]:
    """Properties of its input."""
    return {**WHERE[kind]._asdict(), "style": {"display": "none"} if kind == "sample" else {}}


def quick_form(form: QuickForm, *, is_guest: bool) -> list[Component]:
    """is_guest: nothing of whoever fills it in is executed or read here."""
    return [
        section("What is measured", _subject(form, is_guest=is_guest)),
        section("What it is asked", _asked(form, is_guest=is_guest)),
        section("Traffic and objective", _traffic(form)),
        html.Details(
            [
                html.Summary("More: sizes, region, what may be chosen from"),
                html.H3("Measuring"),
                html.Div([_text(form, each) for each in MEASURED], className="fields"),
                html.H3("Choosing"),
                html.Div([_architecture(form), *(_text(form, each) for each in CHOSEN)],
                         className="fields"),
                _several(form, "platforms", "Served by", PLATFORMS),
                _several(form, "purchases", "Bought", PURCHASES),
            ],
            className="section more",
            open=_is_said(form),
        ),
    ]  # fmt: skip


def _subject(form: QuickForm, *, is_guest: bool) -> Component:
    kinds = [
        dmc.Radio(
            label=KIND_NAMES[kind], value=kind, size="sm",
            disabled=is_guest and kind not in HARMLESS,
        )
        for kind in KINDS
    ]  # fmt: skip
    guest = html.P(
        "This dashboard is open to other machines, and executes and reads nothing here for them: "
        "the sample and servers that already run can be measured.",
        className="note",
    )
    return html.Div(
        [
            dmc.RadioGroup(
                dmc.Group(kinds, gap="md"), id=field_id("kind"), value=form.kind,
                label="What to measure",
            ),
            *([guest] if is_guest else []),
            dmc.TextInput(
                id=field_id("where"), value=form.where, debounce=TYPING_MS,
                **where_shown(form.kind),
            ),
            _text(
                form,
                Text(
                    "model", "Folder of model artefacts", "none",
                    "What it finds as /opt/ml/model; of the sample, the model it serves.",
                ),
                is_disabled=is_guest,
            ),
            _lines(form, "environment", "Environment variables", "NAME=VALUE, one a line",
                   is_disabled=is_guest),
        ],
        className="stack",
    )  # fmt: skip


def _asked(form: QuickForm, *, is_guest: bool) -> Component:
    return html.Div(
        [
            PAYLOADS.component("Payload files: one request body each", "payload files"),
            _lines(form, "payloads", "Payload files of this machine",
                   "a path or a pattern a line, such as samples/*.json", is_disabled=is_guest),
            html.Div(
                [
                    _text(form, Text("content_type", "Content type", "by file name")),
                    _text(form, Text("path", "Path", "/invocations")),
                ],
                className="fields",
            ),
            html.P("The sample brings payloads of its own.", className="note"),
        ],
        className="stack",
    )  # fmt: skip


def _traffic(form: QuickForm) -> Component:
    return html.Div(
        [
            _text(
                form,
                Text(
                    "traffic", "Traffic", DEFAULT_TRAFFIC,
                    "50rps, 500rpm, 1.2M/day, or a CSV of requests per hour; '50rps, cv 3' comes "
                    "in bursts.",
                ),
            ),
            html.Div(
                dcc.Upload(
                    html.Span(["Drop a CSV of requests per hour, or ", html.U("choose one")]),
                    id=HOURS,
                    accept=".csv,text/csv",
                    multiple=False,
                    className="drop",
                ),
                className="files",
            ),
            _text(
                form,
                Text("slo", "Objective (SLO)", DEFAULT_SLO, "Commas between several."),
            ),
        ],
        className="stack",
    )  # fmt: skip


def _text(form: QuickForm, text: Text, *, is_disabled: bool = False) -> Component:
    field: Component = html.Div(
        dmc.TextInput(
            id=field_id(text.name), label=text.label, description=text.description,
            placeholder=text.placeholder, value=getattr(form, text.name), debounce=TYPING_MS,
            disabled=is_disabled, inputWrapperOrder=["label", "input", "description", "error"],
        ),
        id=wrapper_id(text.name),
        hidden=not is_asked(text.name, form.kind),
    )  # fmt: skip
    return field


def _lines(
    form: QuickForm, name: str, label: str, placeholder: str, *, is_disabled: bool
) -> Component:
    field: Component = html.Div(
        dmc.Textarea(
            id=field_id(name), label=label, placeholder=placeholder, value=getattr(form, name),
            autosize=True, minRows=1, maxRows=8, debounce=TYPING_MS, disabled=is_disabled,
        ),
        id=wrapper_id(name),
        hidden=not is_asked(name, form.kind),
    )  # fmt: skip
    return field


def _architecture(form: QuickForm) -> Component:
    choice: Component = dmc.Select(
        id=field_id("arch"),
        label="Architecture",
        value=form.arch or None,
        data=["x86_64", "arm64", "any"],
        placeholder="this machine's; any for the sample",
        clearable=True,
    )
    return choice


def _several(form: QuickForm, name: str, label: str, names: dict[str, str]) -> Component:
    choice: Component = dmc.CheckboxGroup(
        dmc.Group(
            [dmc.Checkbox(label=said, value=key, size="sm") for key, said in names.items()],
            gap="sm",
        ),
        id=field_id(name),
        label=f"{label}: none chosen is the usual ones",
        value=list(getattr(form, name)),
        mt="sm",
    )
    return choice


def _is_said(form: QuickForm) -> bool:
    """Is anything filled in there?"""
    names = {each.name for each in (*MEASURED, *CHOSEN)} | {"arch", "platforms", "purchases"}
    return bool(names & set(form.changed))
