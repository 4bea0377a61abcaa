"""The reference page of the commands, made from the commands themselves.

`python -m recommender.cli.reference > recommender/docs/reference.md` renews it; a test compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from recommender.cli.app import COMMANDS, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["reference_page"]

HEAD = """# Reference

Made from the commands themselves: `python -m recommender.cli.reference` prints this page.

## Exit codes

| code | means |
|--:|---|
| 0 | done |
| 1 | our fault, or the world's: the message says which |
| 2 | the question cannot be asked that way |
| 3 | an objective was missed |
| 4 | a measurement is INVALID, or too small to judge by |
| 5 | no option meets the demand |
| 130 | stopped by the user |

## Environment

| variable | means |
|---|---|
| `RECOMMENDER_STORE` | as `--store` |
| `RECOMMENDER_HOME` | one folder for store, journal and cache, instead of your data, state and cache folders |
| `NO_COLOR` | no colours |

## Commands
"""  # noqa: E501 - rows of a table


def reference_page() -> str:
    parts = [HEAD]
    # As a user's own context is made: a command keeps the names of its help option from the first.
    root = click.Context(cli, info_name="recommender", **cli.context_settings)
    for name in COMMANDS:
        command = cli.get_command(root, name)
        if command is None:
            raise LookupError(name)
        parts += _helps(command, f"recommender {name}", root)
    return "\n".join(parts)


def _helps(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """Its own, then those of the commands in it."""
    context = click.Context(
        command,
        info_name=name.rpartition(" ")[2],
        parent=parent,
        max_content_width=88,
        terminal_width=88,
    )
    yield f"### {name}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for part in command.list_commands(context):
            each = command.get_command(context, part)
            if each is None:
                raise LookupError(f"{name} {part}")
            yield from _helps(each, f"{name} {part}", context)


if __name__ == "__main__":
    click.echo(reference_page(), nl=False)
