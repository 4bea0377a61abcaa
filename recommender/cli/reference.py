"""The reference page of the commands, made from the commands themselves.

`python -m recommender.cli.reference > recommender/docs/reference.md` renews it; a test compares.
"""

from __future__ import annotations

import click

from recommender.cli.app import COMMANDS, cli

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
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        if command is None:
            raise LookupError(name)
        context = click.Context(command, info_name=f"recommender {name}")
        context.max_content_width = 88
        context.terminal_width = 88
        parts.append(f"### recommender {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    click.echo(reference_page(), nl=False)
