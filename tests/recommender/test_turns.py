"""Runs of one user on one machine measure one after the other, whatever ends them."""

import signal
import subprocess
import sys
from threading import Event, Thread

import pytest

from recommender.turns import own_turn

HOLDER = """
import sys
from pathlib import Path
from recommender.turns import own_turn

with own_turn(Path(sys.argv[1]), "q1", lambda doing, left_s: None):
    print("mine", flush=True)
    sys.stdin.read()
"""


class Told(list):
    def __init__(self):
        self.heard = Event()

    def __call__(self, doing, left_s):
        self.append((doing, left_s))
        self.heard.set()


@pytest.fixture
def holder(tmp_path):
    """A process whose turn it is."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "mine\n"
        yield process
        process.kill()


def waiting(folder, told):
    """A thread that has its turn and gives it back at once."""

    def take():
        with own_turn(folder, "q2", told):
            pass

    thread = Thread(target=take, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("ends", ["by itself", "killed"])
def test_the_second_waits_for_the_first_and_says_for_whom(tmp_path, holder, ends):
    told = Told()
    second = waiting(tmp_path, told)
    assert told.heard.wait(30)
    assert set(told) == {("waiting for q1, which is measuring on this machine", None)}
    assert second.is_alive()
    if ends == "killed":
        holder.send_signal(signal.SIGKILL)
    else:
        holder.stdin.close()
    second.join(30)
    assert not second.is_alive()


def test_a_turn_is_given_back_by_an_error(tmp_path):
    told = Told()
    with pytest.raises(KeyboardInterrupt), own_turn(tmp_path, "q1", told):
        raise KeyboardInterrupt
    with own_turn(tmp_path, "q2", told):
        assert told == []


def test_other_folders_are_other_turns(tmp_path, holder):
    told = Told()
    with own_turn(tmp_path / "another", "q2", told):
        assert holder.poll() is None
        assert told == []
