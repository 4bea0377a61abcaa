"""A run told of, taken on and ended, in a real store."""

import signal
import threading
import time
from dataclasses import replace

import pytest

from recommender import lifecycle
from recommender.cli import app
from recommender.errors import BadRequest, StoreUnreachable
from recommender.lifecycle import ended, taken_on, told
from recommender.store import RunStatus, open_store, this_process

SOON_S = 10.0


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.sqlite3", default_folder=tmp_path) as opened:
        yield opened


@pytest.fixture
def run(store):
    return store.create_run("quick", None, {}, {}, this_process())


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(lifecycle, "TELL_EVERY_S", 0.01)
    monkeypatch.setattr(lifecycle, "REPEAT_EVERY_S", 0.05)


def nobody(doing, left_s):
    pass


def happens(condition):
    ends = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.005)


class Busy:
    """A store that somebody else keeps locked for its first reports."""

    def __init__(self, store, refusals):
        self.store, self.refusals = store, refusals

    def report(self, run_id, doing, left_s):
        if self.refusals:
            self.refusals -= 1
            raise StoreUnreachable("database is locked")
        self.store.report(run_id, doing, left_s)


def test_what_is_told_reaches_both_the_terminal_and_the_store(store, run):
    heard = []
    with told(store, run, lambda *said: heard.append(said)) as progress:
        progress("starting", None)
        progress("2 vCPU: 4 at a time", 30.0)
        happens(lambda: store.run(run.id).progress is not None)
        said = store.run(run.id).progress
    assert heard == [("starting", None), ("2 vCPU: 4 at a time", 30.0)]
    assert said.doing == "2 vCPU: 4 at a time"
    assert 20 < said.left_s <= 30


def test_what_lasts_is_told_again_with_less_time_left(store, run):
    with told(store, run, nobody) as progress:
        progress("open loop", 30.0)
        happens(lambda: store.run(run.id).progress is not None)
        first = store.run(run.id)
        happens(lambda: store.run(run.id).progress.told_at > first.progress.told_at)
        later = store.run(run.id)
    assert later.progress.left_s < first.progress.left_s
    assert later.heartbeat_at > first.heartbeat_at


def test_what_takes_longer_than_thought_has_no_time_left_to_tell(store, run):
    with told(store, run, nobody) as progress:
        progress("open loop", 0.02)
        happens(lambda: (said := store.run(run.id).progress) and said.left_s is None)


def test_a_busy_store_fails_nothing_and_is_told_later(store, run):
    with told(Busy(store, refusals=3), run, nobody) as progress:
        progress("ranking", None)
        happens(lambda: store.run(run.id).progress is not None)


def test_a_busy_store_holds_up_nothing(run, store):
    free = threading.Event()

    class Stuck(Busy):
        def report(self, run_id, doing, left_s):
            assert free.wait(SOON_S)
            super().report(run_id, doing, left_s)

    with told(Stuck(store, 0), run, nobody) as progress:
        for number in range(1000):
            progress(f"step {number}", None)
        free.set()


def test_nothing_is_told_once_it_is_over(store, run):
    with told(store, run, nobody) as progress:
        progress("ranking", None)
    threads = [thread.name for thread in threading.enumerate()]
    assert "telling the store" not in threads


@pytest.mark.parametrize(
    ("error", "status"),
    [(BadRequest("no such payload"), RunStatus.FAILED), (KeyboardInterrupt(), RunStatus.STOPPED)],
    ids=["an error", "Ctrl-C"],
)
def test_what_keeps_a_process_from_its_run_ends_the_run(store, error, status):
    run = store.create_run("quick", None, {}, {}, None)
    store.leave_to(run.id, this_process())
    with pytest.raises(type(error)), taken_on(store, run.id):
        raise error
    after = store.run(run.id)
    assert after.status is status
    assert after.error == (str(error) or "stopped by the user")


def test_a_run_that_was_left_to_nobody_is_not_ended_by_one_who_fails_to_take_it(store, run):
    store.finish(run.id, RunStatus.STOPPED, "why")
    created = store.create_run("quick", None, {}, {}, None)
    others = store.create_run("quick", None, {}, {}, None)
    elsewhere = replace(this_process(), host="elsewhere", boot_id="another boot")
    store.leave_to(others.id, elsewhere)
    for run_id in (run.id, created.id, others.id):
        before = store.run(run_id)
        with pytest.raises(BadRequest), taken_on(store, run_id):
            raise BadRequest("no such payload")
        assert store.run(run_id) == before


def test_a_run_ends_as_what_is_done_within_ends(store):
    def end_by(error):
        run = store.create_run("quick", None, {}, {}, this_process())
        with ended(store, run):
            if error is not None:
                raise error
        return store.run(run.id)

    assert end_by(None).status is RunStatus.FINISHED
    with pytest.raises(BadRequest):
        end_by(BadRequest("why"))
    assert (store.run("latest").status, store.run("latest").error) == (RunStatus.FAILED, "why")
    with pytest.raises(KeyboardInterrupt):
        end_by(KeyboardInterrupt())
    assert store.run("latest").status is RunStatus.STOPPED


def test_asked_to_end_twice_the_program_goes_on_tidying_up(monkeypatch):
    before = signal.signal(signal.SIGTERM, app._interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        monkeypatch.setattr(app, "TIDIES_UP_S", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
