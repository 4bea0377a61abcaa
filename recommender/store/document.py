"""Documents as JSON text. Python writes the shortest text that reads back as the same float."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["checked", "decoded", "encoded", "is_same"]


def encoded(document: object) -> str:
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise ValueError(f"not a document: {error}; what is not known is None") from error


def decoded(text: str | bytes) -> Any:  # noqa: ANN401 - JSON is of any type
    return json.loads(text)


def checked(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as it will be read back; raises before a transaction has begun."""
    plain: dict[str, Any] = decoded(encoded(dict(document)))
    return plain


def is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Equal as JSON, where 1, 1.0 and true differ and the order of keys does not matter."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
