"""How a store is found, made, upgraded and refused."""

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

import recommender
import recommender.store.migrations as shipped_migrations
from recommender.errors import StoreError, StoreUnreachable, StoreUnreadable
from recommender.store import open_store, this_process
from recommender.store.location import locate
from recommender.store.opening import open_at
from recommender.store.schema import SHIPPED, VERSION_TABLE, Migrations
from recommender.store.tables import METADATA

NEXT = f"{int(SHIPPED.newest) + 1:04}"

NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{down_revision}"


def upgrade():
    with op.batch_alter_table("runs", recreate="always") as runs:
        runs.add_column(sa.Column("cost_usd", sa.Text))
    {more}
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(recommender.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


def revision_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("SELECT version_num FROM store_revision").fetchone()[0])


def backups(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.backup"))


@pytest.fixture
def old_store(tmp_path: Path) -> Path:
    """A store of the newest revision there is, with a measured run in it."""
    path = tmp_path / "runs.db"
    with open_store(path, default_folder=tmp_path) as store:
        run = store.create_run("quick", None, {}, {}, this_process())
        store.add_measurement(run.id, "a", {"p95_s": 0.1}, b"samples")
    return path


def one_more_revision(tmp_path: Path, more: str = "") -> Migrations:
    folder = tmp_path / "migrations"
    shutil.copytree(
        Path(str(shipped_migrations.__file__)).parent,
        folder,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    source = NEXT_REVISION.format(revision=NEXT, down_revision=SHIPPED.newest, more=more)
    (folder / "versions" / f"{NEXT}_cost.py").write_text(source)
    return Migrations(revisions=(*SHIPPED.revisions, NEXT), folder=str(folder))


class TestWhere:
    def test_without_a_name_it_lies_in_the_default_folder(self, tmp_path: Path) -> None:
        folder = tmp_path / "share" / "recommender"
        open_store(None, default_folder=folder).close()
        assert revision_of(folder / "store.sqlite3") == SHIPPED.newest
        assert folder.stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
    def test_a_file_may_be_named_as_a_path_or_a_url(self, tmp_path: Path, form: str) -> None:
        path = tmp_path / "my runs: 100 %.db"
        open_store(form.format(path), default_folder=tmp_path / "unused").close()
        assert revision_of(path) == SHIPPED.newest
        assert not (tmp_path / "unused").exists()

    @pytest.mark.parametrize("url", ["postgres://u:p@h:5/d", "postgresql://u:p@h:5/d"])
    def test_postgresql_is_reached_through_psycopg(self, tmp_path: Path, url: str) -> None:
        location = locate(url, default_folder=tmp_path)
        assert location.url.drivername == "postgresql+psycopg"
        assert location.path is None
        assert location.shown == "postgresql+psycopg://u:***@h:5/d"

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("mysql://host/db", "'mysql'"),
            ("sqlite://", "names no file"),
            ("sqlite:///:memory:", "names no file"),
            ("postgresql://u:secret@h:port/d", "cannot be read"),
            ("no/such/folder/runs.db", "there is no folder"),
            (".", "is a folder"),
        ],
    )
    def test_a_place_that_cannot_be_is_refused(self, tmp_path: Path, url: str, said: str) -> None:
        with pytest.raises(StoreUnreachable, match=said) as caught:
            open_store(url, default_folder=tmp_path)
        assert caught.value.hint
        assert "secret" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_a_missing_driver_names_the_extra(self, tmp_path: Path) -> None:
        done = python(
            """
            import sys
            sys.modules["psycopg"] = None
            from pathlib import Path
            from recommender.store import open_store
            from recommender.errors import StoreUnreachable
            try:
                open_store("postgresql://host/db", default_folder=Path(sys.argv[1]))
            except StoreUnreachable as error:
                print(error, error.hint)
            """,
            tmp_path,
        )
        assert "inference-recommender[postgres]" in done.stdout, done.stderr


