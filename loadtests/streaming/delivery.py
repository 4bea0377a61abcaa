"""How answers come, as far as the requests ask for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Delivery", "delivery_asked_by"]

Delivery = Literal["whole", "events", "chunks"]
"""At once; as server-sent events; or bit by bit, each HTTP chunk an output of its own."""

ASKS = b'"stream"'


def delivery_asked_by(bodies: Iterable[bytes]) -> Delivery:
    """Events where one of them is JSON with "stream": true, as OpenAI's API has it."""
    return "events" if any(_asks(body) for body in bodies) else "whole"


def _asks(body: bytes) -> bool:
    if ASKS not in body:  # a large body is not read for nothing
        return False
    try:
        document = json.loads(body)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("stream") is True
