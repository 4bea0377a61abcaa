"""How a run is taken on, told of and ended in the store, whatever ends it."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple

from recommender.errors import StoreError
from recommender.store import RunStatus, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.quick import Progress
    from recommender.store import Run, Store

__all__ = ["STOPPED_BY_USER", "ended", "taken_on", "told"]

STOPPED_BY_USER = "stopped by the user"
TELL_EVERY_S = 1.0
REPEAT_EVERY_S = 10.0
CLOSE_WITHIN_S = 5.0


@contextmanager
def taken_on(store: Store, run_id: str) -> Iterator[None]:
    """Whatever keeps this process from claiming a run that was left to it ends that run."""
    try:
        yield
    except (KeyboardInterrupt, Exception):
        run = store.run(run_id)
        if run.status is RunStatus.CREATED and run.owner == this_process():
            with ended(store, run):
                raise
        raise


@contextmanager
def ended(store: Store, run: Run) -> Iterator[None]:
    """FINISHED when what is done within is done; STOPPED by Ctrl-C, FAILED by any error."""
    try:
        yield
        store.finish(run.id, RunStatus.FINISHED)
    except KeyboardInterrupt:
        store.finish(run.id, RunStatus.STOPPED, STOPPED_BY_USER)
        raise
    except Exception as error:
        store.finish(run.id, RunStatus.FAILED, str(error))
        raise


@contextmanager
def told(store: Store, run: Run, progress: Progress) -> Iterator[Progress]:
    """A progress whose every word also reaches the store, soon, so that others can watch.

    From a thread of its own: a store that is busy holds up nothing, and is told the next time.
    """
    teller = _Teller(store, run.id, progress)
    thread = Thread(target=teller.tell, name="telling the store", daemon=True)
    thread.start()
    try:
        yield teller
    finally:
        teller.over.set()
        thread.join(CLOSE_WITHIN_S)


class _Said(NamedTuple):
    doing: str
    left_s: float | None
    at_s: float

    def left_at_s(self, now_s: float) -> float | None:
        """None once it takes longer than was thought."""
        left_s = None if self.left_s is None else self.left_s - (now_s - self.at_s)
        return None if left_s is None or left_s < 0 else left_s


class _Teller:
    def __init__(self, store: Store, run_id: str, beside: Progress) -> None:
        self._store, self._run_id, self._beside = store, run_id, beside
        self._last: _Said | None = None
        self.over = Event()

    def __call__(self, doing: str, left_s: float | None) -> None:
        self._beside(doing, left_s)
        self._last = _Said(doing, left_s, time.perf_counter())

    def tell(self) -> None:
        """What is new once a second; what lasts now and then, so that it is known to last."""
        passed_on, passed_on_s = None, 0.0
        while not self.over.wait(TELL_EVERY_S):
            last, now_s = self._last, time.perf_counter()
            if last is None or (last == passed_on and now_s - passed_on_s < REPEAT_EVERY_S):
                continue
            with suppress(StoreError):
                self._store.report(self._run_id, last.doing, last.left_at_s(now_s))
                passed_on, passed_on_s = last, now_s
