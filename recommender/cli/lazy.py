"""Groups whose commands are loaded when they are called: `--help` imports none of them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """parts: by a command's name, the module that holds NAME_command, and what it does."""

    def __init__(self, *args: Any, parts: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(*args, **kwargs)
        self.parts = parts

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.parts)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.parts.items()])

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.parts:
            return None
        module = importlib.import_module(self.parts[cmd_name][0])
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command
