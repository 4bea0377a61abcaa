"""Colours and shapes of the charts.

Colours are of Okabe and Ito's set (2008), chosen to stay apart under the common colour-vision
deficiencies; a way to buy is told by its place in the legend and the hover text as well.
"""

from __future__ import annotations

from recommender.recommendation import Basis

__all__ = ["BASIS_SYMBOL", "GRID", "GROUP_COLOR", "INK", "LIMIT", "MUTED", "PAPER", "faint"]

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
INK = "#1b1f24"
MUTED = "#5b6470"
GRID = "#e6e9ed"
PAPER = "#ffffff"
LIMIT = "#5b6470"


def faint(color: str, opacity: float) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
