"""How an address says what is asked: by the fields that differ from what is asked without it.

So it stays short, and is the same for the same question.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from recommender.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed import DataclassInstance

__all__ = [
    "as_query",
    "given_in",
    "packed",
    "read_words",
    "refuse_unknown",
    "said_otherwise",
    "unpacked",
]


def said_otherwise(now: DataclassInstance, before: DataclassInstance) -> dict[str, str]:
    """The fields that differ, as an address says them, by name."""
    return {
        each.name: _text(getattr(now, each.name))
        for each in fields(now)
        if getattr(now, each.name) != getattr(before, each.name)
    }


def as_query(said: Mapping[str, str]) -> str:
    """Of an address, with as little escaped as a query allows."""
    return urlencode(said, safe=",/:")


def given_in(query: str) -> dict[str, str]:
    return dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))


def refuse_unknown(given: Iterable[str], known: Iterable[str], hint: str) -> None:
    """Raises BadRequest."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise BadRequest(f"the address asks for {unknown[0]!r}, which is nothing here", hint=hint)


def read_words(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def packed(text: str) -> str:
    """For an address: short, and of letters alone."""
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def unpacked(letters: str, most: int) -> str:
    """Raises ValueError, or zlib's error, for what nobody packed. most: characters of it."""
    data = base64.b64decode(letters + "=" * (-len(letters) % 4), altchars=b"-_", validate=True)
    return zlib.decompressobj().decompress(data, most).decode()


def _text(value: Any) -> str:  # noqa: ANN401 - a field of a question
    match value:
        case None:
            return ""
        case float():
            return f"{value:.12g}"
        case (int(), *_):
            return packed(",".join(map(str, value)))
        case tuple():
            return ",".join(value)
        case _:
            return str(value)
