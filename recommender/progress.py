"""How far a run is, in words: what it does, how long that may still take, since when it is silent.

A terminal and the dashboard say it alike; each lays the words out in its own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from recommender.store import Run

__all__ = ["Told", "last_told", "left_text", "took_text"]

STALE_S = 30.0  # a process at work tells every ten seconds at the latest
MINUTE_S, HOUR_S = 60, 3600
ROUNDED_S = 10  # what is left is an estimate


class Told(NamedTuple):
    """left_s: as of now, none below zero; None where it is not known. silent_s: since it was told.

    stale: that nothing was told, and for how long, in words; None where that is not long.
    """

    doing: str
    left_s: float | None
    silent_s: float

    @property
    def stale(self) -> str | None:
        if self.silent_s < STALE_S:
            return None
        return f"nothing was told for {took_text(self.silent_s)}"


def last_told(run: Run, now: datetime) -> Told | None:
    """None of a run that has ended, and of one whose process has told nothing yet."""
    said = run.progress
    if said is None or not run.status.is_under_way:
        return None
    silent_s = max((now - said.told_at).total_seconds(), 0.0)
    left_s = None if said.left_s is None else max(said.left_s - silent_s, 0.0)
    return Told(said.doing, left_s, silent_s)


def left_text(left_s: float) -> str:
    """As coarse as an estimate is."""
    if left_s < ROUNDED_S:
        return "a few seconds left"
    if left_s < 2 * MINUTE_S:
        return f"about {round(left_s / ROUNDED_S) * ROUNDED_S} s left"
    if left_s < 2 * HOUR_S:
        return f"about {left_s / MINUTE_S:.0f} min left"
    return f"about {left_s / HOUR_S:.1f} h left"


def took_text(seconds: float) -> str:
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S:.0f} min {seconds % MINUTE_S:.0f} s"
    return f"{seconds // HOUR_S:.0f} h {seconds % HOUR_S // MINUTE_S:.0f} min"
