"""NVIDIA accelerators: what there are, what they use, and how a target gets a share of one.

    with granted(Accelerator(share_ratio=0.25), journal, folder) as grant:
        spec = ProcessSpec(command, environment=environment | grant.environment)
        with running(ProcessTarget(spec, ...)) as setup:
            ...

The grant's environment is all a target needs, whatever its kind; it lasts as long as the block.
No GPU is ever divided anew, reset, or set otherwise than it was found.
"""

from __future__ import annotations

from loadtests.accelerators.devices import (
    Found,
    Gpu,
    MigInstance,
    describe_accelerators,
    find_gpus,
)
from loadtests.accelerators.granting import Grant, granted
from loadtests.accelerators.meters import GpuMeters
from loadtests.accelerators.shares import Accelerator, SharePlan, plan_share
from loadtests.accelerators.sizes import ELASTIC_INFERENCE, ElasticSize

__all__ = [
    "ELASTIC_INFERENCE",
    "Accelerator",
    "ElasticSize",
    "Found",
    "Gpu",
    "GpuMeters",
    "Grant",
    "MigInstance",
    "SharePlan",
    "describe_accelerators",
    "find_gpus",
    "granted",
    "plan_share",
]
