"""What a measurement used, over time."""

from __future__ import annotations

from loadtests.resources.recorder import ResourceMonitor
from loadtests.resources.series import Level, ResourceSeries, ResourceSummary

__all__ = ["Level", "ResourceMonitor", "ResourceSeries", "ResourceSummary"]
