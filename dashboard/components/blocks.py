"""The parts of a recommendation below its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dashboard.components.sections import Cell, chip, facts, table

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.evidence import EvidenceView, MeasurementLine
    from dashboard.views import Bill, ObjectiveLine, RejectedGroup

__all__ = ["bill", "evidence", "objectives", "rejected"]


def bill(shown: Bill) -> list[Component]:
    total = (html.Strong("Total"), "", "", "", html.Strong(shown.total))
    return [
        html.P(f"{shown.option}. {shown.note}", className="note"),
        table(
            ("Item", "Quantity", "Unit", "$ / unit", "$ / month"),
            [*shown.lines, total],
            numeric=(1, 3, 4),
            label="bill",
        ),
    ]


def objectives(shown: tuple[ObjectiveLine, ...]) -> Component:
    return table(
        ("Objective", "Verdict", "Probability", "Margin"),
        [(each.objective, chip(each.verdict), each.probability, each.margin) for each in shown],
        label="objectives of the cheapest",
    )


def rejected(group: RejectedGroup) -> Component:
    """Closed until it is asked for: there may be hundreds."""
    return html.Details(
        [
            html.Summary(group.title),
            *[html.P(["To change this: ", each], className="note") for each in group.remedies],
            table(("Found", "Bought as", "Options"), group.lines, label=group.title),
        ]
    )


def evidence(shown: EvidenceView) -> list[Component]:
    return [
        html.Div(facts(shown.facts), className="listing"),
        html.H3("What each size measured here can do"),
        table(
            ("Size", "Capacity at the objective", "Found by", "Saturated at", "Mean service",
             "CPU a request", "Memory at peak", "Start-up"),
            shown.sizes,
            label="sizes measured",
        ),
        html.H3(f"Measurements: {shown.counts}"),
        table(
            ("Measurement", "Load", "Requests", "Throughput", "Mean service",
             "p95 latency (95% interval)", "CPU a request", "Validity"),
            [_measurement(each) for each in shown.measurements],
            numeric=(2, 3),
            label="measurements",
        ),
    ]  # fmt: skip


def _measurement(shown: MeasurementLine) -> tuple[Cell, ...]:
    faults = [html.Div(each, className="fault") for each in shown.faults]
    return (
        shown.key,
        shown.load,
        shown.requests,
        shown.throughput,
        shown.service_mean,
        shown.latency_p95,
        shown.cpu,
        [chip(shown.validity), *faults],
    )
