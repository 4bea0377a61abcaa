"""What traffic and a scaling policy are asked with, and what turning one of them makes of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import dcc, html

from dashboard import format as fmt
from dashboard.components.sections import aria
from dashboard.scaling import KINDS, METRICS, SHAPES
from dashboard.uploads import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dash.development.base_component import Component

    from dashboard.scaling import FleetAsked
    from recommender.simulation.fleet_day import FleetDay, MachineChoice

__all__ = [
    "GROUPS",
    "POLICY_KNOBS",
    "VALUED",
    "Knob",
    "hidden_groups",
    "machine_data",
    "policy",
    "shape_of",
    "shown_values",
    "traffic",
    "turned",
]


class Knob(StrEnum):
    RATE = "fleet-rate"
    SHAPE = "fleet-shape"
    PEAK = "fleet-peak"
    SPREAD = "fleet-spread"
    SLO = "fleet-slo"
    MACHINE = "fleet-machine"
    KIND = "fleet-kind"
    METRIC = "fleet-metric"
    TARGET = "fleet-target"
    LEAST = "fleet-least"
    MOST = "fleet-most"
    OUT = "fleet-out"
    IN = "fleet-in"
    SCALE_IN = "fleet-scale-in"
    REPLICAS = "fleet-replicas"
    TABLE = "fleet-table"
    STEADY = "fleet-steady"
    FILE = "fleet-file"
    TRACKING = "fleet-tracking"
    FIXED = "fleet-fixed"
    FILED = "fleet-filed"


TRACKING = (
    Knob.METRIC, Knob.TARGET, Knob.LEAST, Knob.MOST, Knob.OUT, Knob.IN, Knob.SCALE_IN,
)  # fmt: skip
POLICY_KNOBS = (Knob.KIND, *TRACKING, Knob.REPLICAS)
VALUED = (
    Knob.RATE, Knob.SHAPE, Knob.PEAK, Knob.SPREAD, Knob.SLO, Knob.MACHINE, *POLICY_KNOBS,
)  # fmt: skip
GROUPS = {
    Knob.TRACKING: ("target", "searched"),
    Knob.FIXED: ("fixed",),
    Knob.FILED: ("file",),
}
CHEAPEST = "cheapest"  # of the choice of machines
OTHER_TARGETS = {"cpu": 50.0, "concurrency": 2.0}


def turned(asked: FleetAsked, knob: str, given: dict[str, Any]) -> FleetAsked:
    """An empty field leaves the question as it was.

    Who turns a knob of a policy that was searched for goes on from what was found.
    """
    if given.get(knob) in (None, ""):
        return asked
    if knob == Knob.METRIC:
        return _measured_otherwise(asked, given)
    if knob == Knob.KIND:
        return asked.set(kind=given[knob], **_taken(given, (*TRACKING, Knob.REPLICAS)))
    if knob in TRACKING:
        return asked.set(kind="target", **_taken(given, TRACKING))
    kind = {"kind": "fixed"} if knob == Knob.REPLICAS else {}
    return asked.set(**kind, **_taken(given, (Knob(knob),)))


def _measured_otherwise(asked: FleetAsked, given: dict[str, Any]) -> FleetAsked:
    """A target is of its own metric: that of invocations is searched for anew."""
    metric = given[Knob.METRIC]
    if metric not in OTHER_TARGETS:
        return asked.set(kind="searched", metric=metric)
    others = _taken(given, TRACKING) | {"target": OTHER_TARGETS[metric]}
    return asked.set(kind="target", **others)


def _taken(given: dict[str, Any], knobs: Sequence[Knob]) -> dict[str, Any]:
    return {
        _TAKEN[knob][0]: _TAKEN[knob][1](given[knob])
        for knob in knobs
        if knob in _TAKEN and given.get(knob) not in (None, "")
    }


def traffic(asked: FleetAsked, said: str) -> list[Component]:
    """said: id of what is told of the shape."""
    fleet = asked.fleet
    return [
        _number(Knob.RATE, "Traffic, requests a second on average",
                float(f"{asked.base.rate_rps:.4g}"), 0.001, 1_000_000),
        html.Div(
            [
                dmc.Select(
                    id=Knob.SHAPE, label="As it comes", value=asked.shape, allowDeselect=False,
                    data=[{"value": key, "label": name} for key, name in SHAPES.items()],
                ),
                _number(Knob.PEAK, "Peak / mean", fleet.peak_ratio, 1, 24, step=0.1),
            ],
            className="pair",
        ),
        html.Div(shape_of(asked), id=said, className="shape"),
        dcc.Upload(
            html.Span(["Drop a table or CloudWatch export, or ", html.U("choose one")]),
            id=Knob.TABLE, max_size=MOST_BYTES, multiple=False, className="drop",
        ),
        html.Div(
            [
                html.Span("Its level is known within a factor of 1 and", className="label"),
                dmc.Slider(
                    id=Knob.SPREAD, value=fleet.spread_percent, min=0, max=100, step=5,
                    label={"function": "percent"}, updatemode="mouseup",
                    marks=[{"value": each, "label": f"{each}%"} for each in (0, 25, 50, 75, 100)],
                    thumbLabel="how unsure the traffic's level is, percent",
                ),
            ],
            className="decades",
        ),
        dmc.TextInput(id=Knob.SLO, label="Objective", value=asked.base.slo, debounce=600),
    ]  # fmt: skip


def shape_of(asked: FleetAsked) -> list[Component]:
    """The button is there either way: what answers to it must be."""
    hours, shape = asked.base.hours, asked.shape
    steady = html.Button(
        "make it steady", id=Knob.STEADY, className="plain", hidden=hours is None
    )  # fmt: skip
    if shape != "own":
        length = "A week" if shape == "weekly" else "A day"
        return [html.Span(f"{length} is played. "), steady]
    if hours is None:
        return [html.Span("A steady rate, for a day. "), steady]
    peak = max(hours) * len(hours) / sum(hours)
    said = (
        f"{len(hours)} rows of {asked.fleet.step_min} min; the peak is {peak:.2g} times the mean. "
    )
    return [html.Span(said), steady]


def policy(asked: FleetAsked, day: FleetDay) -> list[Component]:
    values = shown_values(asked, day)
    kind, hidden = values[Knob.KIND], hidden_groups(values[Knob.KIND])
    return [
        dmc.Select(
            id=Knob.MACHINE, label="Instance", value=values[Knob.MACHINE], searchable=True,
            data=machine_data(day.machines), allowDeselect=False,
        ),
        html.Div(
            [
                html.Span("Policy", className="label"),
                dmc.SegmentedControl(
                    id=Knob.KIND, value=kind, size="sm", fullWidth=True,
                    data=[{"value": key, "label": name} for key, name in KINDS.items()],
                    **aria(label="policy"),
                ),
            ]
        ),
        html.Div(_tracking(values), id=Knob.TRACKING, hidden=hidden[Knob.TRACKING],
                 className="knobs"),
        html.Div(
            _number(Knob.REPLICAS, "Instances, at all times", values[Knob.REPLICAS], 1, 10_000),
            id=Knob.FIXED, hidden=hidden[Knob.FIXED], className="knobs",
        ),
        html.Div(
            [
                html.P("Target tracking, steps or a schedule, in the words of Application Auto "
                       "Scaling: YAML or JSON.", className="shape"),
                dcc.Upload(
                    html.Span(["Drop a policy, or ", html.U("choose one")]), id=Knob.FILE,
                    accept=".yaml,.yml,.json", max_size=MOST_BYTES, multiple=False,
                    className="drop",
                ),
            ],
            id=Knob.FILED, hidden=hidden[Knob.FILED], className="knobs",
        ),
    ]  # fmt: skip


def shown_values(asked: FleetAsked, day: FleetDay) -> dict[str, Any]:
    """Of the knobs of the policy, and the machine: what was found where it was searched for."""
    fleet, found = asked.fleet, day.chosen.policy
    values: dict[str, Any] = {
        Knob.MACHINE: fleet.machine or CHEAPEST,
        Knob.KIND: fleet.kind,
        Knob.METRIC: fleet.metric,
        Knob.TARGET: fleet.target,
        Knob.LEAST: fleet.least,
        Knob.MOST: fleet.most or None,
        Knob.OUT: fleet.cooldown_out_s,
        Knob.IN: fleet.cooldown_in_s,
        Knob.SCALE_IN: fleet.scale_in,
        Knob.REPLICAS: fleet.replicas,
    }
    if fleet.kind != "searched" or found is None:
        return values
    values |= {
        Knob.LEAST: found.min_replicas,
        Knob.MOST: found.max_replicas,
        Knob.REPLICAS: found.max_replicas,
    }
    if found.target is None:
        return values
    return values | {
        Knob.METRIC: found.metric,
        Knob.TARGET: found.target,
        Knob.OUT: found.scale_out_cooldown_s,
        Knob.IN: found.scale_in_cooldown_s,
        Knob.SCALE_IN: "yes",
    }


def hidden_groups(kind: str) -> dict[str, bool]:
    """Of the knobs, those that say nothing to this kind of policy."""
    return {group.value: kind not in kinds for group, kinds in GROUPS.items()}


def machine_data(choices: Sequence[MachineChoice]) -> list[dict[str, str]]:
    return [
        {"value": CHEAPEST, "label": f"cheapest: {choices[0].name}"},
        *(
            {
                "value": each.name,
                "label": f"{each.name}, {fmt.usd(f'{each.usd_per_hour:.6g}')}/h",
            }
            for each in choices
        ),
    ]


def _tracking(values: dict[str, Any]) -> list[Component]:
    return [
        html.Div(
            [
                dmc.Select(
                    id=Knob.METRIC, label="Metric", value=values[Knob.METRIC], allowDeselect=False,
                    data=[{"value": key, "label": name} for key, name in METRICS.items()],
                ),
                _number(Knob.TARGET, "Target, each", values[Knob.TARGET], 0.001, 1e9),
            ],
            className="pair",
        ),
        html.Div(
            [
                _number(Knob.LEAST, "Fewest", values[Knob.LEAST], 1, 10_000),
                _number(Knob.MOST, "Most", values[Knob.MOST], 1, 10_000),
            ],
            className="pair",
        ),
        html.Div(
            [
                _number(Knob.OUT, "Cooldown out, s", values[Knob.OUT], 0, 86_400),
                _number(Knob.IN, "Cooldown in, s", values[Knob.IN], 0, 86_400),
            ],
            className="pair",
        ),
        html.Div(
            [
                html.Span("Scale in", className="label"),
                dmc.SegmentedControl(
                    id=Knob.SCALE_IN, value=values[Knob.SCALE_IN], size="sm", fullWidth=True,
                    data=[{"value": "yes", "label": "Yes"}, {"value": "no", "label": "Never"}],
                    **aria(label="scale in"),
                ),
            ]
        ),
    ]  # fmt: skip


def _number(
    knob: Knob,
    label: str,
    value: float | None,
    low: float,
    high: float,
    **other: Any,  # noqa: ANN401 - as Mantine has them
) -> Component:
    field: Component = dmc.NumberInput(
        id=knob, label=label, value=value, min=low, max=high, thousandSeparator=",", debounce=500,
        hideControls=True, **other,
    )  # fmt: skip
    return field


def _machine(name: str) -> str:
    return "" if name == CHEAPEST else name


# Of each knob the field of the question, and how its value is read.
_TAKEN: dict[Knob, tuple[str, Callable[[Any], Any]]] = {
    Knob.RATE: ("rate_rps", float),
    Knob.SHAPE: ("shape", str),
    Knob.PEAK: ("peak_ratio", float),
    Knob.SPREAD: ("spread_percent", int),
    Knob.SLO: ("slo", str),
    Knob.MACHINE: ("machine", _machine),
    Knob.METRIC: ("metric", str),
    Knob.TARGET: ("target", float),
    Knob.LEAST: ("least", int),
    Knob.MOST: ("most", int),
    Knob.OUT: ("cooldown_out_s", float),
    Knob.IN: ("cooldown_in_s", float),
    Knob.SCALE_IN: ("scale_in", str),
    Knob.REPLICAS: ("replicas", int),
}
