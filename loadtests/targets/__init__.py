"""Systems under test: started, sized, watched and stopped through one protocol."""

from __future__ import annotations

from loadtests.targets.container import ContainerTarget
from loadtests.targets.container_spec import Build, ContainerSpec
from loadtests.targets.limits import Capabilities, Size, capabilities
from loadtests.targets.process import ProcessTarget
from loadtests.targets.process_spec import ProcessSpec
from loadtests.targets.protocol import (
    Limits,
    Setup,
    Sizing,
    Target,
    TargetDescription,
    Timeouts,
    Usage,
    Waiting,
    running,
)
from loadtests.targets.readiness import Answer, exchange, try_payload
from loadtests.targets.url import UrlTarget

__all__ = [
    "Answer",
    "Build",
    "Capabilities",
    "ContainerSpec",
    "ContainerTarget",
    "Limits",
    "ProcessSpec",
    "ProcessTarget",
    "Setup",
    "Size",
    "Sizing",
    "Target",
    "TargetDescription",
    "Timeouts",
    "UrlTarget",
    "Usage",
    "Waiting",
    "capabilities",
    "exchange",
    "running",
    "try_payload",
]
