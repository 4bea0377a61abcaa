"""What went on behind a gateway of ours during a run, for each kind of target that has one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loadtests.fleets.pipeline import PipelineReport
from loadtests.fleets.replicas import ReplicasReport
from loadtests.fleets.spot import SpotReport
from loadtests.serverless.report import ServerlessMeasured

__all__ = ["Inside"]

Inside = Annotated[
    PipelineReport | ReplicasReport | ServerlessMeasured | SpotReport, Field(discriminator="kind")
]
