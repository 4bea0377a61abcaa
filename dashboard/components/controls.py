"""What a question is asked with, and what turning one of them makes of it."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from math import log10
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import dcc, html

from dashboard.components.sections import aria
from dashboard.uploads import MOST_BYTES
from recommender.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dash.development.base_component import Component

    from dashboard.asked import Asked
    from loadtests.errors import UsageError
    from pricing import PricingError
    from recommender.errors import RecommenderError

__all__ = [
    "KIND_CHOICES",
    "VALUED",
    "Control",
    "copy_button",
    "kinds_in",
    "of_kinds",
    "others",
    "refusal",
    "shape_of",
    "traffic",
    "turned",
]


class Control(StrEnum):
    """DECADES: the slider, in powers of ten of requests a second."""

    DECADES = "ask-decades"
    RATE = "ask-rate"
    HOURS = "ask-hours"
    STEADY = "ask-steady"
    SLO = "ask-slo"
    REGION = "ask-region"
    PLATFORMS = "ask-platforms"
    PURCHASES = "ask-purchases"
    HEADROOM = "ask-headroom"
    ZONES = "ask-zones"
    BOOK = "ask-book"
    KINDS = "ask-kinds"


VALUED = (
    Control.DECADES, Control.RATE, Control.SLO, Control.REGION, Control.PLATFORMS,
    Control.PURCHASES, Control.HEADROOM, Control.ZONES, Control.BOOK, Control.KINDS,
)  # fmt: skip
LEAST_DECADES, MOST_DECADES = -1, 4
MACHINES = ("sagemaker", "ec2")
SERVERLESS, PROVISIONED, SPOT = (each.value for each in Kind)
TOGETHER = "+"
KIND_CHOICES = {
    TOGETHER.join((SERVERLESS, PROVISIONED, SPOT)): "serverless, provisioned and spot",
    TOGETHER.join((SERVERLESS, PROVISIONED)): "serverless and provisioned",
    TOGETHER.join((PROVISIONED, SPOT)): "provisioned and spot",
    SERVERLESS: "serverless alone",
    PROVISIONED: "provisioned alone",
    SPOT: "spot alone",
}
PLATFORMS = {
    "sagemaker": "SageMaker real-time",
    "serverless": "SageMaker serverless",
    "ec2": "EC2",
    "own": "your own",
}
PURCHASES = {"on-demand": "on-demand", "spot": "spot", "savings-plan": "savings plan"}


def turned(asked: Asked, control: str, given: dict[str, Any]) -> Asked:
    """An empty field leaves the question as it was."""
    value = given.get(control)
    if control == Control.KINDS and value:
        return of_kinds(asked, value)
    if value in (None, "") or control not in _TAKEN:
        return asked
    field, read = _TAKEN[Control(control)]
    return replace(asked, **{field: read(value)})


def kinds_in(asked: Asked) -> str:
    """What the platforms and purchases asked for come to, as the choice has it.

    Serverless is bought on demand: where spot alone is bought there is none.
    """
    machines, bought = set(asked.platforms) - {SERVERLESS}, set(asked.purchases)
    found = {
        SERVERLESS: SERVERLESS in asked.platforms and "on-demand" in bought,
        PROVISIONED: bool(machines and bought - {SPOT}),
        SPOT: "ec2" in machines and SPOT in bought,
    }
    return TOGETHER.join(kind for kind, is_asked in found.items() if is_asked)


def of_kinds(asked: Asked, kinds: str) -> Asked:
    """Nothing else may serve. kinds: of those to choose from."""
    chosen = set(kinds.split(TOGETHER))
    machines = (set(asked.platforms) - {SERVERLESS}) or set(MACHINES)
    platforms = (chosen & {SERVERLESS}) | (machines if PROVISIONED in chosen else set())
    purchases = chosen & {SPOT}
    if SPOT in chosen:
        platforms |= {"ec2"}
    if PROVISIONED in chosen:
        purchases |= (set(asked.purchases) - {SPOT}) or {"on-demand"}
    if SERVERLESS in chosen:
        purchases |= {"on-demand"}
    return replace(
        asked,
        platforms=_ordered(PLATFORMS)(platforms),
        purchases=_ordered(PURCHASES)(purchases),
    )


def traffic(asked: Asked, shape: str) -> list[Component]:
    return [
        dmc.NumberInput(
            id=Control.RATE,
            label="Traffic, requests a second on average",
            value=float(f"{asked.rate_rps:.4g}"),
            min=0.001,
            max=1_000_000,
            thousandSeparator=",",
            debounce=500,
            hideControls=True,
        ),
        dmc.Slider(
            id=Control.DECADES,
            value=log10(asked.rate_rps),
            min=LEAST_DECADES,
            max=MOST_DECADES,
            step=0.02,
            label={"function": "rate"},
            marks=[
                {"value": decade, "label": f"{10.0**decade:,g}"}
                for decade in range(LEAST_DECADES, MOST_DECADES + 1)
            ],
            updatemode="mouseup",
            thumbLabel="traffic, in powers of ten of requests a second",
            className="decades",
        ),
        html.Div(shape_of(asked), id=shape, className="shape"),
        dcc.Upload(
            html.Span(["Drop an hourly CSV, or ", html.U("choose one")]),
            id=Control.HOURS,
            accept=".csv,text/csv",
            max_size=MOST_BYTES,
            multiple=False,
            className="drop",
        ),
    ]


def shape_of(asked: Asked) -> list[Component]:
    """The button is there either way: what answers to it must be."""
    steady = html.Button(
        "make it steady",
        id=Control.STEADY,
        className="plain",
        hidden=asked.hours is None,
    )
    if asked.hours is None:
        return [html.Span("A steady rate. "), steady]
    peak = max(asked.hours) * len(asked.hours) / sum(asked.hours)
    said = f"In the shape of {len(asked.hours)} hours; the peak is {peak:.2g} times the mean. "
    return [html.Span(said), steady]


def others(asked: Asked, books: Sequence[str], regions: Sequence[str]) -> list[Component]:
    return [
        dmc.TextInput(id=Control.SLO, label="Objective", value=asked.slo, debounce=600),
        dmc.Select(
            id=Control.REGION, label="Region", value=asked.region, data=list(regions),
            searchable=True, allowDeselect=False,
        ),
        _kinds(asked),
        _choice(Control.PLATFORMS, "Served by", PLATFORMS, asked.platforms),
        _choice(Control.PURCHASES, "Bought", PURCHASES, asked.purchases),
        html.Div(
            [
                html.Span("Headroom: capacity kept free at peak", className="label"),
                dmc.Slider(
                    id=Control.HEADROOM, value=asked.headroom_percent, min=0, max=80, step=5,
                    label={"function": "percent"},
                    marks=[{"value": each, "label": f"{each}%"} for each in (0, 20, 40, 60, 80)],
                    updatemode="mouseup", thumbLabel="headroom, percent",
                ),
            ],
            className="decades",
        ),
        html.Div(
            [
                html.Span("Zones, of which one may be lost", className="label"),
                dmc.SegmentedControl(
                    id=Control.ZONES, value=str(asked.zones), size="sm", fullWidth=True,
                    data=[{"value": str(each), "label": str(each)} for each in range(1, 7)],
                    **aria(label="zones"),
                ),
            ]
        ),
        dmc.Select(
            id=Control.BOOK, label="Price book", value=asked.book, data=list(books),
            allowDeselect=False,
        ),
    ]  # fmt: skip


def _kinds(asked: Asked) -> Component:
    choice: Component = dmc.Select(
        id=Control.KINDS,
        label="May be used",
        value=kinds_in(asked) or None,
        data=[{"value": key, "label": name} for key, name in KIND_CHOICES.items()],
        placeholder="nothing that there is",
        allowDeselect=False,
    )
    return choice


def copy_button(name: str, label: str = "Copy link", value: str = "") -> Component:
    button: Component = dmc.CopyButton(
        id=name,
        value=value,
        children=label,
        copiedChildren="Copied",
        color="blue",
        size="sm",
    )
    return button


def refusal(error: RecommenderError | PricingError | UsageError) -> list[Component]:
    hint = [] if error.hint is None else [html.Div(error.hint, className="note")]
    return [html.Div([html.Div(str(error)), *hint], className="refusal")]


def _choice(
    control: Control, label: str, names: dict[str, str], chosen: tuple[str, ...]
) -> Component:
    shown = {key: name for key, name in names.items() if key in chosen or key in _USUAL}
    choice: Component = dmc.CheckboxGroup(
        dmc.Group(
            [dmc.Checkbox(label=name, value=key, size="sm") for key, name in shown.items()],
            gap="sm",
        ),
        id=control,
        label=label,
        value=list(chosen),
    )
    return choice


_USUAL = ("sagemaker", "serverless", "ec2", "on-demand", "spot")


def _ordered(names: dict[str, str]) -> Callable[[Any], tuple[str, ...]]:
    return lambda chosen: tuple(each for each in names if each in chosen)


def _rate_of(decades: float) -> float:
    """To two digits: nobody asks a slider for more."""
    return float(f"{10 ** float(decades):.2g}")


# Of each control the field of the question, and how its value is read.
_TAKEN: dict[Control, tuple[str, Callable[[Any], Any]]] = {
    Control.DECADES: ("rate_rps", _rate_of),
    Control.RATE: ("rate_rps", float),
    Control.SLO: ("slo", str),
    Control.REGION: ("region", str),
    Control.PLATFORMS: ("platforms", _ordered(PLATFORMS)),
    Control.PURCHASES: ("purchases", _ordered(PURCHASES)),
    Control.HEADROOM: ("headroom_percent", int),
    Control.ZONES: ("zones", int),
    Control.BOOK: ("book", str),
}
