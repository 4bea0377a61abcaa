"""The last few answers, so that the same question is answered at once."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Key", "LastFew"]

Found = TypeVar("Found")
Key = tuple[object, ...]


class LastFew(Generic[Found]):
    """The last few. Two threads that ask for the same at once may both make it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[Key, Found] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key, make: Callable[[], Found]) -> Found:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        made = make()
        with self._lock:
            self._found[key] = made
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return made

    def known(self, key: Key) -> Found | None:
        with self._lock:
            return self._found.get(key)
