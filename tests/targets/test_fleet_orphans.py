"""What is left of a fleet when whoever drills it is killed with signal 9."""

import signal
import subprocess
import sys
import time

import pytest
from fleets import demo

from loadtests.journal import Kind
from loadtests.targets.processes import descendants, is_living, with_token

pytestmark = pytest.mark.beside

DRILL = """
import sys, time
from pathlib import Path
from loadtests.fleets.interruptions import Interruptions
from loadtests.journal import Journal
from loadtests.targets import ProcessSpec, ProcessTarget, Sizing, running
from loadtests.targets.replicas import Replicas
from loadtests.targets.spot import SpotTarget

folder, *command = sys.argv[1:]
journal = Journal(Path(folder))
with journal.workspace(Path(folder)) as workspace:

    def make(number, cores):
        own = workspace / str(number)
        own.mkdir()
        spec = ProcessSpec(tuple(command), stop_grace_s=0.5)
        return ProcessTarget(spec, Sizing(), own, journal, cores)

    instants = tuple(each / 5 for each in range(1000))
    asked = Interruptions(at_s=instants, notice_s=0.1, start_up_delay_s=0.1)
    target = SpotTarget(make, (Replicas(3), asked), workspace / "gateway", journal)
    with running(target), target.under_load():
        print("under load", flush=True)
        time.sleep(300)
"""


@pytest.fixture
def owner(tmp_path, journal, repository):
    """Another process, in the middle of a drill with a warning or a kill in each 0.1 s."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRILL, str(tmp_path / "journal"), *demo()],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=repository,
        text=True,
    )
    assert process.stdout.readline() == "under load\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    journal.clean_leftovers()


@pytest.mark.parametrize("after_s", [0.05, 0.42, 0.9])
def test_nothing_outlives_whoever_is_killed_in_the_middle_of_a_drill(
    owner, journal, eventually, after_s
):
    time.sleep(after_s)
    owner.send_signal(signal.SIGSTOP)  # what is below it is now all that will ever be
    below = descendants(owner.pid)
    entries = journal.entries()
    processes = [entry for entry in entries if entry.kind is Kind.PROCESS]
    assert len(processes) >= 2  # a gateway, and who is left of the fleet
    owner.kill()
    owner.wait()
    journal.clean_leftovers()
    assert journal.entries() == ()
    assert eventually(lambda: not any(map(is_living, below)))
    assert not any(path.exists() for entry in entries for path in entry.paths)
    assert not any(with_token("RECOMMENDER_RESOURCE", entry.id) for entry in processes)