class TestRefusals:
    @pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0"])
    def test_a_file_that_is_no_database(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "notes.txt"
        path.write_bytes(content)
        with pytest.raises(StoreUnreadable, match="is not a store"):
            open_store(path, default_folder=tmp_path)
        assert path.read_bytes() == content

    def test_a_database_of_another_program(self, tmp_path: Path) -> None:
        path = tmp_path / "other.db"
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE cookies (name TEXT)")
        content = path.read_bytes()
        with pytest.raises(StoreUnreadable, match="another program: it holds cookies"):
            open_store(path, default_folder=tmp_path)
        assert path.read_bytes() == content

    def test_a_damaged_store(self, old_store: Path) -> None:
        content = bytearray(old_store.read_bytes())
        content[100:] = b"\xff" * (len(content) - 100)
        old_store.write_bytes(content)
        with pytest.raises(StoreUnreadable, match="is damaged"):
            open_store(old_store, default_folder=old_store.parent)

    def test_a_folder_that_may_not_be_written(self, tmp_path: Path) -> None:
        folder = tmp_path / "locked"
        folder.mkdir()
        with unprivileged(tmp_path, folder), pytest.raises(StoreUnreachable) as caught:
            open_store(folder / "runs.db", default_folder=tmp_path)
        assert "Permission denied" in str(caught.value)
        assert str(folder) in str(caught.value)

    def test_a_default_folder_that_may_not_be_made(self, tmp_path: Path) -> None:
        folder = tmp_path / "locked"
        folder.mkdir()
        with unprivileged(tmp_path, folder), pytest.raises(StoreUnreachable) as caught:
            open_store(None, default_folder=folder / "share")
        assert "Permission denied" in str(caught.value)

    def test_a_store_that_may_not_be_written(self, old_store: Path) -> None:
        old_store.chmod(0o444)
        with unprivileged(old_store.parent), pytest.raises(StoreUnreachable, match="written"):
            open_store(old_store, default_folder=old_store.parent)


class TestUpgrades:
    def test_the_constant_is_what_the_migrations_say(self) -> None:
        config = Config()
        config.set_main_option("script_location", SHIPPED.folder)
        scripts = list(ScriptDirectory.from_config(config).walk_revisions())
        assert tuple(script.revision for script in reversed(scripts)) == SHIPPED.revisions

    def test_the_migrations_make_the_tables_the_program_uses(self, old_store: Path) -> None:
        engine = create_engine(f"sqlite:///{old_store}")
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
            )
            assert compare_metadata(context, METADATA) == []
        engine.dispose()

    def test_an_old_store_is_upgraded_with_a_copy_beside_it(
        self, old_store: Path, tmp_path: Path
    ) -> None:
        location = locate(old_store, default_folder=tmp_path)
        with open_at(location, one_more_revision(tmp_path)) as store:
            run = store.run("latest")
            (measurement,) = store.measurements(run.id)
            assert store.samples(measurement.id) == b"samples"
        assert revision_of(old_store) == NEXT
        (copy,) = backups(tmp_path)
        assert copy.name.startswith(f"runs.db.revision-{SHIPPED.newest}-")
        assert revision_of(copy) == SHIPPED.newest
        with open_store(copy, default_folder=tmp_path) as store:
            assert store.run("latest") == run
            assert store.measurements(run.id) == (measurement,)

    def test_an_upgraded_store_is_not_upgraded_again(
        self, old_store: Path, tmp_path: Path
    ) -> None:
        location, migrations = (
            locate(old_store, default_folder=tmp_path),
            one_more_revision(tmp_path),
        )
        open_at(location, migrations).close()
        open_at(location, migrations).close()
        assert len(backups(tmp_path)) == 1

    def test_foreign_keys_are_kept_again_after_an_upgrade(
        self, old_store: Path, tmp_path: Path
    ) -> None:
        location = locate(old_store, default_folder=tmp_path)
        with (
            open_at(location, one_more_revision(tmp_path)) as store,
            store._writing() as connection,
        ):
            assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1

    def test_an_upgrade_that_fails_leaves_the_old_store(
        self, old_store: Path, tmp_path: Path
    ) -> None:
        failing = one_more_revision(tmp_path, more='op.execute("INSERT INTO nowhere VALUES (1)")')
        location = locate(old_store, default_folder=tmp_path)
        with pytest.raises(StoreError, match="nowhere"):
            open_at(location, failing)
        assert revision_of(old_store) == SHIPPED.newest
        with closing(sqlite3.connect(old_store)) as database:
            columns = {row[1] for row in database.execute("PRAGMA table_info(runs)")}
        assert "cost_usd" not in columns
        with open_at(location) as store:
            assert len(store.runs()) == 1

    def test_an_upgrade_that_orphans_rows_is_undone(self, old_store: Path, tmp_path: Path) -> None:
        careless = one_more_revision(tmp_path, more='op.execute("DELETE FROM runs")')
        location = locate(old_store, default_folder=tmp_path)
        with pytest.raises(StoreUnreadable, match="belong to no run"):
            open_at(location, careless)
        with open_at(location) as store:
            assert len(store.measurements(store.run("latest").id)) == 1

    def test_a_store_from_before_the_first_revision_is_copied_and_upgraded(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "runs.db"
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL)")
        open_store(path, default_folder=tmp_path).close()
        assert revision_of(path) == SHIPPED.newest
        assert len(backups(tmp_path)) == 1

    def test_an_empty_file_becomes_a_store_without_a_copy(self, tmp_path: Path) -> None:
        path = tmp_path / "runs.db"
        path.touch()
        open_store(path, default_folder=tmp_path).close()
        assert revision_of(path) == SHIPPED.newest
        assert backups(tmp_path) == []


