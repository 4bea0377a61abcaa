"""AWS's public files of prices: a large one a region, named by an index, without credentials.

A file is read as it arrives and never held. JSON and not CSV: of a CSV that was cut short nobody
can tell.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Protocol

import ijson

from pricing.errors import BadOffer
from pricing.sources.web import CHUNK_BYTES, Web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import requests

    from pricing.sources.seen import Report

__all__ = ["OFFER_URL", "Reading", "RegionFiles", "day_of", "pushed"]

OFFER_URL: Final = "https://pricing.us-east-1.amazonaws.com"
_AGAIN: Final = "run the same command again; if it stays, the file is bad where it is published"
# What reading a file of another shape comes to.
_MISREAD: Final = (AttributeError, KeyError, TypeError, ValueError)


class Reading(Protocol):
    """What has been read of one file."""

    def take(self, chunk: bytes) -> None:
        """An empty chunk is the end of the file."""
        ...

    def is_done(self) -> bool:
        """Is what follows in the file not for us?"""
        ...


class RegionFiles:
    """what: as messages call the files. paths_in: from an index, each region's path."""

    def __init__(
        self, what: str, base_url: str, index: str, paths_in: Callable[[Any], dict[str, str]]
    ) -> None:
        self._what, self._base_url = what, base_url.rstrip("/")
        self._index, self._paths_in = index, paths_in
        self._web = Web()
        self._paths: dict[str, str] | None = None

    @property
    def identity(self) -> str:
        return f"{self._base_url} {self._what}"

    def url(self, region: str) -> str | None:
        """None where the index names no such region. It is asked for once.

        Raises SourceUnavailable or BadOffer, as `read` does.
        """
        if self._paths is None:
            self._paths = self._read_index()
        path = self._paths.get(region)
        return None if path is None else f"{self._base_url}/{path.lstrip('/')}"

    def read(self, url: str, reading: Reading, report: Report) -> None:
        with self._web.file(url) as answer:
            for read_bytes, chunk in _chunks(answer):
                reading.take(chunk)
                report(f"{self._what}, {read_bytes / 1e6:.0f} MB{_of(answer)}")
                if reading.is_done():
                    break

    def _read_index(self) -> dict[str, str]:
        url = f"{self._base_url}{self._index}"
        with self._web.file(url) as answer:
            content = answer.content
        try:
            return self._paths_in(json.loads(content))
        except _MISREAD as error:
            raise BadOffer(
                f"{url} is not the index of an offer: {type(error).__name__}: {error}",
                hint=_AGAIN,
            ) from error


@contextmanager
def pushed(url: str, chunk: bytes, parsers: Iterable[Any]) -> Iterator[None]:
    """With a chunk of the file in the parsers, for looking at what they found in it.

    Raises BadOffer, for what is found wrong in looking too.
    """
    try:
        with suppress(StopIteration):  # a parser's own word for a file that ends as it should
            for parser in tuple(parsers):
                parser.send(chunk)
        yield
    except (ijson.JSONError, *_MISREAD) as error:
        said = " ".join(str(error).split())
        raise BadOffer(f"{url} is malformed or cut short: {said[:200]}", hint=_AGAIN) from error


def day_of(url: str, published: list[Any]) -> date:
    """published: what was found at publicationDate. Raises BadOffer where that is no day."""
    if not published:
        raise BadOffer(f"{url} does not say of which day it is", hint=_AGAIN)
    try:
        return date.fromisoformat(str(published[0])[:10])
    except ValueError as error:
        raise BadOffer(f"{url} is of no day: {error}", hint=_AGAIN) from error


def _chunks(answer: requests.Response) -> Iterator[tuple[int, bytes]]:
    """And the empty chunk that tells a parser that there is no more."""
    read_bytes = 0
    for chunk in answer.iter_content(CHUNK_BYTES):
        read_bytes += len(chunk)
        yield read_bytes, chunk
    yield read_bytes, b""


def _of(answer: requests.Response) -> str:
    """Of how much; of a compressed file that is not known."""
    length = answer.headers.get("Content-Length", "")
    if not length.isdigit() or "Content-Encoding" in answer.headers:
        return ""
    return f" of {int(length) / 1e6:.0f}"
