"""A recommendation to a person, a file or a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click
from rich.console import Console

from recommender.cli.tables import render
from recommender.errors import BadRequest
from recommender.explain import Selection
from recommender.exports.markdown import to_markdown
from recommender.recommendation import RejectReason

if TYPE_CHECKING:
    from recommender.recommendation import Recommendation

__all__ = [
    "Destinations",
    "Output",
    "destination_options",
    "exit_code",
    "output_options",
    "present",
    "write_text",
]

Function = TypeVar("Function", bound=Callable[..., Any])
PIPED_WIDTH = 120

NO_OPTION = 5
INCONCLUSIVE = 4


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where an answer goes besides, or instead of, the screen. "-" is stdout."""

    json_file: str | None
    markdown: str | None
    color: bool

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Self:
        """Takes its options out of `given`."""
        json_file, markdown = given.pop("json_file"), given.pop("markdown")
        if json_file == "-" and markdown == "-":
            raise BadRequest("--json - and --markdown - both ask for stdout")
        color = not given.pop("no_color") and not os.environ.get("NO_COLOR")
        return cls(json_file, markdown, color)

    @property
    def is_for_a_person(self) -> bool:
        """Is stdout free?"""
        return "-" not in (self.json_file, self.markdown)

    def write(self, json_text: str, markdown: str) -> None:
        if self.json_file is not None:
            write_text(self.json_file, json_text)
        if self.markdown is not None:
            write_text(self.markdown, markdown)

    def console(self) -> Console:
        console = Console(no_color=not self.color, highlight=False)
        if console.is_terminal:
            return console
        return Console(no_color=True, highlight=False, width=PIPED_WIDTH)


@dataclass(frozen=True, slots=True)
class Output:
    destinations: Destinations
    selection: Selection

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Self:
        """Takes its options out of `given`."""
        selection = Selection(top=given.pop("top"), show_all=given.pop("show_all"))
        return cls(Destinations.taken_from(given), selection)

    @property
    def color(self) -> bool:
        return self.destinations.color


def destination_options(function: Function) -> Function:
    for option in (
        click.option(
            "--no-color", is_flag=True, help="No colours (as NO_COLOR in the environment)."
        ),
        click.option(
            "--markdown", metavar="FILE", help="Write the answer as Markdown; - for stdout."
        ),
        click.option(
            "--json", "json_file", metavar="FILE", help="Write the answer as JSON; - for stdout."
        ),
    ):
        function = option(function)
    return function


def output_options(function: Function) -> Function:
    for option in (
        click.option("--all", "show_all", is_flag=True, help="Every ranked and rejected option."),
        click.option("--top", default=5, show_default=True, help="Cheapest options to show."),
    ):
        function = option(function)
    return destination_options(function)


def present(recommendation: Recommendation, output: Output) -> int:
    """Writes what was asked for, and the table unless stdout is taken; returns the exit code."""
    destinations = output.destinations
    destinations.write(
        recommendation.model_dump_json(indent=2) + "\n",
        to_markdown(recommendation, output.selection),
    )
    if destinations.is_for_a_person:
        render(destinations.console(), recommendation, output.selection)
    return exit_code(recommendation)


def exit_code(recommendation: Recommendation) -> int:
    if recommendation.ranked:
        return 0
    reasons = {each.reason for each in recommendation.rejected}
    return INCONCLUSIVE if RejectReason.INCONCLUSIVE in reasons else NO_OPTION


def write_text(file: str, text: str) -> None:
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text)
    except OSError as error:
        raise BadRequest(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"written: {file}", err=True)
