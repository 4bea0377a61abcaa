"""Headers nobody reads, and so nobody keeps."""

from __future__ import annotations

__all__ = ["Unread"]


class Unread:
    """In place of an answer's headers: the parser itself minds its length and its end."""

    def add(self, field: str, value: str) -> None:
        pass

    def clear(self) -> None:
        pass
