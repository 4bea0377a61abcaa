"""Colours and shapes of the charts.

Colours are of Okabe and Ito's set (2008), chosen to stay apart under the common colour-vision
deficiencies; a way to buy is told by its place in the legend and the hover text as well.
"""

from __future__ import annotations

from recommender.recommendation import Basis

__all__ = [
    "BASIS_SYMBOL",
    "FONT",
    "GRID",
    "GROUP_COLOR",
    "INK",
    "LIMIT",
    "MARK",
    "MUTED",
    "PAPER",
    "QUANTILE_COLOR",
    "RATE_COLOR",
    "TIER_MARKS",
    "VERDICT_COLOR",
    "faint",
]

FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

GROUP_COLOR = {
    "EC2 spot": "#cc79a7",
    "EC2 on-demand": "#d55e00",
    "SageMaker real-time": "#0072b2",
    "SageMaker serverless": "#009e73",
}
BASIS_SYMBOL = {
    Basis.MEASURED: "square",
    Basis.TRANSFERRED: "circle",
    Basis.PREDICTED: "diamond",
    Basis.PRIOR: "cross",
}
QUANTILE_COLOR = {0.5: "#009e73", 0.95: "#0072b2", 0.99: "#d55e00"}
RATE_COLOR = {"answered well": "#56b4e9", "sent": "#cc79a7", "offered": "#7d8793"}
TIER_MARKS = (
    ("#0072b2", "circle"),
    ("#d55e00", "diamond"),
    ("#009e73", "square"),
    ("#cc79a7", "triangle-up"),
    ("#e69f00", "pentagon"),
)
VERDICT_COLOR = {"pass": "#009e73", "fail": "#d55e00", "inconclusive": "#7d8793"}
INK = "#1b1f24"
MUTED = "#5b6470"
GRID = "#e6e9ed"
PAPER = "#ffffff"
MARK = "#7d8793"  # seen on light paper and on dark
LIMIT = "#5b6470"


def faint(color: str, opacity: float) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
