"""A disk that fills up: one message, the measurements kept, nothing running."""

import os
import subprocess

import pytest

QUICKLY = ("--sizes", "1", "--measure-s", "2", "--payload", "payload.json", "--quiet")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte, which only root can mount."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.locust
def test_a_full_disk_is_said_to_be_full(recommender, small_disk):
    (small_disk / "filler").write_bytes(b"\0" * 700_000)
    recommender.home = small_disk / "home"
    done = recommender.run("quick", "--command", "demo: --service det:0.002", *QUICKLY)
    assert done.returncode == 1, done.stdout
    assert "full" in done.stderr or "No space left" in done.stderr or "disk" in done.stderr
    assert "Traceback" not in done.stderr
    assert recommender.nothing_left()