class TestSettings:
    def test_a_file_is_set_for_readers_beside_a_writer(self, old_store: Path) -> None:
        location = locate(old_store, default_folder=old_store.parent)
        with open_at(location) as store, store._reading() as connection:
            found = {
                name: connection.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        assert found == {
            "journal_mode": "wal",
            "synchronous": 1,
            "foreign_keys": 1,
            "busy_timeout": 30_000,
        }

    def test_a_reader_does_not_wait_for_a_writer(self, old_store: Path) -> None:
        with (
            open_store(old_store, default_folder=old_store.parent) as store,
            closing(sqlite3.connect(old_store, isolation_level=None)) as writer,
        ):
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("DELETE FROM samples")
            assert len(store.runs()) == 1
            writer.execute("ROLLBACK")


class TestCost:
    def test_importing_the_package_does_no_work(self) -> None:
        done = python(
            """
            import os, sys
            def audit(event, arguments):
                writes = event == "open" and str(arguments[1]) not in {"r", "rb", "None"}
                if writes or event in {"os.mkdir", "sqlite3.connect", "socket.connect"}:
                    print(event, arguments)
            sys.addaudithook(audit)
            import recommender.store
            print(*{"alembic", "psycopg", "psycopg2"} & set(sys.modules))
            """
        )
        assert (done.stdout, done.stderr) == ("\n", "")

    def test_a_store_that_is_up_to_date_opens_without_alembic(self, old_store: Path) -> None:
        done = python(
            """
            import sys
            from pathlib import Path
            from recommender.store import open_store
            with open_store(sys.argv[1], default_folder=Path()) as store:
                print(len(store.runs()), "alembic" in sys.modules)
            """,
            old_store,
        )
        assert done.stdout == "1 False\n", done.stderr

    def test_making_a_store_prints_nothing_and_leaves_logging_alone(self, tmp_path: Path) -> None:
        done = python(
            """
            import logging, sys
            from pathlib import Path
            from recommender.store import open_store
            mine = logging.getLogger("mine")
            before = (list(logging.root.handlers), logging.root.level)
            open_store(None, default_folder=Path(sys.argv[1])).close()
            assert before == (list(logging.root.handlers), logging.root.level)
            assert not mine.disabled
            assert "alembic" in sys.modules
            """,
            tmp_path,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_logging_of_sql_stays_off() -> None:
    assert not logging.getLogger("sqlalchemy.engine").isEnabledFor(logging.INFO)


@contextmanager
def unprivileged(*folders: Path) -> Iterator[None]:
    """As a user who may look into the folders but not write into them: root may do anything."""
    parents = {parent for folder in folders for parent in (folder, *folder.parents)}
    if os.geteuid() != 0:
        for folder in folders:
            folder.chmod(0o500)
        try:
            yield
        finally:
            for folder in folders:
                folder.chmod(0o700)
        return
    modes = {folder: folder.stat().st_mode & 0o7777 for folder in parents}
    closed = {folder: mode for folder, mode in modes.items() if not mode & 0o001}
    for folder, mode in closed.items():
        folder.chmod(mode | 0o055)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for folder, mode in closed.items():
            folder.chmod(mode)
