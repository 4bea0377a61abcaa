"""A process is told apart from every other that had, or will have, its number."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recommender.store.owner import HEARTBEAT_LIMIT, _started, is_alive, this_process
from recommender.store.records import Owner

NOW = datetime(2026, 11, 21, 5, 15, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, that has started and waits for its end."""
    waiting = "print('up', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", waiting], stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def owner_of(process: subprocess.Popen[bytes]) -> Owner:
    started = _started(process.pid)
    assert started is not None
    return replace(this_process(), pid=process.pid, pid_started=started)


def test_a_living_process_needs_no_heartbeat() -> None:
    assert is_alive(this_process(), LONG_AGO, NOW)


def test_a_process_is_the_same_each_time_it_is_asked() -> None:
    assert this_process() == this_process()


def test_a_process_that_ended_is_gone_however_fresh_its_heartbeat(
    child: subprocess.Popen[bytes],
) -> None:
    owner = owner_of(child)
    assert is_alive(owner, NOW, NOW)
    child.kill()
    child.wait()
    assert not is_alive(owner, NOW, NOW)


def test_a_killed_process_is_gone_before_its_parent_has_looked(
    child: subprocess.Popen[bytes],
) -> None:
    owner = owner_of(child)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead now, and still a zombie
    assert not is_alive(owner, NOW, NOW)


def test_a_process_with_the_number_of_a_dead_one_is_not_taken_for_it() -> None:
    assert not is_alive(replace(this_process(), pid_started=0.5), NOW, NOW)


def test_a_command_with_brackets_and_spaces_is_read() -> None:
    set_name, get_name = 15, 16  # prctl(2)
    libc = ctypes.CDLL(None)
    before = ctypes.create_string_buffer(16)
    libc.prctl(get_name, before)
    started = this_process().pid_started
    libc.prctl(set_name, b"a) Z 1 (b")
    try:
        assert this_process().pid_started == started
    finally:
        libc.prctl(set_name, before)


@pytest.mark.parametrize("field", ["host", "boot_id"])
def test_a_process_that_cannot_be_seen_is_known_by_its_heartbeat(field: str) -> None:
    elsewhere = replace(this_process(), **{field: "another"})
    moment = timedelta(microseconds=1)
    assert is_alive(elsewhere, NOW - HEARTBEAT_LIMIT, NOW)
    assert not is_alive(elsewhere, NOW - HEARTBEAT_LIMIT - moment, NOW)
    assert not is_alive(elsewhere, None, NOW)
