from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from recommender.errors import StoreUnreachable
from recommender.store.engine import engine_at
from recommender.store.faults import translated
from recommender.store.location import Location, locate
from recommender.store.schema import SHIPPED, Migrations, bring_up_to_date
from recommender.store.sql import SqlStore

if TYPE_CHECKING:
    from pathlib import Path

    from recommender.store.protocol import Store

__all__ = ["open_at", "open_store"]


def open_store(url: str | Path | None, *, default_folder: Path) -> Store:
    """Open the store at a file or URL, or the one in the default folder; make it if need be.

    A store of an older schema is upgraded; if it is a file, a copy is kept beside it. Raises
    StoreTooNew for one of a newer schema, StoreUnreadable for what is no store, StoreFull and
    StoreUnreachable. Only the default folder is created when it is missing.

    Any number of processes and threads may open the same store at once. Two different stores
    must not be made or upgraded by two threads of one process at once: Alembic's are globals.
    """
    location = locate(url, default_folder=default_folder)
    if url is None:
        with translated(location):
            default_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return open_at(location)


def open_at(location: Location, migrations: Migrations = SHIPPED) -> SqlStore:
    if location.path is not None:
        _check_path(location.path)
    engine = engine_at(location)
    try:
        with translated(location):
            bring_up_to_date(engine, location, migrations)
    except BaseException:
        engine.dispose()
        raise
    return SqlStore(engine, location)


def _check_path(path: Path) -> None:
    """Say more than SQLite's "unable to open database file" does."""
    folder = path.parent
    if not folder.is_dir():
        raise StoreUnreachable(
            f"the store {path} cannot be made: there is no folder {folder}",
            hint="make the folder, or name another file with --store",
        )
    if path.is_dir():
        raise StoreUnreachable(
            f"the store {path} is a folder", hint=f"name a file in it: {path / 'store.sqlite3'}"
        )
    target = path if path.exists() else folder
    # The write-ahead log lies beside the file, so the folder has to be writable as well.
    for place in (target, folder):
        if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise StoreUnreachable(
                f"the store {path} cannot be written: {os.strerror(errno.EACCES)} for {place}",
                hint="change its permissions, or name another file with --store",
            )
