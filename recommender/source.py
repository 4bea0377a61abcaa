"""The machine that measurements were taken on, as the speed prior sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.performance.silicon import silicon_of
from recommender.performance.speed_prior import Machine

if TYPE_CHECKING:
    from loadtests.environment import Environment

__all__ = ["silicon_of_environment", "source_machine"]


def source_machine(environment: Environment) -> Machine:
    """One vCPU of it.

    On a machine with two hardware threads a core nobody says whether a sibling was busy, which
    widens what follows; with one there is no sibling.
    """
    threads = environment.threads_per_core
    return Machine(
        vcpus=1.0,
        silicon=silicon_of_environment(environment),
        threads_per_core=threads if threads == 1 else None,
        architecture=environment.architecture,
        clock_ghz=None,
    )


def silicon_of_environment(environment: Environment) -> str | None:
    if environment.cpu_vendor is None or environment.cpu_family is None:
        return None
    return silicon_of(
        environment.cpu_vendor,
        environment.cpu_family,
        environment.cpu_model_number or 0,
        environment.cpu_stepping,
    )
