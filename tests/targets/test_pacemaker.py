"""The pacemaker on this machine's own cores."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np

from loadtests.pace import EVERY_S, Pacemaker


@contextmanager
def hogs(core, count):
    """Processes that never rest, on one core."""
    program = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    started = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(count)]
    try:
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


def taken(cores, seconds):
    with Pacemaker(cores) as pacemaker:
        begun_s = time.perf_counter()
        time.sleep(seconds)
    return pacemaker, pacemaker.since(begun_s)


def test_every_core_has_its_turn_and_our_own_affinity_stays():
    before = os.sched_getaffinity(0)
    cores = tuple(sorted(before))
    pacemaker, found = taken(cores, 1.0)
    assert os.sched_getaffinity(0) == before
    assert found.cores == len(cores)
    counts = np.bincount(found.core, minlength=len(cores))
    assert counts.max() - counts.min() <= 1
    assert 0.5 / EVERY_S <= len(found.times_s) <= 1 / EVERY_S + 1
    assert (np.diff(found.times_s) > 0).all()
    assert found.each_s.sum() < pacemaker.cost_s < 0.1


def test_waiting_for_a_core_is_no_part_of_it():
    """With four others on the core a piece may take five times as long, and works no more.

    Alone and beside them by turns, so that a host fast and slow by turns is so for both.
    """
    core = min(os.sched_getaffinity(0))
    alone, crowded = [], []
    for _ in range(3):
        alone.append(taken((core,), 0.7)[1].mean_s)
        with hogs(core, 4):
            crowded.append(taken((core,), 1.5)[1].mean_s)
    assert np.median(crowded) < 2 * np.median(alone)


def test_what_was_done_before_the_load_does_not_count():
    with Pacemaker((min(os.sched_getaffinity(0)),)) as pacemaker:
        time.sleep(0.3)
        begun_s = time.perf_counter()
    assert pacemaker.since(begun_s + 10) is None
    assert pacemaker.since(begun_s - 1).times_s.max() <= 1.0


def test_without_cores_nothing_is_done():
    with Pacemaker(()) as pacemaker:
        time.sleep(0.1)
    assert pacemaker.since(0.0) is None
    assert pacemaker.cost_s == 0


def test_a_core_that_is_not_there_ends_it_without_a_word(capfd):
    with Pacemaker((max(os.sched_getaffinity(0)) + 1000,)) as pacemaker:
        time.sleep(0.1)
    assert pacemaker.since(0.0) is None
    assert capfd.readouterr().err == ""
