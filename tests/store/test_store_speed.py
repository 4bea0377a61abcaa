"""Lists stay fast because of an index, whatever the machine: the query plan says so."""

from pathlib import Path

import pytest
from sqlalchemy import Select, func, insert, select

from recommender.store.location import locate
from recommender.store.opening import open_at
from recommender.store.queries import newest_first
from recommender.store.records import RunStatus
from recommender.store.tables import MEASUREMENTS, RECOMMENDATIONS, RUNS

ONE_RUN = MEASUREMENTS.c.run_id == "q"


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (newest_first(select(RUNS)).limit(20), "runs_by_age"),
        (newest_first(select(RUNS).where(RUNS.c.kind == "quick")).limit(20), "runs_by_kind"),
        (
            newest_first(select(RUNS).where(RUNS.c.status == RunStatus.FAILED)).limit(20),
            "runs_by_status",
        ),
        (
            select(MEASUREMENTS).where(ONE_RUN).order_by(MEASUREMENTS.c.sequence),
            "sqlite_autoindex_measurements_2",
        ),
        (
            select(RECOMMENDATIONS)
            .where(RECOMMENDATIONS.c.run_id == "q")
            .order_by(RECOMMENDATIONS.c.id.desc()),
            "recommendations_by_age",
        ),
    ],
)
def test_lists_are_read_in_order_from_an_index(
    tmp_path: Path, query: Select[tuple[object, ...]], index: str
) -> None:
    with open_at(locate(tmp_path / "runs.db", default_folder=tmp_path)) as store:
        with store._reading() as connection:
            statement = query.compile(connection, compile_kwargs={"literal_binds": True})
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").all()
        plan = "\n".join(row.detail for row in rows)
    assert f"USING INDEX {index}" in plan
    assert "TEMP B-TREE" not in plan


def test_ten_thousand_runs_are_listed_and_found(tmp_path: Path) -> None:
    with open_at(locate(tmp_path / "runs.db", default_folder=tmp_path)) as store:
        first = store.create_run("quick", None, {}, {}, None)
        with store._writing() as connection:
            row = connection.execute(select(RUNS)).mappings().one()
            copies = [{**row, "id": f"q2020-{number:05}"} for number in range(10_000)]
            connection.execute(insert(RUNS), copies)
            assert connection.scalar(select(func.count()).select_from(RUNS)) == 10_001
        newest = store.create_run("quick", None, {}, {}, None)
        assert len(store.runs(limit=20)) == 20
        assert store.runs(limit=20)[0] == newest == store.run("latest")
        assert store.run(first.id) == first
        assert store.run("q2020-00042").id == "q2020-00042"
