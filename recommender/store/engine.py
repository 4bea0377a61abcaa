"""Connections. Every transaction is begun here, since sqlite3's own habits differ by version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine, event

from recommender.errors import StoreUnreachable
from recommender.store.document import decoded, encoded

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

    from recommender.store.location import Location

__all__ = ["LOCK_WAIT_S", "engine_at", "writer"]

LOCK_WAIT_S = 30
CONNECT_WAIT_S = 10
_BEGIN = "store_begin"


def engine_at(location: Location) -> Engine:
    """An engine that has not connected yet."""
    if location.path is None:
        return _server_engine(location)
    engine = create_engine(
        location.url,
        json_serializer=encoded,
        json_deserializer=decoded,
        connect_args={"timeout": LOCK_WAIT_S},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def writer(engine: Engine) -> Engine:
    """The same engine for transactions that write.

    On SQLite they take the write lock at once: a reader that turns into a writer later can be
    refused without any waiting when another process wrote in between.
    """
    return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


def _server_engine(location: Location) -> Engine:
    try:
        return create_engine(
            location.url,
            json_serializer=encoded,
            json_deserializer=decoded,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": CONNECT_WAIT_S,
                "application_name": "recommender",
            },
        )
    except ImportError as error:
        raise StoreUnreachable(
            f"the store {location.shown} needs the PostgreSQL driver: {error}",
            hint="pip install 'inference-recommender[postgres]'",
        ) from error


def _prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")
    # In WAL mode NORMAL may lose the last transactions to a power cut, never to a killed process.
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))
