"""How long a model takes on a GPU that nobody measured it on."""

from recommender.performance.accelerators.cpu_roofline import CpuRoofline
from recommender.performance.accelerators.roofline import (
    GpuHoldout,
    GpuRoofline,
    RegimeFit,
    RooflineParameters,
)
from recommender.performance.accelerators.terms import Device, HostSpeeds, Passes

__all__ = [
    "CpuRoofline",
    "Device",
    "GpuHoldout",
    "GpuRoofline",
    "HostSpeeds",
    "Passes",
    "RegimeFit",
    "RooflineParameters",
]
