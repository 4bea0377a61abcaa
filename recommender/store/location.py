"""Where a store lies: a file, or a database server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from recommender.errors import StoreUnreachable

__all__ = ["FILE_NAME", "Location", "locate"]

FILE_NAME = "store.sqlite3"


@dataclass(frozen=True, slots=True)
class Location:
    url: URL
    path: Path | None
    """The file, or None when it is a server."""

    @property
    def shown(self) -> str:
        """For messages: without the password."""
        return str(self.path) if self.path else self.url.render_as_string(hide_password=True)


def locate(url: str | Path | None, *, default_folder: Path) -> Location:
    """Read what the user named: a file, `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`."""
    if url is None:
        return _file(default_folder / FILE_NAME)
    if isinstance(url, Path) or "://" not in url:
        return _file(Path(url))
    scheme = url.partition("://")[0].partition("+")[0]
    parsed = _parsed(url)
    if scheme == "sqlite":
        return _sqlite(parsed)
    if scheme in {"postgresql", "postgres"}:
        return Location(parsed.set(drivername="postgresql+psycopg"), path=None)
    raise StoreUnreachable(
        f"a store cannot be kept in {scheme!r}",
        hint="name a file, or a URL of the form sqlite:///FILE or postgresql://USER@HOST/DATABASE",
    )


def _sqlite(url: URL) -> Location:
    if url.database in {None, "", ":memory:"} or url.query:
        raise StoreUnreachable(
            f"{url} names no file to keep the store in",
            hint="name a file, or a URL of the form sqlite:///FILE",
        )
    return _file(Path(str(url.database)))


def _file(path: Path) -> Location:
    absolute = path.expanduser().absolute()
    return Location(URL.create("sqlite", database=str(absolute)), absolute)


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:
        # The URL itself may hold a password, so it is not quoted.
        raise StoreUnreachable(
            "the store's URL cannot be read",
            hint="name a file, or a URL of the form sqlite:///FILE "
            "or postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        ) from error
