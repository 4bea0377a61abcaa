"""The parts of a simulated fleet's page below its chart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dash_mantine_components as dmc
from dash import html

from dashboard.components.sections import chart, chip, command, section, table
from dashboard.figures import break_even as overtaking
from dashboard.fleet_views import missing_lines, way_lines
from recommender.simulation.advice import boto3_script

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.fleet_views import WayLine
    from recommender.simulation.fleet_day import FleetDay
    from recommender.simulation.report import SimulationReport

__all__ = ["COMPARING", "deployment", "explanation", "ways"]

COMPARING = "fleet-comparing"
HEADINGS = ("Way", "What", "$ / month", "In time", "Meets it", "Lost", "Worst hour")


def explanation(day: FleetDay) -> list[Component]:
    if not day.explanation:
        return []
    return [
        section("Why this policy", html.Ul([html.Li(each) for each in day.explanation]))
    ]  # fmt: skip


def deployment(day: FleetDay) -> list[Component]:
    """Nothing where there is nothing that scales."""
    if day.deploy is None:
        return []
    script = boto3_script(day.deploy)
    bodies = (
        ("register-scalable-target", day.deploy.register_scalable_target),
        ("put-scaling-policy", day.deploy.put_scaling_policy),
    )
    return [
        section(
            "Deploy this policy",
            html.Div(
                dmc.CopyButton(
                    value=script, children="Copy", copiedChildren="Copied", color="blue",
                    size="sm",
                ),
                className="actions",
            ),
            command(script),
            html.Details(
                [
                    html.Summary("As JSON, for the AWS CLI"),
                    *(
                        part
                        for name, body in bodies
                        for part in (
                            html.P(html.Code(
                                f"aws application-autoscaling {name} --cli-input-json …"
                            )),
                            command(json.dumps(body, indent=2)),
                        )
                    ),
                ]
            ),
            note="With Application Auto Scaling. ENDPOINT and VARIANT are to be filled in.",
        )
    ]  # fmt: skip


def ways(report: SimulationReport | None, day: FleetDay, button: str) -> list[Component]:
    """button: its id; it is there either way, since what answers to it must be."""
    ask = html.Div(
        [
            html.Button(
                "Compare all ways", id=button, className="button button-main",
                hidden=report is not None,
            ),
            html.Span(id=COMPARING, className="busy", role="status"),
        ],
        className="actions",
    )  # fmt: skip
    if report is None:
        return [ask]
    missing = missing_lines(report)
    return [
        ask,
        table(
            HEADINGS,
            [_row(each) for each in way_lines(report, day.chosen)],
            numeric=(2, 3, 4, 5, 6),
            stacked=(2, 3, 6),
            label="ways to serve",
            kind="ways",
        ),
        *(
            []
            if not missing
            else [html.P(["Not simulated. ", "; ".join(missing)], className="note")]
        ),
        *_break_even(report),
        html.Details(
            [
                html.Summary("Assumed"),
                html.Ul([html.Li(each) for each in _assumed(report)]),
            ]
        ),
    ]


def _row(line: WayLine) -> tuple[Component | str | list[Component | str], ...]:
    name = html.Strong(line.name) if line.is_chosen else line.name
    return (
        [name, " ", chip("met" if line.meets else "missed")],
        line.what,
        line.usd,
        line.in_time,
        line.probability,
        line.lost,
        line.worst_hour,
    )


def _break_even(report: SimulationReport) -> list[Component]:
    if report.break_even is None:
        return [
            html.P(
                "No break-even is drawn: fewer than two ways with a curve meet the objective.",
                className="note",
            )
        ]
    first, *_ = overtaking.verdict(report)
    drawn = overtaking.overtakings(report)
    return [
        html.H3(f"Break-even. {first}"),
        html.P(overtaking.CAPTION, className="note"),
        chart(overtaking.break_even_figure(drawn), "costs"),
    ]


def _assumed(report: SimulationReport) -> tuple[str, ...]:
    notes = [note for way in report.ways for note in way.notes]
    return tuple(dict.fromkeys([*notes, *report.assumptions]))
