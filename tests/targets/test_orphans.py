"""What is left when the recommender, or its supervisor with it, is killed with signal 9."""

import os
import signal
import subprocess
import sys

import pytest

from loadtests.journal import Journal, Kind
from loadtests.targets import capabilities
from loadtests.targets.processes import descendants, is_living

pytestmark = pytest.mark.beside

RECOMMENDER = """
import sys, time
from pathlib import Path
from loadtests.journal import Journal
from loadtests.targets import ProcessSpec, ProcessTarget, Sizing, running

folder, *command = sys.argv[1:]
journal = Journal(Path(folder))
with journal.workspace(Path(folder)) as workspace:
    spec = ProcessSpec(tuple(command), stop_grace_s=0.5)
    target = ProcessTarget(spec, Sizing(), workspace, journal)
    with running(target):
        print(target._supervised.pid, flush=True)
        time.sleep(300)
"""


@pytest.fixture
def recommender(server, tmp_path, journal, repository):
    """Another process that has launched a target with a detached daemon; and the supervisor."""
    started = []

    def start(fault):
        process = subprocess.Popen(
            [sys.executable, "-c", RECOMMENDER, str(tmp_path / "journal"), *server(fault)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=repository,
        )
        started.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
    journal.clean_leftovers()


def groups_of(journal):
    return [path for entry in journal.entries() for path in entry.paths if path.exists()]


@pytest.mark.parametrize("fault", ["daemon", "scrubbed-daemon", "stubborn"])
def test_nothing_outlives_a_killed_recommender(recommender, journal, eventually, fault):
    process, supervisor = recommender(fault)
    below = [supervisor, *descendants(supervisor)]
    assert len(below) >= 2
    process.kill()
    process.wait()
    assert eventually(lambda: not any(map(is_living, below)), within_s=30)
    journal.clean_leftovers()
    assert groups_of(journal) == []
    assert journal.entries() == ()


def test_what_outlives_recommender_and_supervisor_is_cleaned(recommender, journal, eventually):
    process, supervisor = recommender("daemon")
    below = descendants(supervisor)
    assert len(below) == 2
    process.send_signal(signal.SIGSTOP)  # so that neither can act on the other's death
    os.kill(supervisor, signal.SIGKILL)
    process.kill()
    process.wait()
    assert eventually(lambda: sum(map(is_living, below)) == 1)  # only the detached daemon is left
    leftovers = journal.leftovers()
    kinds = {entry.kind for entry in leftovers}
    assert kinds >= {Kind.PROCESS, Kind.FOLDER}
    assert (Kind.CGROUP in kinds) == (capabilities().groups is not None)
    paths = groups_of(journal)
    removed = journal.clean_leftovers()
    assert any(line.startswith("process ") for line in removed)
    assert not any(map(is_living, below))
    assert not [path for path in paths if path.exists()]
    assert journal.entries() == ()
    assert [line for entry in leftovers for line in journal.clean(entry)] == []
    assert journal.clean_leftovers() == []


def test_ctrl_c_stops_and_removes_everything(recommender, journal):
    process, supervisor = recommender("daemon")
    below = [supervisor, *descendants(supervisor)]
    paths = [path for entry in journal.entries() for path in entry.paths]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    assert not any(map(is_living, below))
    assert not [path for path in paths if path.exists()]
    assert journal.entries() == ()


def test_a_live_run_is_left_alone(recommender, tmp_path):
    _, supervisor = recommender("none")
    journal = Journal(tmp_path / "journal")
    assert journal.leftovers() == ()
    assert len(journal.entries()) >= 2
    assert is_living(supervisor)
