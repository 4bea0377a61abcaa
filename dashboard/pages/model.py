"""How right the predictions are, and how that was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dashboard.components.sections import Cell, chart, command, section, table
from dashboard.figures import scorecard as figures
from recommender.performance.scorecard import OUR_METHOD

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from recommender.performance.scorecard import MethodScore, Scorecard, Validation

__all__ = ["TITLE", "layout"]

TITLE = "Model"
HEADINGS = (
    *("Workloads", "Left out", "Median error", "90 % within", "Rank correlation"),
    *("Cost regret", "In the 80 % interval", "Its width", "Predictions"),
)


def layout(card: Scorecard) -> Component:
    return html.Article(
        [
            html.H1("How right the predictions are"),
            html.P(
                "A machine that was not measured is predicted from those that were. Here the "
                "predictions are held against machines and workloads whose truth is known, and "
                "that the fit had not seen.",
                className="note",
            ),
            *_scores(card),
            *_calibration(card),
            *_replay(card),
        ]
    )


def _scores(card: Scorecard) -> list[Component]:
    if not card.scores:
        return []
    ours = [each for each in card.scores if each.method == OUR_METHOD]
    return [
        section(
            "Beside plainer methods",
            chart(figures.errors_figure(figures.comparable(card.scores)), "scores"),
            table(
                HEADINGS,
                map(_cells, ours),
                numeric=range(2, len(HEADINGS)),
                label="scores",
                kind="scored",
            ),
            *_made(card.validated),
            note=figures.ERRORS,
        )
    ]


def _calibration(card: Scorecard) -> list[Component]:
    if not card.calibration:
        return []
    drawn = chart(figures.calibration_figure(card.calibration), "calibration")
    return [section("Are the intervals true?", drawn, note=figures.CALIBRATION)]


def _replay(card: Scorecard) -> list[Component]:
    if not card.replay:
        return []
    return [
        section(
            "What to measure next",
            chart(figures.replay_figure(card.replay), "replay"),
            *_made(card.replayed),
            note=figures.REPLAY,
        )
    ]


def _made(how: Validation | None) -> list[Component]:
    if how is None:
        return []
    return [html.P(f"Made on {how.made_on.isoformat()} with:", className="note"),
            command(how.command)]  # fmt: skip


def _cells(score: MethodScore) -> tuple[Cell, ...]:
    return (
        figures.kind_named(score.kind),
        score.left_out,
        f"{score.error:.0%}",
        f"{score.p90_error:.0%}",
        _number(score.spearman, ".2f"),
        _number(score.regret, ".0%"),
        _number(score.coverage_80, ".0%"),
        _number(score.width_80, ".2f"),
        f"{score.predictions:,}",
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"
