from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import delete, func, insert, select, update

from recommender.errors import (
    MeasurementConflict,
    RunEnded,
    RunInUse,
    StoreUnreachable,
    UnknownMeasurement,
)
from recommender.store.document import checked, is_same
from recommender.store.engine import writer
from recommender.store.faults import translated
from recommender.store.queries import (
    content_of,
    existing_run,
    kept_beside,
    newest_first,
    next_sequence,
    resolved,
)
from recommender.store.records import (
    UNDER_WAY,
    Owner,
    Progress,
    Run,
    RunStatus,
    StoredMeasurement,
    StoredRecommendation,
)
from recommender.store.reference import new_run_id
from recommender.store.rows import (
    measurement_of,
    owner_columns,
    progress_columns,
    recommendation_of,
    run_of,
)
from recommender.store.tables import (
    AGGREGATES,
    MEASUREMENTS,
    RECOMMENDATIONS,
    RESOURCES,
    RUNS,
    SAMPLES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Table
    from sqlalchemy.engine import Connection, Engine

    from recommender.store.location import Location

__all__ = ["SqlStore"]

_ENDED = frozenset({RunStatus.FINISHED, RunStatus.FAILED, RunStatus.STOPPED})
_DISTRIBUTION = "inference-recommender"


class SqlStore:
    """A Store on any database that `recommender.store.engine` connects to."""

    def __init__(
        self, engine: Engine, location: Location, clock: Callable[[], datetime] | None = None
    ) -> None:
        self._engine = engine
        self._writer = writer(engine)
        self._location = location
        self._now = clock or _utc_now
        self._is_open = True

    def create_run(
        self,
        kind: str,
        label: str | None,
        request: Mapping[str, Any],
        environment: Mapping[str, Any],
        owner: Owner | None,
    ) -> Run:
        if not kind:
            raise ValueError("a run needs a kind")
        columns = {
            "kind": kind,
            "label": label,
            "status": RunStatus.RUNNING if owner else RunStatus.CREATED,
            "request": checked(request),
            "environment": checked(environment),
            "tool_version": _tool_version(),
            **owner_columns(owner),
        }
        with self._writing() as connection:
            now = self._now()
            run_id = new_run_id(kind, now)
            while connection.scalar(select(RUNS.c.id).where(RUNS.c.id == run_id)):
                run_id = new_run_id(kind, now)
            columns |= {"id": run_id, "created_at": now, "heartbeat_at": owner and now}
            connection.execute(insert(RUNS).values(columns))
            return self._existing(connection, run_id)

    def run(self, reference: str) -> Run:
        with self._reading() as connection:
            return self._existing(connection, resolved(connection, reference))

    def runs(
        self, limit: int = 20, kind: str | None = None, status: RunStatus | None = None
    ) -> tuple[Run, ...]:
        query = newest_first(select(RUNS))
        if kind is not None:
            query = query.where(RUNS.c.kind == kind)
        if status in {*UNDER_WAY, RunStatus.INTERRUPTED}:
            # Which of them it is shows only when looking at the owner, so no limit by SQL.
            query = query.where(RUNS.c.status.in_(UNDER_WAY))
        elif status is not None:
            query = query.where(RUNS.c.status == status).limit(limit)
        else:
            query = query.limit(limit)
        with self._reading() as connection:
            now = self._now()
            found = (run_of(row, now) for row in connection.execute(query).mappings())
            wanted = (run for run in found if status in {None, run.status})
            return tuple(run for run, _ in zip(wanted, range(limit), strict=False))

    def claim(self, run_id: str, owner: Owner) -> Run:
        return self._handed_on(run_id, owner, RunStatus.RUNNING)

    def leave_to(self, run_id: str, owner: Owner) -> Run:
        return self._handed_on(run_id, owner, RunStatus.CREATED)

    def _handed_on(self, run_id: str, owner: Owner, status: RunStatus) -> Run:
        with self._writing() as connection:
            run = self._existing(connection, run_id, lock=True)
            if _is_in_use(run) and run.owner != owner:
                raise _in_use(run)
            if run.status is RunStatus.FINISHED:
                raise RunEnded(
                    f"the run {run_id} has finished: there is nothing left to do",
                    hint=f"see it with `recommender show {run_id}`",
                )
            return self._changed(
                connection,
                run_id,
                status=status,
                heartbeat_at=self._now(),
                finished_at=None,
                error=None,
                **progress_columns(None),
                **owner_columns(owner),
            )

    def describe(self, run_id: str, environment: Mapping[str, Any]) -> Run:
        plain = checked(environment)
        with self._writing() as connection:
            return self._changed(connection, run_id, environment=plain)

    def report(self, run_id: str, doing: str, left_s: float | None) -> None:
        with self._writing() as connection:
            run = self._existing(connection, run_id, lock=True)
            if run.status not in _ENDED:
                told = Progress(doing, left_s, self._now())
                self._changed(
                    connection, run_id, heartbeat_at=told.told_at, **progress_columns(told)
                )

    def heartbeat(self, run_id: str) -> None:
        with self._writing() as connection:
            self._changed(connection, run_id, heartbeat_at=self._now())

    def finish(self, run_id: str, status: RunStatus, error: str | None = None) -> Run:
        if status not in _ENDED:
            raise ValueError(f"a run ends as FINISHED, FAILED or STOPPED, not as {status}")
        with self._writing() as connection:
            run = self._existing(connection, run_id, lock=True)
            if (run.status, run.error) == (status, error):
                return run
            if run.status in _ENDED:
                raise RunEnded(f"the run {run_id} has ended as {run.status} already")
            return self._changed(
                connection, run_id, status=status, error=error, finished_at=self._now()
            )

    def add_measurement(
        self,
        run_id: str,
        key: str,
        document: Mapping[str, Any],
        samples: bytes | None = None,
        resources: bytes | None = None,
    ) -> StoredMeasurement:
        plain = checked(document)
        contents = {SAMPLES: samples, RESOURCES: resources}
        measured = MEASUREMENTS.c
        with self._writing() as connection:
            self._changed(connection, run_id, heartbeat_at=self._now())  # locks the run as well
            query = select(MEASUREMENTS).where(measured.run_id == run_id, measured.key == key)
            row = connection.execute(query).mappings().one_or_none()
            if row is not None:
                return _repeated(connection, measurement_of(row), plain, contents)
            columns: dict[str, Any] = {
                "run_id": run_id,
                "key": key,
                "sequence": next_sequence(connection, run_id),
                "created_at": self._now(),
                "document": plain,
                "has_samples": samples is not None,
                "has_resources": resources is not None,
            }
            added = connection.execute(insert(MEASUREMENTS).values(columns).returning(measured.id))
            measurement_id = added.scalar_one()
            for table, content in contents.items():
                if content is not None:
                    beside = {"measurement_id": measurement_id, "content": content}
                    connection.execute(insert(table).values(beside))
            return StoredMeasurement(id=measurement_id, **columns)

    def measurements(self, run_id: str) -> tuple[StoredMeasurement, ...]:
        table = MEASUREMENTS.c
        query = select(MEASUREMENTS).where(table.run_id == run_id).order_by(table.sequence)
        with self._reading() as connection:
            self._existing(connection, run_id)
            return tuple(measurement_of(row) for row in connection.execute(query).mappings())

    def samples(self, measurement_id: int) -> bytes:
        with self._reading() as connection:
            content = content_of(connection, SAMPLES, measurement_id)
        if content is None:
            raise UnknownMeasurement(
                f"the store holds no samples of a measurement {measurement_id}"
            )
        return content

    def resources(self, measurement_id: int) -> bytes | None:
        with self._reading() as connection:
            return content_of(connection, RESOURCES, measurement_id)

    def count_measurements(self, run_id: str) -> int:
        query = select(func.count()).where(MEASUREMENTS.c.run_id == run_id)
        with self._reading() as connection:
            self._existing(connection, run_id)
            return connection.scalar(query) or 0

    def keep_aggregate(
        self, run_id: str, name: str, made_from: str, document: Mapping[str, Any]
    ) -> None:
        kept = {"name": name, "made_from": made_from, "document": checked(document)}
        with self._writing() as connection:
            self._existing(connection, run_id, lock=True)
            connection.execute(
                delete(AGGREGATES).where(AGGREGATES.c.run_id == run_id, AGGREGATES.c.name == name)
            )
            connection.execute(insert(AGGREGATES).values(run_id=run_id, **kept))

    def aggregate(self, run_id: str, name: str, made_from: str) -> dict[str, Any] | None:
        return self.aggregates((run_id,), name, made_from).get(run_id)

    def aggregates(
        self, run_ids: Sequence[str], name: str, made_from: str
    ) -> dict[str, dict[str, Any]]:
        with self._reading() as connection:
            return dict(kept_beside(connection, run_ids, name, made_from))

    def add_recommendation(self, run_id: str, document: Mapping[str, Any]) -> StoredRecommendation:
        columns: dict[str, Any] = {"run_id": run_id, "document": checked(document)}
        with self._writing() as connection:
            self._existing(connection, run_id, lock=True)
            columns["created_at"] = self._now()
            statement = insert(RECOMMENDATIONS).values(columns).returning(RECOMMENDATIONS.c.id)
            return StoredRecommendation(id=connection.execute(statement).scalar_one(), **columns)

    def recommendation(self, run_id: str) -> StoredRecommendation | None:
        table = RECOMMENDATIONS.c
        query = select(RECOMMENDATIONS).where(table.run_id == run_id)
        with self._reading() as connection:
            self._existing(connection, run_id)
            newest = connection.execute(query.order_by(table.id.desc()).limit(1))
            row = newest.mappings().one_or_none()
        return None if row is None else recommendation_of(row)

    def newest_recommendation(self, run_id: str) -> int | None:
        table = RECOMMENDATIONS.c
        query = select(func.max(table.id)).where(table.run_id == run_id)
        with self._reading() as connection:
            self._existing(connection, run_id)
            found: int | None = connection.scalar(query)
        return found

    def delete_run(self, run_id: str) -> None:
        with self._writing() as connection:
            run = self._existing(connection, run_id, lock=True)
            if _is_in_use(run):
                raise _in_use(run)
            connection.execute(delete(RUNS).where(RUNS.c.id == run_id))

    def close(self) -> None:
        self._is_open = False
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._transaction(self._engine) as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._transaction(self._writer) as connection:
            yield connection

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        if not self._is_open:
            raise StoreUnreachable(f"the store {self._location.shown} has been closed")
        with translated(self._location), engine.begin() as connection:
            yield connection

    def _existing(self, connection: Connection, run_id: str, *, lock: bool = False) -> Run:
        return existing_run(connection, run_id, self._now(), lock=lock)

    def _changed(self, connection: Connection, run_id: str, **columns: object) -> Run:
        connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(**columns))
        return self._existing(connection, run_id)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _tool_version() -> str | None:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return None


def _is_in_use(run: Run) -> bool:
    """An owner that is gone would have made it INTERRUPTED."""
    return run.status.is_under_way and run.owner is not None


def _in_use(run: Run) -> RunInUse:
    where = f"process {run.owner.pid} on {run.owner.host}" if run.owner else "another process"
    return RunInUse(
        f"{where} works on the run {run.id}",
        hint="wait until it ends, or stop it first",
    )


def _repeated(
    connection: Connection,
    stored: StoredMeasurement,
    document: dict[str, Any],
    contents: Mapping[Table, bytes | None],
) -> StoredMeasurement:
    """The measurement that is there already, which has to be the same as the one given."""
    kept = {table: content_of(connection, table, stored.id) for table in contents}
    if is_same(stored.document, document) and kept == contents:
        return stored
    raise _conflict(stored)


def _conflict(stored: StoredMeasurement) -> MeasurementConflict:
    return MeasurementConflict(
        f"the run {stored.run_id} has another measurement of {stored.key!r} already, "
        f"taken {stored.created_at:%Y-%m-%d %H:%M:%S} UTC",
        hint="start a new run to measure again",
    )
