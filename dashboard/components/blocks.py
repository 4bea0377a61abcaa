"""The parts of a recommendation below its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dashboard import format as fmt
from dashboard.components.sections import Cell, chip, command, facts, table
from dashboard.views import FEW_REMEDIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dash.development.base_component import Component

    from dashboard.bill import Bill
    from dashboard.evidence import EvidenceView, MeasurementLine
    from dashboard.views import NextStep, ObjectiveLine, RejectedGroup

__all__ = ["bill", "evidence", "measurements", "objectives", "rejected", "surer"]


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


def surer(steps: tuple[NextStep, ...]) -> list[Component]:
    if not steps:
        return [
            html.P("No measurement is worth its cost: the answer would hardly change."),
        ]
    first, *others = steps
    shown: list[Component] = [html.P(first.said), command(first.command)]
    if others:
        shown.append(
            html.Details(
                [
                    html.Summary("After that"),
                    *(
                        part
                        for each in others
                        for part in (html.P(each.said), command(each.command))
                    ),
                ]
            )
        )
    return shown


def rejected(group: RejectedGroup) -> Component:
    """Closed until it is asked for: there may be hundreds."""
    return html.Details(
        [
            html.Summary(group.title),
            *_remedies(group),
            table(("Found", "Bought as", "Options"), group.lines, label=group.title),
        ]
    )


def _remedies(group: RejectedGroup) -> list[Component]:
    few, others = group.remedies[:FEW_REMEDIES], group.remedies[FEW_REMEDIES:]
    shown: list[Component] = [html.P(["To change this: ", each], className="note") for each in few]
    if others:
        title = f"{fmt.count(len(others))} more of the kind"
        rest = table(("To change this",), [(each,) for each in others], label=title)
        shown.append(html.Details([html.Summary(title), rest]))
    return shown


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
        *measurements(shown.measurements),
    ]  # fmt: skip


def measurements(shown: Iterable[MeasurementLine]) -> list[Component]:
    return [
        table(
            ("Measurement", "Requests", "Throughput", "Mean service",
             "p95 latency (95% interval)", "CPU a request", "Validity"),
            [_measurement(each) for each in shown],
            numeric=(1, 2),
            label="measurements",
            kind="measured",
        ),
    ]  # fmt: skip


def _measurement(shown: MeasurementLine) -> tuple[Cell, ...]:
    faults = [html.Div(each, className="fault") for each in shown.faults]
    return (
        [shown.key, html.Span(shown.load, className="interval")],
        shown.requests,
        shown.throughput,
        shown.service_mean,
        shown.latency_p95,
        shown.cpu,
        [chip(shown.validity), *faults],
    )
