"""A recommendation to a person, a file or a pipe."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click
from rich.console import Console

from recommender.cli.markdown import to_markdown
from recommender.cli.tables import render
from recommender.errors import BadRequest
from recommender.explain import Selection
from recommender.recommendation import RejectReason

if TYPE_CHECKING:
    from recommender.recommendation import Recommendation

__all__ = ["Output", "exit_code", "present"]

NO_OPTION = 5
INCONCLUSIVE = 4


@dataclass(frozen=True, slots=True)
class Output:
    json_file: str | None
    markdown: str | None
    selection: Selection
    color: bool

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> Self:
        """Takes its options out of `given`."""
        json_file, markdown = given.pop("json_file"), given.pop("markdown")
        if json_file == "-" and markdown == "-":
            raise BadRequest("--json - and --markdown - both ask for stdout")
        selection = Selection(top=given.pop("top"), show_all=given.pop("show_all"))
        color = not given.pop("no_color") and not os.environ.get("NO_COLOR")
        return cls(json_file, markdown, selection, color)


def present(recommendation: Recommendation, output: Output) -> int:
    """Writes what was asked for, and the table unless stdout is taken; returns the exit code."""
    if output.json_file is not None:
        _write(output.json_file, recommendation.model_dump_json(indent=2) + "\n")
    if output.markdown is not None:
        _write(output.markdown, to_markdown(recommendation, output.selection))
    if "-" not in (output.json_file, output.markdown):
        console = Console(no_color=not output.color, highlight=False)
        if not console.is_terminal:
            console = Console(no_color=True, highlight=False, width=120)
        render(console, recommendation, output.selection)
    return exit_code(recommendation)


def exit_code(recommendation: Recommendation) -> int:
    if recommendation.ranked:
        return 0
    reasons = {each.reason for each in recommendation.rejected}
    return INCONCLUSIVE if RejectReason.INCONCLUSIVE in reasons else NO_OPTION


def _write(file: str, text: str) -> None:
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text)
    except OSError as error:
        raise BadRequest(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"written: {file}", err=True)
