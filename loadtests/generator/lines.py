"""What a generator's process is told and tells: JSON objects, one a line."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CannotServe", "give_up", "json_lines", "say"]

STDOUT = 1


class CannotServe(Exception):  # noqa: N818 - the name says what happened
    """Its message is for whoever started this program."""


def say(message: dict[str, Any]) -> None:
    """In one write, past any buffer: several greenlets speak."""
    os.write(STDOUT, json.dumps(message).encode() + b"\n")


def give_up(message: str) -> NoReturn:
    say({"event": "failed", "message": message})
    os._exit(1)


def json_lines(read: Callable[[], bytes]) -> Iterator[Any]:
    """As they arrive; read gives the next bytes, none at the end of the input."""
    rest = b""
    while block := read():
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
