"""Names of runs: how they are made, and what to say when one is not found."""

from __future__ import annotations

import difflib
import secrets
from typing import TYPE_CHECKING

from recommender.errors import AmbiguousRun, UnknownRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["LATEST", "ambiguous_run", "new_run_id", "unknown_run"]

LATEST = "latest"
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no i, l, o, u to misread
_RANDOM_DIGITS = 4
_SHOWN = 5


def new_run_id(kind: str, now: datetime) -> str:
    """For example `q20261121-051530-7kf3`; ids of one kind sort by age, to the second."""
    digits = "".join(secrets.choice(_BASE32) for _ in range(_RANDOM_DIGITS))
    return f"{kind[0].lower()}{now:%Y%m%d-%H%M%S}-{digits}"


def unknown_run(reference: str, newest_ids: Sequence[str]) -> UnknownRun:
    if not newest_ids:
        return UnknownRun(
            f"no run {reference!r}: the store holds no runs",
            hint="start one with `recommender quick`, or name another store with --store",
        )
    close = difflib.get_close_matches(reference.lower(), newest_ids, n=_SHOWN, cutoff=0.7)
    hint = (
        f"did you mean {_listed(close)}?"
        if close
        else f"the newest runs are {_listed(newest_ids[:_SHOWN])}; `recommender list` shows all"
    )
    return UnknownRun(f"no run {reference!r} in the store", hint=hint)


def ambiguous_run(reference: str, ids: Sequence[str]) -> AmbiguousRun:
    more = " and others" if len(ids) > _SHOWN else ""
    return AmbiguousRun(
        f"{reference!r} may be any of {_listed(ids[:_SHOWN])}{more}",
        hint=f"give more of the id, or {LATEST!r} for the newest run",
    )


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids)
