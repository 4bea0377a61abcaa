"""What of a price book is asked for, and where the answer goes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click
from rich.console import Console
from typing_extensions import override

from pricing import Architecture, LineFilter, Platform, Purchase, Span, csv_text, did_you_mean
from recommender.cli.output import PIPED_WIDTH, write_text
from recommender.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from pricing import PriceBook

__all__ = [
    "ALL_REGIONS",
    "HOME_REGION",
    "Sheet",
    "asked_regions",
    "book_option",
    "filter_options",
    "region_option",
    "sheet_options",
    "taken_filter",
]

Function = TypeVar("Function", bound=Callable[..., Any])
HOME_REGION = "us-east-1"
ALL_REGIONS = "all"
ANY_ACCELERATOR, NO_ACCELERATOR = "any", "none"
Cell = str | int | float | None


class SpanType(click.ParamType[Span]):
    """4, 4-8, 4+."""

    name = "span"
    form = re.compile(r"(?P<least>\d+(\.\d+)?)(?P<more>\+|-(?P<most>\d+(\.\d+)?))?")

    @override
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Span:
        found = self.form.fullmatch(value.strip())
        if found is None:
            self.fail(f"{value!r} is none of 4, 4-8 and 4+", param, ctx)
        least = float(found["least"])
        if found["more"] is None:
            return Span(least, least)
        return Span(least, None if found["most"] is None else float(found["most"]))


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where rows of a table go. "-" is stdout."""

    json_file: str | None
    csv_file: str | None
    color: bool

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Self:
        """Takes its options out of `given`."""
        json_file, csv_file = given.pop("json_file"), given.pop("csv_file")
        if json_file == "-" and csv_file == "-":
            raise BadRequest("--json - and --csv - both ask for stdout")
        return cls(json_file, csv_file, not given.pop("no_color"))

    def write(self, columns: Sequence[str], rows: Sequence[dict[str, Cell]], **facts: Any) -> None:  # noqa: ANN401 - what JSON holds
        """facts: what the document says besides its rows; a CSV has rows alone."""
        if self.csv_file is not None:
            write_text(self.csv_file, csv_text(columns, rows))
        if self.json_file is not None:
            write_text(self.json_file, json.dumps({**facts, "rows": list(rows)}, indent=2) + "\n")

    def show(self, *parts: RenderableType) -> None:
        """To a person, unless stdout is taken."""
        if "-" in (self.json_file, self.csv_file):
            return
        console = Console(no_color=not self.color, highlight=False)
        if not console.is_terminal:
            console = Console(no_color=True, highlight=False, width=PIPED_WIDTH)
        for part in parts:
            console.print(part)


def sheet_options(function: Function) -> Function:
    for option in (
        click.option("--no-color", is_flag=True, help="No colours."),
        click.option("--csv", "csv_file", metavar="FILE", help="Write it as CSV; - for stdout."),
        click.option(
            "--json", "json_file", metavar="FILE", help="Write it as JSON; - for stdout."
        ),
    ):
        function = option(function)
    return function


def book_option(function: Function) -> Function:
    return click.option(
        "--prices",
        "book",
        metavar="BOOK",
        help="A price book's name, or its folder.  [default: the newest]",
    )(function)


def region_option(default: str) -> Callable[[Function], Function]:
    return click.option(
        "--region",
        "regions",
        multiple=True,
        metavar="REGION",
        help=f"Of this region; may be given again; `{ALL_REGIONS}` for all.  [default: {default}]",
    )


def filter_options(function: Function) -> Function:
    for option in (
        click.option(
            "--instance-type", "names", multiple=True, metavar="GLOB",
            help="These only, e.g. 'ml.g6*.xlarge'; may be given again.",
        ),
        click.option(
            "--purchase", "purchases", multiple=True,
            type=click.Choice(["on-demand", "spot", "savings-plan"]),
            help="Bought so; may be given again.",
        ),
        click.option(
            "--platform", "platforms", multiple=True,
            type=click.Choice(["sagemaker", "serverless", "ec2"]),
            help="Sold there; may be given again.",
        ),
        click.option(
            "--arch", "architecture", type=click.Choice([each.value for each in Architecture]),
            help="Machines of this architecture.",
        ),
        click.option(
            "--memory-gib", type=SpanType(), metavar="N|N-M|N+",
            help="Machines with so much memory.",
        ),
        click.option(
            "--vcpus", type=SpanType(), metavar="N|N-M|N+", help="Machines with so many vCPUs."
        ),
        click.option(
            "--max-usd-per-hour", metavar="USD", type=click.FloatRange(0, min_open=True),
            help="What costs at most this by the hour.",
        ),
        click.option(
            "--gpu", "accelerator", metavar="NAME",
            help="Machines with this accelerator, by words of its name: L4, H100, Inferentia2; or "
            f"`{ANY_ACCELERATOR}`, `{NO_ACCELERATOR}`.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def taken_filter(given: dict[str, Any], book: PriceBook) -> LineFilter:
    """Takes its options out of `given`. Raises UnknownInstanceType, and BadRequest for a GPU."""
    names, accelerator = given.pop("names"), given.pop("accelerator")
    if names:
        book.matching(names)
    if accelerator is not None:
        _require_accelerator(accelerator, book)
    usd, architecture = given.pop("max_usd_per_hour"), given.pop("architecture")
    return LineFilter(
        names=names,
        platforms=tuple(Platform(each) for each in given.pop("platforms")),
        purchases=tuple(Purchase(each) for each in given.pop("purchases")),
        max_usd_per_hour=None if usd is None else Decimal(repr(usd)),
        vcpus=given.pop("vcpus"),
        memory_gib=given.pop("memory_gib"),
        architecture=None if architecture is None else Architecture(architecture),
        accelerator=accelerator,
    )


def asked_regions(
    asked: tuple[str, ...], book: PriceBook, default: tuple[str, ...]
) -> tuple[str, ...]:
    """Raises UnknownRegion."""
    if ALL_REGIONS in asked:
        return book.regions
    return tuple(book.require_region(each) for each in asked or default)


def _require_accelerator(asked: str, book: PriceBook) -> None:
    wanted = LineFilter(accelerator=asked)
    if any(wanted.fits_machine(machine) for machine in book.instances):
        return
    models = {each.model for machine in book.instances for each in machine.accelerators}
    raise BadRequest(
        f"no machine in price book {book.name} has a {asked!r}{did_you_mean(asked, models)}",
        hint=f"accelerators in the book: {', '.join(sorted(models))}",
    )
