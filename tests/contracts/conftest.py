"""Places for a store: a SQLite file, and a database on a real PostgreSQL server."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest


def postgres_programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


def not_here(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"in CI the store has to be tested on PostgreSQL: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """A server that lives in its own folder and listens on a socket there and nowhere else."""
    programs = postgres_programs()
    if programs is None:
        not_here("no initdb and pg_ctl on PATH or under /usr/lib/postgresql")
    try:
        import psycopg  # noqa: F401, PLC0415 - an extra, so it may be missing
    except ImportError as error:
        not_here(str(error))
    folder = Path(tempfile.mkdtemp(prefix="recommender-pg-"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "nobody")
        as_user = {"user": "nobody", "group": folder.stat().st_gid, "extra_groups": []}

    def program(name: str, *arguments: str) -> None:
        with (folder / "log").open("ab") as log:
            done = subprocess.run(
                [str(programs / name), "-D", str(folder / "data"), *arguments],
                cwd=folder,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                **as_user,
            )
        assert done.returncode == 0, (folder / "log").read_text()

    options = f"-c listen_addresses='' -c fsync=off -k {folder}"
    try:
        program("initdb", "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        program("pg_ctl", "-w", "-o", options, "-l", str(folder / "server.log"), "start")
        yield folder
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            program("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    folder = request.getfixturevalue("postgres_folder")
    name = f"t{uuid4().hex}"
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(f"host={folder} user=tester dbname=postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    return f"postgresql://tester@/{name}?host={folder}"
