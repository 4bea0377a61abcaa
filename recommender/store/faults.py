"""Turns what SQLite, PostgreSQL and the file system report into the errors of the store."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from recommender.errors import StoreError, StoreFull, StoreUnreachable, StoreUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.store.location import Location

__all__ = ["translated"]

_MIB = 1 << 20
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PRIVILEGE, _DISK_FULL = "42501", "53100"  # PostgreSQL, appendix A


@contextmanager
def translated(location: Location) -> Iterator[None]:
    """Whatever goes wrong with the database inside leaves as a StoreError."""
    try:
        yield
    except DBAPIError as error:
        raise _store_error(error.orig, location) from error
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise _store_error(error, location) from error


def _store_error(error: BaseException | None, location: Location) -> StoreError:
    if isinstance(error, sqlite3.Error):
        return _sqlite_error(error, location)
    if isinstance(error, OSError):
        if error.errno in _NO_ROOM:
            return _full(str(error.strerror), location)
        return _unreachable(str(error.strerror or error), location)
    said = str(error).strip().partition("\n")[0]
    if location.path is None and isinstance(error, Exception):
        return _server_error(error, said, location)
    return StoreError(f"the store {location.shown} failed: {said}")


def _sqlite_error(error: sqlite3.Error, location: Location) -> StoreError:
    name = getattr(error, "sqlite_errorname", None) or ""
    match name.split("_")[1:]:
        case ["FULL"] | ["IOERR", "WRITE" | "FSYNC" | "SHMSIZE" | "TRUNCATE"]:
            return _full(str(error), location)
        case ["NOTADB" | "CORRUPT" | "IOERR", *_]:
            return _unreadable(error, location)
        case ["READONLY" | "CANTOPEN" | "PERM" | "AUTH" | "BUSY" | "LOCKED", *_]:
            return _unreachable(str(error), location)
        case _:
            return StoreError(f"the store {location.shown} failed: {error}")


def _server_error(error: Exception, said: str, location: Location) -> StoreError:
    state = getattr(error, "sqlstate", None)
    if state == _DISK_FULL:
        return StoreFull(
            f"the server of the store {location.shown} has no disk space left: {said}",
            hint="free space on the server; finished measurements are kept",
        )
    # Class 08 and no state at all: the connection; 28, 3D, 53, 57: turned away or shut down.
    if state is None or state == _PRIVILEGE or state[:2] in {"08", "28", "3D", "53", "57"}:
        return StoreUnreachable(
            f"the store {location.shown} cannot be used: {said}",
            hint="check host, port, user, password and database of --store, "
            "and that the server runs",
        )
    return StoreError(f"the store {location.shown} failed: {said}")


def _full(said: str, location: Location) -> StoreFull:
    return StoreFull(
        f"the store {location.shown} cannot grow: {said}{_free(location)}",
        hint="free disk space or name a store on another disk with --store; "
        "finished measurements are kept",
    )


def _unreachable(said: str, location: Location) -> StoreUnreachable:
    locked = "locked" in said
    return StoreUnreachable(
        f"the store {location.shown} cannot be opened or written: {said}",
        hint="another process is writing to it: let it finish, then try again"
        if locked
        else "check that its folder exists and may be written, or name another file with --store",
    )


def _unreadable(error: sqlite3.Error, location: Location) -> StoreUnreadable:
    if error.sqlite_errorname == "SQLITE_NOTADB":
        return StoreUnreadable(
            f"{location.shown} is not a store: {error}",
            hint="name another file with --store; this one was left as it is",
        )
    return StoreUnreadable(
        f"the store {location.shown} is damaged: {error}",
        hint="try `sqlite3 FILE .recover`, go back to a copy, or name another file with --store",
    )


def _free(location: Location) -> str:
    try:
        free_bytes = shutil.disk_usage(location.path.parent).free if location.path else None
    except OSError:
        return ""
    return "" if free_bytes is None else f" ({free_bytes / _MIB:,.0f} MiB free)"
