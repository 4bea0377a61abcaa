"""What prices are asked for with, and what turning one of them makes of the question."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import html

from dashboard.components.sections import aria
from dashboard.prices_asked import ALL_REGIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dash.development.base_component import Component

    from dashboard.prices_asked import PricesAsked
    from pricing import Library, PriceBook, Shelved

__all__ = ["FILTERS", "Control", "books_of", "controls", "regions_of", "turned"]


class Control(StrEnum):
    """Of each the value is its id behind "prices-"."""

    SEARCH = "prices-search"
    BOOK = "prices-book"
    REGION = "prices-region"
    FAMILY = "prices-family"
    ARCHITECTURE = "prices-architecture"
    ACCELERATOR = "prices-accelerator"
    PLATFORMS = "prices-platforms"
    PURCHASES = "prices-purchases"


FILTERS = tuple(Control)
PLATFORMS = {"sagemaker": "SageMaker", "serverless": "serverless", "ec2": "EC2"}
PURCHASES = {"on-demand": "on-demand", "spot": "spot"}
SEVERAL = (Control.PLATFORMS, Control.PURCHASES)


def turned(asked: PricesAsked, control: str, given: dict[str, Any]) -> PricesAsked:
    """An emptied filter asks for everything."""
    if control not in FILTERS:
        return asked
    field, value = control.removeprefix("prices-"), given.get(control)
    taken: dict[str, Any] = {field: tuple(value or ()) if control in SEVERAL else value or ""}
    changed = replace(asked, **taken)
    changed.require_known()
    return changed


def controls(library: Library, asked: PricesAsked, book: PriceBook) -> list[Component]:
    return [
        html.Div(
            [
                dmc.TextInput(
                    id=Control.SEARCH, label="Search", value=asked.search, debounce=250,
                    placeholder="c7g, g5.xlarge", size="sm",
                ),
                _choice(Control.BOOK, "Price book", books_of(library), book.name, is_needed=True),
                _choice(
                    Control.REGION, "Region", regions_of(book), asked.region, is_needed=True
                ),
                _choice(Control.FAMILY, "Family", _families(book), asked.family),
                _choice(
                    Control.ARCHITECTURE, "Architecture", ["x86_64", "arm64"], asked.architecture
                ),
                _choice(
                    Control.ACCELERATOR, "Accelerator", _accelerators(book), asked.accelerator
                ),
            ],
            className="price-filters",
        ),
        html.Div(
            [
                _chips(Control.PLATFORMS, PLATFORMS, asked.platforms),
                html.Span(className="chips-gap"),
                _chips(Control.PURCHASES, PURCHASES, asked.purchases),
            ],
            className="toolbar",
        ),
    ]  # fmt: skip


def books_of(library: Library) -> list[dict[str, Any]]:
    """Newest first. One that cannot be trusted is there to be seen, and not to be chosen."""
    return [
        {
            "value": each.name,
            "label": f"{each.name} ({', '.join(_said(each))})",
            "disabled": each.fault is not None,
        }
        for each in reversed(library.shelved())
    ]


def _said(book: Shelved) -> Iterator[str]:
    yield "bundled" if book.is_bundled else "yours"
    if book.is_in_force:
        yield "in force"
    if book.fault is not None:
        yield "not trusted"


def regions_of(book: PriceBook) -> list[dict[str, str]]:
    every = {"value": ALL_REGIONS, "label": f"all {len(book.regions)} regions"}
    return [every, *({"value": each, "label": each} for each in book.regions)]


def _families(book: PriceBook) -> list[str]:
    return sorted({each.family for each in book.instances})


def _accelerators(book: PriceBook) -> list[dict[str, str]]:
    models = sorted({one.model for each in book.instances for one in each.accelerators})
    return [
        {"value": "none", "label": "none"},
        {"value": "any", "label": "any"},
        *({"value": each, "label": each} for each in models),
    ]


def _choice(
    control: Control, label: str, known: list[Any], value: str, *, is_needed: bool = False
) -> Component:
    choice: Component = dmc.Select(
        id=control,
        label=label,
        data=known,
        value=value or None,
        placeholder=None if is_needed else "all",
        searchable=len(known) > 3,  # noqa: PLR2004 - fewer are seen at once
        clearable=not is_needed,
        allowDeselect=not is_needed,
        size="sm",
        clearButtonProps=aria(label=f"any {label.lower()}"),
    )
    return choice


def _chips(control: Control, names: dict[str, str], chosen: tuple[str, ...]) -> Component:
    """None chosen is all of them."""
    chips: Component = dmc.ChipGroup(
        [
            dmc.Chip(name, value=value, size="sm", variant="outline", className="way")
            for value, name in names.items()
        ],
        id=control,
        multiple=True,
        value=list(chosen),
    )
    return chips
