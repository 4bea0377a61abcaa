"""What an event, or a whole answer, of an OpenAI-compatible server says.

Of other servers' events each that is not empty is output.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["Said", "said_by", "tokens_of_whole"]

DONE = b"[DONE]"
MOST_TOKENS = 2**32 - 1
TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


@dataclass(frozen=True, slots=True)
class Said:
    """is_output: it holds output that is not empty. tokens: of all the answer, by its usage.

    is_end: nothing more is due; a server that never says so ends with its connection.
    needs_end: this is a server that says so.
    """

    is_output: bool = False
    tokens: int | None = None
    is_end: bool = False
    needs_end: bool = True
    error: str | None = None


def said_by(kind: bytes, data: bytes) -> Said:
    if data.strip() == DONE:
        return Said(is_end=True)
    try:
        document = json.loads(data)
    except ValueError:
        document = data.decode(errors="replace").strip()
    if kind == b"error":
        return Said(error=_message(document))
    if not isinstance(document, dict):
        return Said(is_output=bool(data.strip()), needs_end=False)
    return _said_by_document(document)


def _said_by_document(document: dict[str, Any]) -> Said:
    if document.get("error"):
        return Said(error=_message(document["error"]))
    choices = document.get("choices")
    if not isinstance(choices, list):
        return Said(is_output=True, needs_end=False)
    found = [choice for choice in choices if isinstance(choice, dict)]
    return Said(
        is_output=any(_has_output(choice) for choice in found),
        tokens=_usage(document),
        is_end=any(choice.get("finish_reason") is not None for choice in found),
    )


def tokens_of_whole(body: bytes) -> int | None:
    """Of an answer that was not streamed; None where it does not say."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return _usage(document) if isinstance(document, dict) else None


def _has_output(choice: dict[str, Any]) -> bool:
    """Of a chat in its delta, of a completion in its text. A role alone is no output."""
    if choice.get("text"):
        return True
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return False
    return bool(delta.get("tool_calls")) or any(delta.get(name) for name in TEXTS)


def _usage(document: dict[str, Any]) -> int | None:
    usage = document.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) and 0 <= count <= MOST_TOKENS else None


def _message(error: object) -> str:
    if isinstance(error, dict):
        error = error.get("message", error.get("error", error))
    return str(error)
