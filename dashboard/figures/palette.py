"""Colours and shapes of the charts.

Colours are of Okabe and Ito's set (2008), chosen to stay apart under the common colour-vision
deficiencies; a way to buy is told by its place in the legend and the hover text as well.
"""

from __future__ import annotations

from recommender.recommendation import Basis

__all__ = [
    "BASIS_SYMBOL",
    "DISTRIBUTION_COLOR",
    "FAILURE_COLOR",
    "FONT",
    "GPU_COLORS",
    "GRID",
    "GROUP_COLOR",
    "GROUP_DASH",
    "INK",
    "LIMIT",
    "MARK",
    "MUTED",
    "PAPER",
    "QUANTILE_COLOR",
    "RATE_COLOR",
    "TIER_MARKS",
    "USER_COLOR",
    "VERDICT_COLOR",
    "WAY_COLOR",
    "faint",
]

FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

GROUP_COLOR = {
    "EC2 spot": "#cc79a7",
    "EC2 on-demand": "#d55e00",
    "SageMaker real-time": "#0072b2",
    "SageMaker serverless": "#009e73",
    "SageMaker savings plan": "#56b4e9",
    "EC2 savings plan": "#e69f00",
    "your own": "#7d8793",
}
GROUP_DASH = {
    "EC2 spot": "dot",
    "EC2 on-demand": "solid",
    "SageMaker real-time": "solid",
    "SageMaker serverless": "dash",
    "SageMaker savings plan": "dashdot",
    "EC2 savings plan": "dashdot",
    "your own": "longdash",
}
BASIS_SYMBOL = {
    Basis.MEASURED: "square",
    Basis.TRANSFERRED: "circle",
    Basis.PREDICTED: "diamond",
    Basis.PRIOR: "cross",
}
QUANTILE_COLOR = {0.5: "#009e73", 0.95: "#0072b2", 0.99: "#d55e00"}
RATE_COLOR = {"answered well": "#56b4e9", "sent": "#cc79a7", "offered": "#7d8793"}
FAILURE_COLOR = {"failed": "#d55e00", "never sent": "#e69f00"}
DISTRIBUTION_COLOR = {"latency": "#0072b2", "service": "#d55e00"}
USER_COLOR = {
    "server": ("#0072b2", "solid"),
    "load generator": ("#e69f00", "dot"),
    "whole machine": ("#7d8793", "dash"),
}
GPU_COLORS = ("#009e73", "#cc79a7", "#d55e00", "#56b4e9")
TIER_MARKS = (
    ("#0072b2", "circle"),
    ("#d55e00", "diamond"),
    ("#009e73", "square"),
    ("#cc79a7", "triangle-up"),
    ("#e69f00", "pentagon"),
)
VERDICT_COLOR = {"pass": "#009e73", "fail": "#d55e00", "inconclusive": "#7d8793"}
WAY_COLOR = {
    "fixed": "#0072b2",
    "scaled": "#e69f00",
    "serverless": "#009e73",
    "spot": "#cc79a7",
}
INK = "#1b1f24"
MUTED = "#5b6470"
GRID = "#e6e9ed"
PAPER = "#ffffff"
MARK = "#7d8793"  # seen on light paper and on dark
LIMIT = "#5b6470"


def faint(color: str, opacity: float) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
