"""A disk without room ends in one clear error, and keeps what was finished before."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import recommender
from recommender.errors import StoreFull
from recommender.store import RunStatus, Store, open_store, this_process


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk; the limit on file size is tested anyway")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small disk is not allowed here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def filled(store: Store, run_id: str) -> tuple[list[str], StoreFull]:
    """Measure until the disk is full; returns the keys that were kept, and the error."""
    kept: list[str] = []
    for step in range(100):
        try:
            store.add_measurement(run_id, str(step), {}, os.urandom(150_000))
        except StoreFull as error:
            return kept, error
        kept.append(str(step))
    pytest.fail("2 MiB took 15 MB")


def test_a_full_disk_keeps_what_was_finished(small_disk: Path) -> None:
    with open_store(small_disk / "runs.db", default_folder=small_disk) as store:
        run_id = store.create_run("quick", None, {}, {}, this_process()).id
        kept, error = filled(store, run_id)
        assert kept
        assert str(small_disk / "runs.db") in str(error)
        assert "MiB free" in str(error)
        assert "another disk" in str(error.hint)
        assert error.exit_code == 1
        assert [each.key for each in store.measurements(run_id)] == kept


def test_a_store_goes_on_when_there_is_room_again(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    with open_store(small_disk / "runs.db", default_folder=small_disk) as store:
        run_id = store.create_run("quick", None, {}, {}, this_process()).id
        kept, _ = filled(store, run_id)
        ballast.unlink()
        store.add_measurement(run_id, "next", {}, os.urandom(150_000))
        store.finish(run_id, RunStatus.FINISHED)
    with open_store(small_disk / "runs.db", default_folder=small_disk) as store:
        assert [each.key for each in store.measurements(run_id)] == [*kept, "next"]


def test_a_store_cannot_be_made_on_a_full_disk(small_disk: Path) -> None:
    fill(small_disk / "ballast")
    with pytest.raises(StoreFull):
        open_store(small_disk / "runs.db", default_folder=small_disk)


def test_a_store_on_a_disk_that_has_filled_up_says_so(small_disk: Path) -> None:
    open_store(small_disk / "runs.db", default_folder=small_disk).close()
    fill(small_disk / "ballast")
    with pytest.raises(StoreFull):  # noqa: SIM117 - either of the two may find out
        with open_store(small_disk / "runs.db", default_folder=small_disk) as store:
            store.create_run("quick", None, {}, {}, None)


def test_a_file_that_may_not_grow_keeps_what_was_finished(tmp_path: Path) -> None:
    """Runs anywhere: the kernel refuses the write as it does on a full disk."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(_WRITER), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(recommender.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    *kept, error = done.stdout.splitlines()
    assert error.startswith("StoreFull "), done.stderr
    assert kept
    with open_store(None, default_folder=tmp_path) as store:
        run = store.run("latest")
        assert [each.key for each in store.measurements(run.id)] == kept
        assert run.status is RunStatus.INTERRUPTED


_WRITER = """
    import resource, sys
    from pathlib import Path
    from recommender.errors import StoreError
    from recommender.store import open_store, this_process
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    with open_store(None, default_folder=Path(sys.argv[1])) as store:
        run = store.create_run("quick", None, {}, {}, this_process())
        try:
            for step in range(100):
                store.add_measurement(run.id, str(step), {}, bytes(100_000))
                print(step)
        except StoreError as error:
            print(type(error).__name__, error)
"""


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
