"""Serverless against machines against spot, and a mix of them: what each costs, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dashboard import format as fmt

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from recommender.kinds import KindFound
    from recommender.simulation.report import Way

__all__ = ["kind_cards"]

NAMES = {"serverless": "Serverless", "provisioned": "Provisioned", "spot": "Spot"}


def kind_cards(found: tuple[KindFound, ...], mix: Way | None, simulate_at: str) -> Component:
    """mix: the cheapest that was simulated of this traffic, None where nobody asked for it yet.

    simulate_at: the address at which it is.
    """
    return html.Div([*map(_card, found), _mix_card(mix, simulate_at)], className="cards")


def _card(found: KindFound) -> Component:
    title, best = NAMES[found.kind], found.best
    if best is None:
        return _of(title, "none", "", found.why_none or "")
    more = found.more_ratio
    note = (
        "the cheapest"
        if more == 0
        else "cost against the cheapest: not known"
        if more is None
        else f"{fmt.percent(more)} more than the cheapest"
        if more < 1
        else f"{fmt.two_digits(1 + more)} times the cheapest"
    )
    return _of(title, fmt.usd(best.cost.usd_per_month), best.option.text, note)


def _mix_card(mix: Way | None, simulate_at: str) -> Component:
    if mix is None:
        link = html.A("simulate it", href=simulate_at)
        return _of("Mix of them", link, "not simulated yet", "a base, others above it; seconds")
    bound = "at least " if mix.at_best else ""
    return _of("Mix of them", f"{bound}{fmt.usd(mix.usd_per_month)}", mix.option, mix.text)


def _of(title: str, value: Component | str, interval: str, note: str) -> Component:
    return html.Div(
        [
            html.Div(title, className="card-title"),
            html.Div(value, className="card-value"),
            html.Div(interval, className="card-interval"),
            html.Div(note, className="card-note"),
        ],
        className="card",
    )
