"""One measurement at a time on a machine: two at once would each measure the other."""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

    from recommender.quick import Progress

__all__ = ["own_turn"]

LOCK = "measuring.lock"
LOOK_EVERY_S = 0.25


@contextmanager
def own_turn(folder: Path, who: str, progress: Progress) -> Iterator[None]:
    """Waits for the end of whatever else this user measures here, and says so.

    folder: one for all that a user measures on this machine. who: a run's id, or a command. A
    process that dies leaves its turn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        while not _is_taken(file):
            progress(f"waiting for {_holder(file)}, which is measuring on this machine", None)
            time.sleep(LOOK_EVERY_S)
        _sign(file, who)
        try:
            yield
        finally:
            _sign(file, "")


def _is_taken(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: TextIO) -> str:
    file.seek(0)
    return file.read().strip() or "another run"


def _sign(file: TextIO, who: str) -> None:
    file.truncate(0)
    file.write(who)
    file.flush()
