"""A recommendation as one page that needs nothing else: to be mailed, kept and printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dashboard.figures.cost_curves import CAPTION as COSTS_CAPTION
from dashboard.figures.cost_curves import costs, costs_figure
from dashboard.figures.frontier import CAPTION, frontier, frontier_figure
from dashboard.figures.palette import FONT
from dashboard.scripts import PLOTLY_JS
from dashboard.views import FEW_REMEDIES, recommendation_view

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from recommender.recommendation import Recommendation

__all__ = ["report_page"]

FOLDER = Path(__file__).parent
TEMPLATE = "report.html.j2"
MOST_ROWS = 100
WIDTH, HEIGHT = 1020, 470


def report_page(recommendation: Recommendation) -> str:
    """Text from data is escaped by the template; the charts escape theirs themselves."""
    view = recommendation_view(recommendation)
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    charts = _charts(recommendation) if view.rows else []
    return environment.get_template(TEMPLATE).render(
        view=view,
        charts=charts,
        rows=view.rows[:MOST_ROWS],
        few_remedies=FEW_REMEDIES,
        script=_script() if charts else "",
        made=recommendation.created_at,
        font=Markup(FONT),  # noqa: S704 - ours
    )


def _script() -> Markup:
    """That draws."""
    return Markup(f"<script>{PLOTLY_JS.read_text(encoding='utf-8')}</script>")  # noqa: S704 - ours


def _charts(recommendation: Recommendation) -> list[tuple[str, str, Markup]]:
    """Title, caption and drawing."""
    drawn = (
        ("Cost against latency", CAPTION, frontier_figure(frontier(recommendation))),
        ("Cost against requests", COSTS_CAPTION, costs_figure(costs(recommendation))),
    )
    return [
        (title, caption, _embedded(figure, number))
        for number, (title, caption, figure) in enumerate(drawn, start=1)
    ]


def _embedded(figure: go.Figure, number: int) -> Markup:
    """Under a name of its place: the same answer makes the same file."""
    figure.update_layout(height=HEIGHT, width=WIDTH)
    drawn = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=f"chart-{number}",
        config={"displaylogo": False, "displayModeBar": False},
    )
    return Markup(drawn)  # noqa: S704 - plotly writes its data as JSON with < and > escaped
