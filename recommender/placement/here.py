"""The machine here: placed once, and kept for as long as it stays the same machine."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from recommender.errors import NotMeasured
from recommender.placement.benchmarks import Rates, run_benchmarks
from recommender.placement.likeness import Kinds

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.environment import Environment

__all__ = ["Placement", "place", "placed_here"]

FILE = "placement.json"
KEPT_DAYS = 90
SURE, LIKELY, WORTH_SAYING, WORTH_KEEPING = 0.9, 0.5, 0.1, 1e-3
ALL_BUT_CERTAIN = 0.99
_FACTS = (
    *("architecture", "cpu_vendor", "cpu_name", "cpu_family", "cpu_model_number"),
    *("cpu_stepping", "cores", "threads_per_core", "memory_gib"),
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Placement(_Frozen):
    """silicons: probabilities, likeliest first; with unseen they add up to 1.

    whole_cores: probability that a vCPU is a core of its own, for the likeliest silicon. families:
    catalogue machines of the likeliest kind. rates: None where the benchmarks could not be run.
    """

    silicons: dict[str, float]
    unseen: float
    whole_cores: float | None
    families: tuple[str, ...]
    rates: Rates | None

    @property
    def silicon(self) -> str | None:
        """The likeliest, if it is likelier than all else together."""
        name, share = next(iter(self.silicons.items()), (None, 0.0))
        return name if share > LIKELY else None

    @property
    def threads_per_core(self) -> int | None:
        """1 where every vCPU is surely a core. Else siblings may have been busy, or not."""
        is_whole = self.whole_cores is not None and self.whole_cores >= SURE
        return 1 if is_whole else None

    @property
    def text(self) -> str:
        """In words: "SapphireRapids at 92 %, as c7i, m7i"."""
        likely = [
            f"{name} at {_percent(share)}"
            for name, share in self.silicons.items()
            if share >= WORTH_SAYING
        ]
        if not likely or self.unseen > LIKELY:
            nearest = next(iter(self.silicons), None)
            like = "" if nearest is None else f"; the nearest is {nearest}"
            return f"like no benchmarked machine ({_percent(self.unseen)}){like}"
        as_these = f", as {', '.join(self.families)}" if self.families else ""
        return f"{' or '.join(likely)}{as_these}"


def _percent(share: float) -> str:
    """Nothing is certain."""
    return "over 99 %" if share > ALL_BUT_CERTAIN else f"{share:.0%}".replace("%", " %")


class _Kept(_Frozen):
    """facts: of the machine that it is about."""

    facts: tuple[str, ...]
    on: date
    placement: Placement


def place(environment: Environment, rates: Rates | None, kinds: Kinds) -> Placement:
    found = kinds.likeness(environment, rates)
    silicons = found.by_silicon
    best = next(iter(silicons), None)
    return Placement(
        silicons={
            name: round(share, 4) for name, share in silicons.items() if share >= WORTH_KEEPING
        },
        unseen=round(found.unseen, 4),
        whole_cores=None if best is None else round(found.threads_share(best, 1), 4),
        families=found.families,
        rates=rates,
    )


def placed_here(folder: Path, environment: Environment, today: date) -> Placement:
    """As kept in the folder; else measured now, in about two seconds, and kept."""
    file, facts = folder / FILE, tuple(str(getattr(environment, name)) for name in _FACTS)
    kept = _read(file)
    if kept is not None and kept.facts == facts and 0 <= (today - kept.on).days <= KEPT_DAYS:
        return kept.placement
    try:
        rates = run_benchmarks()
    except NotMeasured:
        return place(environment, None, Kinds.bundled())
    placement = place(environment, rates, Kinds.bundled())
    kept = _Kept(facts=facts, on=today, placement=placement)
    with suppress(OSError):  # no room, or not ours to write: it is measured again next time
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}")
        unfinished.write_text(kept.model_dump_json())
        unfinished.replace(file)
    return placement


def _read(file: Path) -> _Kept | None:
    """None where there is none, or another version's."""
    try:
        return _Kept.model_validate_json(file.read_text())
    except (OSError, ValidationError):
        return None
