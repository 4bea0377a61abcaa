"""Machines as the speed prior sees them: of the price book, of serverless, of nobody knows where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.performance.speed_prior import Machine

if TYPE_CHECKING:
    from pricing import InstanceType

__all__ = ["machine_of", "serverless_machine", "unseen_machine"]


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
