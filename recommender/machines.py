"""Machines as the speed prior sees them: the one here, those of the price book, and serverless."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pricing import AWS
from recommender.performance.speed_prior import Machine
from recommender.placement.likeness import named_silicon

if TYPE_CHECKING:
    from loadtests.environment import Environment
    from pricing import InstanceType
    from recommender.placement.here import Placement

__all__ = [
    "likely_machines",
    "machine_here",
    "machine_of",
    "serverless_machine",
    "unseen_machine",
]

WORTH_A_DRAW = 0.02


def machine_of(instance: InstanceType) -> Machine:
    cores = instance.physical_cores
    return Machine(
        vcpus=float(instance.vcpus),
        silicon=instance.cpu.silicon,
        threads_per_core=None if cores is None else max(round(instance.vcpus / cores), 1),
        architecture=instance.cpu.architecture.value,
        clock_ghz=instance.cpu.clock_ghz,
        provider=AWS if instance.provider == AWS else None,
        family=instance.family,
    )


def machine_here(environment: Environment, placement: Placement | None = None) -> Machine:
    """The machine that the tool itself runs on; placement: what its benchmarks are like.

    With two hardware threads a core nobody says whether a sibling was busy, which widens what
    follows; with one there is no sibling.
    """
    said = environment.threads_per_core
    threads, silicon = said if said == 1 else None, named_silicon(environment)
    if placement is not None:
        threads, silicon = placement.threads_per_core, placement.silicon
    return Machine(
        vcpus=1.0,
        silicon=silicon,
        threads_per_core=threads,
        architecture=environment.architecture,
        clock_ghz=None,
    )


def likely_machines(
    environment: Environment, placement: Placement
) -> tuple[tuple[Machine, float], ...]:
    """What the machine here may be, with probabilities that add up to 1.

    The least likely are left out; a silicon of None is one that nobody benchmarked.
    """
    here = machine_here(environment, placement)
    shares = (*placement.silicons.items(), (None, placement.unseen))
    worth = [(name, share) for name, share in shares if share >= WORTH_A_DRAW]
    total = sum(share for _, share in worth)
    return tuple((replace(here, silicon=name), share / total) for name, share in worth)


def unseen_machine() -> Machine:
    """One somewhere else, of which nothing is known but that it answers."""
    return Machine(
        vcpus=1.0, silicon=None, threads_per_core=None, architecture="x86_64", clock_ghz=None
    )


def serverless_machine() -> Machine:
    """Whatever AWS runs serverless inference on: it does not say."""
    return Machine(
        vcpus=1.0,
        silicon=None,
        threads_per_core=2,
        architecture="x86_64",
        clock_ghz=None,
        provider=AWS,
    )
