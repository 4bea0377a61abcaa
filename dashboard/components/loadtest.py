"""The parts of a load test's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dashboard.components.looked_into import look_link
from dashboard.components.sections import Cell, aria, chip, table

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.loadtest import (
        FaultGroup,
        KeyLine,
        RunLine,
        ScenarioSummary,
        SettingLine,
        SummaryRow,
    )

__all__ = ["faults", "findings", "runs", "settings", "summary"]

SUMMARY = ("Configuration", "State", "Found")


def summary(shown: tuple[ScenarioSummary, ...]) -> Component:
    """A heading for each scenario, and its configurations below one another."""
    head = html.Tr([html.Th(text, scope="col") for text in SUMMARY])
    bodies = [
        html.Tbody(
            [
                html.Tr(
                    html.Th(
                        each.scenario, scope="rowgroup", colSpan=len(SUMMARY), className="group"
                    )
                ),
                *map(_summary_row, each.rows),
            ]
        )
        for each in shown
    ]
    return html.Div(
        html.Table([html.Thead(head), *bodies], className="summary"),
        className="scroll",
        tabIndex="0",
        role="region",
        **aria(label="tests at a glance"),
    )


def _summary_row(row: SummaryRow) -> html.Tr:
    return html.Tr(
        [
            html.Td(_link(row)),
            html.Td(chip(row.state)),
            html.Td([html.Div(_key_line(each)) for each in row.found]),
        ]
    )


def _link(row: SummaryRow) -> Component | str:
    if row.anchor is None:
        return row.configuration
    return html.A(row.configuration, href=f"#{row.anchor}")


def _key_line(line: KeyLine) -> list[Component | str]:
    return [line.text] if line.verdict is None else [line.text, " ", chip(line.verdict)]


def findings(shown: tuple[str, ...]) -> list[Component]:
    return [html.Ul([html.Li(each) for each in shown], className="findings")] if shown else []


def faults(shown: tuple[FaultGroup, ...]) -> list[Component]:
    if not shown:
        return []
    return [
        html.H3("Doubts about these runs"),
        html.Ul(
            [
                html.Li(
                    [
                        chip(each.status),
                        html.Ul([html.Li(one) for one in each.found]),
                        html.Div(f"What to do: {each.advice}.", className="advice"),
                    ]
                )
                for each in shown
            ],
            className="doubts",
        ),
    ]


def settings(shown: tuple[SettingLine, ...], score: str) -> list[Component]:
    if not shown:
        return []
    return [
        html.H3("Settings, the best first"),
        table(
            ("Setting", f"{score} (95% interval)", "Trials", "Sure it is best"),
            shown,
            numeric=(2, 3),
            label="settings",
        ),
    ]


def runs(shown: tuple[RunLine, ...], label: str) -> list[Component]:
    if not shown:
        return []
    return [
        html.H3("Runs"),
        *_note(shown),
        table(
            ("Run", "Asked", "Sent/s", "Good/s", "p50 ms", "p95 ms", "p99 ms", "Failed", "vCPUs",
             "MiB", "Validity"),
            [_run(each) for each in shown],
            numeric=range(2, 10),
            stacked=range(4, 7),
            label=f"runs of {label}",
            kind="runs",
        ),
    ]  # fmt: skip


def _note(shown: tuple[RunLine, ...]) -> list[Component]:
    if not any(each.is_closed for each in shown):
        return []
    text = "A closed loop keeps nobody waiting to be sent: * marks its service times."
    return [html.P(text, className="note")]


def _run(shown: RunLine) -> tuple[Cell, ...]:
    """Text alone where it can be: the browser is slow with many components."""
    remarks = [f" {shown.remarks}"] if shown.remarks else []
    return (
        [look_link(shown.run, shown.key)],
        f"{shown.asked} *" if shown.is_closed else shown.asked,
        shown.sent,
        shown.good,
        *shown.latency,
        shown.failed,
        shown.cpu,
        shown.memory,
        [chip(shown.validity), *remarks],
    )
