"""Questions to the tables, asked on a connection within its transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from recommender.store.reference import LATEST, ambiguous_run, unknown_run
from recommender.store.rows import run_of
from recommender.store.tables import AGGREGATES, MEASUREMENTS, RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from typing import Any

    from sqlalchemy import Select, Table
    from sqlalchemy.engine import Connection

    from recommender.store.records import Run

__all__ = [
    "content_of",
    "existing_run",
    "kept_beside",
    "newest_first",
    "next_sequence",
    "resolved",
]

_COMPARED = 1000
"""How many of the newest ids are searched for close matches."""
_ASKED_AT_ONCE = 1000
"""How many ids one statement names; databases take no more than some ten thousand."""


def existing_run(connection: Connection, run_id: str, now: datetime, *, lock: bool = False) -> Run:
    query = select(RUNS).where(RUNS.c.id == run_id)
    if lock:  # SQLite ignores it: there, the writing transaction as a whole is the lock
        query = query.with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise unknown_run(run_id, _newest_ids(connection))
    return run_of(row, now)


def resolved(connection: Connection, reference: str) -> str:
    """The id that a full id, the beginning of one, or `latest` stands for."""
    ids = newest_first(select(RUNS.c.id))
    begins_so = func.substr(RUNS.c.id, 1, len(reference)) == reference
    query = ids.limit(1) if reference == LATEST else ids.where(begins_so)
    found: list[str] = list(connection.scalars(query)) if reference else []
    if reference in found:
        return reference
    if not found:
        raise unknown_run(reference, _newest_ids(connection))
    if len(found) > 1:
        raise ambiguous_run(reference, found)
    return found[0]


def newest_first(query: Select[Any]) -> Select[Any]:
    return query.order_by(RUNS.c.created_at.desc(), RUNS.c.id.desc())


def next_sequence(connection: Connection, run_id: str) -> int:
    last = select(func.max(MEASUREMENTS.c.sequence)).where(MEASUREMENTS.c.run_id == run_id)
    return (connection.scalar(last) or 0) + 1


def content_of(connection: Connection, table: Table, measurement_id: int) -> bytes | None:
    """What SAMPLES or RESOURCES keeps of a measurement."""
    query = select(table.c.content).where(table.c.measurement_id == measurement_id)
    content = connection.scalar(query)
    return None if content is None else bytes(content)


def kept_beside(
    connection: Connection, run_ids: Sequence[str], name: str, made_from: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The aggregates of that name, each with the id of its run."""
    table = AGGREGATES.c
    query = select(table.run_id, table.document).where(
        table.name == name, table.made_from == made_from
    )
    for first in range(0, len(run_ids), _ASKED_AT_ONCE):
        some = run_ids[first : first + _ASKED_AT_ONCE]
        yield from map(tuple, connection.execute(query.where(table.run_id.in_(some))))


def _newest_ids(connection: Connection) -> list[str]:
    return list(connection.scalars(newest_first(select(RUNS.c.id)).limit(_COMPARED)))
