"""What is being done and how long is left: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from recommender.progress import last_told, left_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rich.status import Status

    from recommender.quick import Progress
    from recommender.store import Run

__all__ = ["progress_line", "progress_shown"]


@contextmanager
def progress_shown(*, quiet: bool, color: bool) -> Iterator[Progress]:
    """To stderr, so that stdout holds the answer alone."""
    if quiet:
        yield lambda doing, left_s: None  # noqa: ARG005 - said to nobody
        return
    console = Console(stderr=True, no_color=not color, highlight=False)
    if not console.is_terminal:
        yield _Lines(console)
        return
    with console.status("starting") as status:
        yield _Line(status)


def progress_line(run: Run, now: datetime) -> str | None:
    """What another process does; None where the run is nobody's work, or nothing was told yet."""
    told = last_told(run, now)
    if told is None:
        return None
    return told.doing + _left(told.left_s) if told.stale is None else f"{told.doing}; {told.stale}"


class _Line:
    def __init__(self, status: Status) -> None:
        self._status, self._began_s = status, time.perf_counter()

    def __call__(self, doing: str, left_s: float | None) -> None:
        elapsed_s = time.perf_counter() - self._began_s
        self._status.update(f"{doing}  [dim]{elapsed_s:.0f} s{_left(left_s)}[/dim]")


class _Lines:
    """A line for each new thing; the same again (waiting) says nothing."""

    def __init__(self, console: Console) -> None:
        self._console, self._began_s = console, time.perf_counter()
        self._last = ""

    def __call__(self, doing: str, left_s: float | None) -> None:
        what = doing.partition(" (")[0]
        if what != self._last:
            elapsed_s = time.perf_counter() - self._began_s
            self._console.print(
                f"[{elapsed_s:5.1f} s] {doing}{_left(left_s)}", markup=False, soft_wrap=True
            )
            self._last = what


def _left(left_s: float | None) -> str:
    return "" if left_s is None else f", {left_text(left_s)}"
