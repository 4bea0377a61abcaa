"""Server-sent events in bytes that come in pieces (HTML Living Standard, §9.2.6)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Event", "EventStream"]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """kind: b"" where none was named."""

    kind: bytes
    data: bytes


class EventStream:
    """An event is there when the empty line after it is."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = b""
        self._data: list[bytes] = []
        self._has_begun = False

    def feed(self, piece: bytes) -> list[Event]:
        text = self._rest + piece
        held = b""
        if text.endswith(b"\r"):  # perhaps half of a line end
            text, held = text[:-1], b"\r"
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = rest + held
        return [event for line in lines if (event := self._take(line)) is not None]

    def end(self) -> list[Event]:
        """The standard drops an event without its empty line; servers leave out the last one."""
        events = self.feed(b"\n\n")
        self._rest = b""
        return events

    def _take(self, line: bytes) -> Event | None:
        if not self._has_begun:
            self._has_begun = True
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._kind = value
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._kind, b"\n".join(self._data)) if self._data else None
        self._kind = b""
        self._data.clear()
        return event
