"""What of one run stands beside what of the other, and why the rest stands alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.comparison.document import NotCompared
from recommender.loadtest.session import KIND as LOADTEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from loadtests.probe import Measured
    from recommender.comparison.sides import Group, Side

__all__ = ["GroupPair", "StepPair", "listed", "pair_groups"]

Key = tuple[object, ...]
MOST_LISTED = 4
SAME_RATE = 0.005  # near saturation, latency changes by many times as much as the rate


@dataclass(frozen=True)
class StepPair:
    """The same was asked of both. text: what, in words."""

    text: str
    before: Measured
    after: Measured

    @property
    def is_open(self) -> bool:
        return self.before.measurement.load.loop == "open"


@dataclass(frozen=True)
class GroupPair:
    before: Group
    after: Group
    label: str

    @property
    def rungs(self) -> tuple[StepPair, ...]:
        """Of the closed loop, one request after the other: as many at a time in both."""
        mine, other = _rungs(self.before), _rungs(self.after)
        return tuple(
            StepPair(f"{senders} at a time", mine[senders], other[senders])
            for senders in sorted(mine.keys() & other.keys())
        )

    @property
    def loads(self) -> tuple[StepPair, ...]:
        """Traffic and users of the plan, and steady rates: the same in both."""
        found = []
        left = dict(_loads(self.after))
        for key, mine in _loads(self.before).items():
            match = next(
                (name for name, other in left.items() if _is_same_load(mine, other, key, name)),
                None,
            )
            if match is not None:
                found.append(StepPair(_said(mine), mine, left.pop(match)))
        return tuple(found)

    def ladders(self) -> tuple[dict[int, Measured], dict[int, Measured]]:
        return _rungs(self.before), _rungs(self.after)

    def alone(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The loads of either that the other was not asked, in words."""
        both = self.loads
        sides = ((self.before, [each.before for each in both]),
                 (self.after, [each.after for each in both]))  # fmt: skip
        mine, other = (
            tuple(
                _said(each)
                for each in _loads(group).values()
                if not any(each is one for one in taken)
            )
            for group, taken in sides
        )
        return mine, other


def pair_groups(
    before: Side, after: Side
) -> tuple[tuple[GroupPair, ...], tuple[NotCompared, ...]]:
    key = _key_of(before, after)
    of_before, of_after = _keyed(before, key), _keyed(after, key)
    pairs = tuple(
        GroupPair(of_before[name], of_after[name], _label(of_before[name], of_after[name]))
        for name in of_before
        if name in of_after
    )
    alone = [
        *_left(before, of_before, of_after, "the second run"),
        *_left(after, of_after, of_before, "the first run"),
    ]
    return pairs, tuple(alone)


def _key_of(before: Side, after: Side) -> Callable[[Group], Key | None]:
    """What two groups must have in common; None of a group that stands alone.

    Of two kinds of run, and of quick runs, the size of what searched for capacity. Variants have
    names of their own, and share their scenarios.
    """
    if LOADTEST not in (before.run.kind, after.run.kind) or before.run.kind != after.run.kind:
        return lambda group: (group.vcpus,) if group.is_search else None
    names = [{group.configuration for group in side.groups} for side in (before, after)]
    if names[0] != names[1] and len(names[0]) == len(names[1]) == 1:
        return lambda group: (group.scenario, group.mode)
    return lambda group: (group.configuration, group.scenario, group.mode)


def _keyed(side: Side, key: Callable[[Group], Key | None]) -> dict[Key, Group]:
    """The first of each key."""
    found: dict[Key, Group] = {}
    for group in side.groups:
        name = key(group) if group.steps else None
        if name is not None:
            found.setdefault(name, group)
    return found


def _left(
    side: Side, own: dict[Key, Group], other: dict[Key, Group], missing: str
) -> Iterator[NotCompared]:
    """Those that stand alone for the same reason together."""
    paired = [group for name, group in own.items() if name in other]
    left = [group for group in side.groups if not any(group is one for one in paired)]
    for has_steps, why in (
        (True, f"{missing} has nothing like it"),
        (False, "nothing of it is fit to be evidence, or it was not run"),
    ):
        labels = [group.label for group in left if bool(group.steps) is has_steps]
        if labels:
            yield NotCompared(what=listed(labels), why=why)


def listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - MOST_LISTED} more" if len(labels) > MOST_LISTED else ""
    return ", ".join(labels[:MOST_LISTED]) + more


def _label(before: Group, after: Group) -> str:
    if before.configuration == after.configuration:
        return before.label if before.scenario == after.scenario else before.configuration
    if before.vcpus is not None and before.vcpus == after.vcpus and not before.scenario:
        return before.configuration
    return before.scenario or after.scenario or before.configuration


def _rungs(group: Group) -> dict[int, Measured]:
    """By senders; requests of several rows each are another question."""
    return {
        each.measurement.load.concurrency: each
        for key, each in group.steps.items()
        if key == f"closed-{each.measurement.load.concurrency}"
        and each.measurement.load.concurrency is not None
    }


def _loads(group: Group) -> dict[str, Measured]:
    if group.mode == "tune":  # a search for settings tries others each time
        return {}
    rungs = {f"closed-{senders}" for senders in _rungs(group)}
    return {key: each for key, each in group.steps.items() if key not in rungs}


def _is_same_load(mine: Measured, other: Measured, key: str, name: str) -> bool:
    """Repeats differ in their seeds alone, and the first stands beside the first."""
    one, two = mine.measurement.load, other.measurement.load
    is_alike = (one.loop, one.process, one.traffic, one.concurrency) == (
        two.loop, two.process, two.traffic, two.concurrency
    )  # fmt: skip
    if not is_alike:
        return False
    if one.rate_rps is None or two.rate_rps is None:
        return key == name
    is_steady = key.startswith("open-") and name.startswith("open-")
    return (is_steady or key == name) and math.isclose(
        one.rate_rps, two.rate_rps, rel_tol=SAME_RATE
    )


def _said(measured: Measured) -> str:
    load = measured.measurement.load
    if load.traffic is not None:
        return load.traffic
    if load.rate_rps is not None:
        return f"{load.rate_rps:.3g} req/s"
    return f"{load.concurrency} at a time"
