"""What was not the same when two runs were made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from recommender.comparison.document import Condition
from recommender.placement.here import Placement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.comparison.document import Weight
    from recommender.comparison.pairing import GroupPair
    from recommender.comparison.sides import Side

__all__ = ["conditions_of", "host_spread"]

SAME_MEMORY = 0.02
SAME_SPEED = 0.05  # of benchmarks of the same machine, run again
OTHER_PROGRAMS = 0.02
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def conditions_of(
    before: Side, after: Side, pairs: tuple[GroupPair, ...]
) -> tuple[Condition, ...]:
    """What makes the comparison unsound comes first."""
    found = [
        *_machines(before, after),
        *_work(before, after),
        *_generator(pairs),
        *_software(before, after),
        *_asked(before, after),
        *_states(before, after),
    ]
    order: tuple[Weight, ...] = ("unsound", "changed", "noted")
    return tuple(sorted(found, key=lambda each: order.index(each.weight)))


def host_spread(before: Side, after: Side) -> float | None:
    """How far the host's own speed is off from one run to the next: deviation of its logarithm.

    By the host's pace while they ran. Where nobody took it, by a fixed piece of work timed before
    and after each run; of a host that was fast and slow by turns, half the way between the two.
    None where nobody timed one either.
    """
    apart = [
        math.log(later.host_work_s / earlier.host_work_s)
        for earlier in before.measurements
        for later in after.measurements
        if earlier.host_work_s and later.host_work_s
    ] or [
        max(abs(math.log(each.host_slowdown)), math.log(each.host_swing or 1.0) / 2)
        for side in (before, after)
        for each in side.measurements
        if each.host_slowdown
    ]
    return float(np.sqrt(np.mean(np.square(apart)))) if apart else None


def _condition(what: str, before: object, after: object, weight: Weight) -> Iterator[Condition]:
    one, other = (("not known" if each is None else str(each)) for each in (before, after))
    if one != other:
        yield Condition(what=what, before=one, after=other, weight=weight)


def _machines(before: Side, after: Side) -> Iterator[Condition]:
    one, other = before.environment, after.environment
    if _is_elsewhere(before) or _is_elsewhere(after):
        where = "the machine that sent the load"
        yield from _condition(where, one.host, other.host, "noted")
        return
    for what, attribute in (
        ("CPU", "cpu_name"),
        ("architecture", "architecture"),
        ("cores", "cores"),
    ):
        yield from _condition(what, getattr(one, attribute), getattr(other, attribute), "unsound")
    if not math.isclose(one.memory_gib, other.memory_gib, rel_tol=SAME_MEMORY):
        memories = f"{one.memory_gib:.3g} GiB", f"{other.memory_gib:.3g} GiB"
        yield from _condition("memory of the machine", *memories, "noted")
    yield from _condition("host", one.host, other.host, "noted")
    yield from _neighbours(before, after)
    yield from _speeds(before, after)


def _neighbours(before: Side, after: Side) -> Iterator[Condition]:
    """Other programs slow a server down, though not so far that it is no evidence."""
    shares = [
        [each.neighbour_cpu_ratio for each in side.measurements
         if each.neighbour_cpu_ratio is not None]
        for side in (before, after)
    ]  # fmt: skip
    if all(shares):
        one, other = (float(np.mean(each)) for each in shares)
        if abs(one - other) > OTHER_PROGRAMS:
            what = "cores used by other programs"
            yield from _condition(what, f"{one:.0%}", f"{other:.0%}", "noted")


def _speeds(before: Side, after: Side) -> Iterator[Condition]:
    """By the benchmarks that place a machine, where both runs have them."""
    placed = [each.run.environment.get("placement") for each in (before, after)]
    if None in placed:
        return
    rates = [Placement.model_validate(each).rates for each in placed]
    one, other = rates
    if one is None or other is None:
        return
    both = one.by_name.keys() & other.by_name.keys()
    ratios = [other.by_name[name].per_s / one.by_name[name].per_s for name in sorted(both)]
    if not ratios:
        return
    faster = float(np.exp(np.mean(np.log(ratios))))
    if abs(math.log(faster)) > math.log1p(SAME_SPEED):
        yield Condition(
            what="speed of the host, by its benchmarks",
            before="1",
            after=f"{faster:.3g}",
            weight="unsound",
        )


def _is_elsewhere(side: Side) -> bool:
    """A server at another address: nobody knows what it runs on."""
    host = urlsplit(side.subject).hostname
    return host is not None and host not in LOOPBACK


def _work(before: Side, after: Side) -> Iterator[Condition]:
    digests = [
        ", ".join(sorted({each.workload for each in side.measurements}))
        for side in (before, after)
    ]
    yield from _condition("payloads", digests[0], digests[1], "unsound")
    slos = [", ".join(side.slos.values()) for side in (before, after)]
    yield from _condition("SLO", slos[0], slos[1], "noted")


def _generator(pairs: tuple[GroupPair, ...]) -> Iterator[Condition]:
    """Once, by the first of the sizes that differs."""
    said = {True: "on the server's cores", False: "on cores of its own"}
    for pair in pairs:
        found = [
            any(each.measurement.target.shares_cores for each in group.steps.values())
            for group in (pair.before, pair.after)
        ]
        if found[0] is not found[1]:
            what = f"the load on {pair.label} was sent"
            yield from _condition(what, said[found[0]], said[found[1]], "unsound")
            return


def _software(before: Side, after: Side) -> Iterator[Condition]:
    one, other = before.environment, after.environment
    for what, attribute in (("kernel", "kernel"), ("Python", "python"), ("Locust", "locust")):
        yield from _condition(what, getattr(one, attribute), getattr(other, attribute), "noted")
    versions = before.run.tool_version or one.tool, after.run.tool_version or other.tool
    yield from _condition("this program", *versions, "noted")


def _asked(before: Side, after: Side) -> Iterator[Condition]:
    yield from _condition("what serves", before.subject, after.subject, "changed")
    if before.configuration or after.configuration:
        names = before.configuration or "all", after.configuration or "all"
        yield from _condition("configuration", *names, "changed")
    if before.run.kind != after.run.kind:
        yield from _condition("kind of run", before.run.kind, after.run.kind, "noted")
    weights: dict[str, Weight] = {"environment of the server": "changed",
                                  "memory limit": "changed"}  # fmt: skip
    for name in before.asked:
        if name in after.asked:
            weight = weights.get(name, "noted")
            yield from _condition(name, before.asked[name], after.asked[name], weight)


def _states(before: Side, after: Side) -> Iterator[Condition]:
    states = [side.run.status.lower() for side in (before, after)]
    if set(states) != {"finished"}:
        yield Condition(what="state", before=states[0], after=states[1], weight="noted")
