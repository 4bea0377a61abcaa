"""How a run ends in the store, whatever ends it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from recommender.store import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.store import Run, Store

__all__ = ["ended"]


@contextmanager
def ended(store: Store, run: Run) -> Iterator[None]:
    """FINISHED when what is done within is done; STOPPED by Ctrl-C, FAILED by any error."""
    try:
        yield
        store.finish(run.id, RunStatus.FINISHED)
    except KeyboardInterrupt:
        store.finish(run.id, RunStatus.STOPPED, "stopped by the user")
        raise
    except Exception as error:
        store.finish(run.id, RunStatus.FAILED, str(error))
        raise
