"""Machines as the speed prior sees them: the one here, those of the price book, and serverless."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.performance.silicon import silicon_of
from recommender.performance.speed_prior import Machine

if TYPE_CHECKING:
    from loadtests.environment import Environment
    from pricing import InstanceType

__all__ = ["machine_here", "machine_of", "serverless_machine", "unseen_machine"]


def machine_of(instance: InstanceType) -> Machine:
    cores = instance.physical_cores
    return Machine(
        vcpus=float(instance.vcpus),
        silicon=instance.cpu.silicon,
        threads_per_core=None if cores is None else max(round(instance.vcpus / cores), 1),
        architecture=instance.cpu.architecture.value,
        clock_ghz=instance.cpu.clock_ghz,
        provider="aws",
        family=instance.family,
    )


def machine_here(environment: Environment) -> Machine:
    """The machine that the tool itself runs on.

    With two hardware threads a core nobody says whether a sibling was busy, which widens what
    follows; with one there is no sibling.
    """
    threads = environment.threads_per_core
    return Machine(
        vcpus=1.0,
        silicon=_silicon(environment),
        threads_per_core=threads if threads == 1 else None,
        architecture=environment.architecture,
        clock_ghz=None,
    )


def _silicon(environment: Environment) -> str | None:
    if environment.cpu_vendor is None or environment.cpu_family is None:
        return None
    return silicon_of(
        environment.cpu_vendor,
        environment.cpu_family,
        environment.cpu_model_number or 0,
        environment.cpu_stepping,
    )


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
        provider="aws",
    )
