"""A store that an older version made goes on under this one, and loses nothing."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, insert
from sqlalchemy.engine import Connection

from recommender.errors import StoreTooNew
from recommender.store import RunStatus, StoredMeasurement, open_store, this_process
from recommender.store.location import locate
from recommender.store.opening import open_at
from recommender.store.schema import SHIPPED, Migrations
from recommender.store.sql import SqlStore

FIRST = Migrations(revisions=("0001",), folder=SHIPPED.folder)
RUN_ID = "q20260102-030405-0a1b"
MEASURED_AT = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)


def at_the_first_revision(url: str, tmp_path: Path) -> SqlStore:
    """A store made by the first migration alone; its tables want rows as they were then."""
    return open_at(locate(url, default_folder=tmp_path), FIRST)


def put(connection: Connection, table: str, **columns: Any) -> None:
    """Write a row into the table as it is found, whatever this version knows of it."""
    found = Table(table, MetaData(), autoload_with=connection)
    connection.execute(insert(found).values(columns))


def put_measurement(connection: Connection, sequence: int) -> None:
    put(
        connection,
        "measurements",
        run_id=RUN_ID,
        key=f"key {sequence}",
        sequence=sequence,
        created_at=MEASURED_AT,
        document={"p95_s": 0.1 * sequence},
        has_samples=sequence == 1,
    )


@pytest.fixture
def first_store(store_url: str, tmp_path: Path) -> str:
    """The URL of a store of revision 0001 with a stopped run in it."""
    with at_the_first_revision(store_url, tmp_path) as store, store._writing() as connection:
        put(
            connection,
            "runs",
            id=RUN_ID,
            kind="quick",
            label="from then",
            status="STOPPED",
            created_at=MEASURED_AT,
            request={"slo": "p95<0.1"},
            environment={"cpus": 2},
        )
        put_measurement(connection, 1)
        put_measurement(connection, 2)
        put(connection, "samples", measurement_id=1, content=b"samples of then")
        put(
            connection, "recommendations", run_id=RUN_ID, created_at=MEASURED_AT, document={"n": 1}
        )
    return store_url


def test_a_store_of_the_first_revision_loses_nothing(first_store: str, tmp_path: Path) -> None:
    with open_store(first_store, default_folder=tmp_path) as store:
        run = store.run("latest")
        assert (run.id, run.label, run.status) == (RUN_ID, "from then", RunStatus.STOPPED)
        assert (run.request, run.environment) == ({"slo": "p95<0.1"}, {"cpus": 2})
        assert run.progress is None
        assert store.measurements(RUN_ID) == tuple(
            StoredMeasurement(
                id=number,
                run_id=RUN_ID,
                key=f"key {number}",
                sequence=number,
                created_at=MEASURED_AT,
                document={"p95_s": 0.1 * number},
                has_samples=number == 1,
                has_resources=False,
            )
            for number in (1, 2)
        )
        assert store.samples(1) == b"samples of then"
        assert store.resources(1) is None
        recommended = store.recommendation(RUN_ID)
        assert recommended is not None
        assert (recommended.document, recommended.created_at) == ({"n": 1}, MEASURED_AT)


def test_a_run_of_the_first_revision_goes_on_with_resources(
    first_store: str, tmp_path: Path
) -> None:
    with open_store(first_store, default_folder=tmp_path) as store:
        store.claim(RUN_ID, this_process())
        first, second = store.measurements(RUN_ID)
        again = store.add_measurement(RUN_ID, "key 1", {"p95_s": 0.1}, b"samples of then")
        assert again == first
        added = store.add_measurement(RUN_ID, "key 3", {}, b"samples", b"resources")
        assert store.measurements(RUN_ID) == (first, second, added)
        assert store.resources(added.id) == b"resources"
        store.finish(RUN_ID, RunStatus.FINISHED)
        store.delete_run(RUN_ID)
        assert store.resources(added.id) is None
        run = store.create_run("quick", None, {}, {}, this_process())
        assert store.add_measurement(run.id, "a", {}).id > added.id


def test_a_process_of_the_first_revision_may_go_on_in_an_upgraded_store(
    first_store: str, tmp_path: Path
) -> None:
    with (
        at_the_first_revision(first_store, tmp_path) as old,
        open_store(first_store, default_folder=tmp_path) as store,
    ):
        with old._writing() as connection:
            put_measurement(connection, 3)
        assert [each.has_resources for each in store.measurements(RUN_ID)] == [False] * 3


def test_an_upgraded_store_is_refused_by_the_version_that_made_it(
    first_store: str, tmp_path: Path
) -> None:
    open_store(first_store, default_folder=tmp_path).close()
    with pytest.raises(StoreTooNew, match=f"of schema {SHIPPED.newest}; .* up to 0001"):
        at_the_first_revision(first_store, tmp_path)
