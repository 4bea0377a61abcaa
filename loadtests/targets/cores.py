"""Which cores each of several servers on this machine gets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.targets.limits import Capabilities

__all__ = ["FULL", "most_asked_of_a_core", "shared_out"]

FULL = 1.0 + 1e-9  # four quarters of a core are one, whatever floating point makes of them


def shared_out(
    vcpus: float | None, members: int, machine: Capabilities
) -> tuple[tuple[int, ...], ...]:
    """The cores of each of so many equal members; without a size each may use all.

    No core is asked for more than it has while another has room. Fractions of a vCPU fit on one
    core until they make it whole. The first core, which also serves most interrupts, is left to
    the load generator for as long as the members fit on the others.
    """
    cores = machine.cores
    if vcpus is None:
        return (cores,) * members
    count = min(math.ceil(vcpus), len(cores))
    each = vcpus / count
    asked = dict.fromkeys(reversed(cores), 0.0)  # the last first, as a single target is pinned
    shares = []

    def reluctance(core: int) -> tuple[bool, bool, float, bool]:
        fits, is_first = asked[core] + each <= FULL, core == cores[0]
        return not fits, fits and is_first, asked[core], is_first

    for _ in range(members):
        chosen = sorted(asked, key=reluctance)[:count]
        for core in chosen:
            asked[core] += each
        shares.append(tuple(core for core in cores if core in chosen))
    return tuple(shares)


def most_asked_of_a_core(vcpus: float | None, shares: Sequence[tuple[int, ...]]) -> float | None:
    """vCPUs; above 1 the members get less than their size when all are busy. None: no size."""
    if vcpus is None:
        return None
    asked: dict[int, float] = {}
    for share in shares:
        for core in share:
            asked[core] = asked.get(core, 0.0) + vcpus / len(share)
    return max(asked.values(), default=0.0)
