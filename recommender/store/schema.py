"""Brings a store to the schema this version knows, or refuses one it does not know.

The revision is looked up by plain SQL: Alembic is imported only when there is something to do.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from recommender.errors import StoreTooNew, StoreUnreadable
from recommender.store.engine import LOCK_WAIT_S, writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection, Engine

    from recommender.store.location import Location

__all__ = ["SHIPPED", "VERSION_TABLE", "Migrations", "bring_up_to_date"]

VERSION_TABLE = "store_revision"
_LOCK_KEY = 0x5EC0_3E4D  # any number, the same in every process


@dataclass(frozen=True, slots=True)
class Migrations:
    """The revisions in the order they are applied, and the Alembic folder that holds them."""

    revisions: tuple[str, ...]
    folder: str

    @property
    def newest(self) -> str:
        return self.revisions[-1]


SHIPPED = Migrations(
    revisions=("0001", "0002", "0003", "0004"), folder="recommender.store:migrations"
)


def bring_up_to_date(
    engine: Engine, location: Location, migrations: Migrations = SHIPPED
) -> Path | None:
    """Returns where the old store was copied to, if there was an old one and it is a file."""
    with engine.connect() as connection:
        if _needed(connection, location, migrations) is None:
            return None
    with (
        writer(engine).connect() as connection,
        _rebuildable(connection, location),
        connection.begin(),
    ):
        return _upgraded(connection, location, migrations)


def _upgraded(connection: Connection, location: Location, migrations: Migrations) -> Path | None:
    if location.path is None:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
    # Another process may have done it while this one waited for the lock.
    found = _needed(connection, location, migrations)
    if found is None:
        return None
    copy = _copied(location.path, found) if location.path is not None and found else None
    _upgrade(connection, migrations)
    if location.path is not None and connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        raise StoreUnreadable(
            f"the store {location.shown} holds rows that belong to no run",
            hint="name another file with --store; this one was left as it is",
        )
    return copy


@contextmanager
def _rebuildable(connection: Connection, location: Location) -> Iterator[None]:
    """Prepare a file for its upgrade. Neither setting can be changed within a transaction.

    SQLite alters most of a table by copying and dropping it, and dropping a table counts as
    deleting its rows: with foreign keys on, everything that refers to them would go as well.
    """
    if location.path is None:
        yield
        return
    driver = connection.connection.cursor()
    try:
        driver.execute("PRAGMA foreign_keys=OFF")
        driver.execute("PRAGMA journal_mode=WAL")
        driver.fetchall()  # a statement with rows left would hold up the commit
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")
        driver.close()


def _needed(connection: Connection, location: Location, migrations: Migrations) -> str | None:
    """None when the store is up to date; else its revision, empty for a store with no tables."""
    names = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in names:
        if names:
            raise _foreign(names, location)
        return ""
    revision = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    if revision is None:
        return "0000"
    if revision not in migrations.revisions:
        raise _too_new(str(revision), location, migrations)
    return None if revision == migrations.newest else str(revision)


def _copied(path: Path, revision: str) -> Path:
    """A copy of the store as it is; the caller's write lock keeps it from changing meanwhile."""
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    copy = path.with_name(f"{path.name}.revision-{revision}-{stamp}.backup")
    try:
        with (
            closing(sqlite3.connect(path, timeout=LOCK_WAIT_S)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    except sqlite3.Error:
        copy.unlink(missing_ok=True)
        raise
    return copy


def _upgrade(connection: Connection, migrations: Migrations) -> None:
    # Alembic takes longer to import than a store to open, and is hardly ever needed.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", migrations.folder)
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.upgrade(config, migrations.newest)


def _foreign(names: set[str], location: Location) -> StoreUnreadable:
    shown = ", ".join(sorted(names)[:5]) + (" …" if len(names) > 5 else "")  # noqa: PLR2004
    return StoreUnreadable(
        f"{location.shown} is a database of another program: it holds {shown}",
        hint="give the store a file or a database of its own; this one was left as it is",
    )


def _too_new(revision: str, location: Location, migrations: Migrations) -> StoreTooNew:
    return StoreTooNew(
        f"the store {location.shown} is of schema {revision}; "
        f"this version knows schemas up to {migrations.newest}",
        hint="pip install --upgrade inference-recommender, or name another store with --store; "
        "this one was left as it is",
    )
