"""One server as it was measured at one size, with its cores to itself and the host at one pace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadtests.pace import middle_pace_s
from recommender.performance.service_demand import ServiceDemand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.modes.capacity import Capacity

__all__ = ["MeasuredSize", "at_one_pace"]


@dataclass(frozen=True)
class MeasuredSize:
    """cpu_s_per_request, memory_peak_bytes: None where the target's use could not be seen.

    available_ratio: share of its vCPUs that the load generator left it at saturation.
    alone_mean_s: of one request at a time, as a client saw it; None where nobody looked.
    """

    vcpus: float
    capacity: Capacity
    cpu_s_per_request: float | None
    memory_peak_bytes: int | None
    setup_s: float | None
    available_ratio: float = 1.0
    alone_mean_s: float | None = None

    def at_pace(self, pace_s: float) -> MeasuredSize:
        """As it would have been measured on a host of that pace (`Pace.mean_s`)."""
        model = self.capacity.model
        if model.host_work_s is None:
            return self
        speed = model.host_work_s / pace_s
        rates, times = (
            float(ratio(speed)) for ratio in (self.demand.throughput_ratio, self.demand.time_ratio)
        )
        capacity = replace(
            self.capacity,
            rate_rps=self.capacity.rate_rps * rates,
            low_rps=self.capacity.low_rps * rates,
            high_rps=self.capacity.high_rps * rates,
            best_s=self.capacity.best_s * times,
            model=replace(
                model,
                service_s=model.service_s * times,
                saturation_rps=model.saturation_rps * rates,
                host_work_s=pace_s,
            ),
        )
        cpu_s, alone_s = self.cpu_s_per_request, self.alone_mean_s
        return replace(
            self,
            capacity=capacity,
            cpu_s_per_request=None if cpu_s is None else cpu_s / speed,
            alone_mean_s=None if alone_s is None else alone_s * times,
        )

    @property
    def saturation_rps(self) -> float:
        """With its cores to itself: what the generator took is given back."""
        return self.capacity.model.saturation_rps / self._hindrance

    @property
    def service_mean_s(self) -> float:
        return self.capacity.model.mean_s * self._hindrance

    @property
    def _hindrance(self) -> float:
        """Of its throughput, what was left: all, for a server that had CPU to spare as it was."""
        left = ServiceDemand.of(
            vcpus=self.vcpus * self.available_ratio,
            saturation_rps=self.capacity.model.saturation_rps,
            service_mean_s=self.capacity.model.mean_s,
            cpu_s=self.cpu_s_per_request,
        )
        return self.available_ratio if left.busy_ratio >= 1 else 1.0

    @property
    def delay_s(self) -> float:
        """0 where one request alone was no slower than saturated throughput says."""
        alone_s = self.alone_mean_s
        if alone_s is None:
            return 0.0
        return max(alone_s - self.capacity.model.mean_s, 0.0)

    @property
    def demand(self) -> ServiceDemand:
        return ServiceDemand.of(
            vcpus=self.vcpus,
            saturation_rps=self.saturation_rps,
            service_mean_s=self.service_mean_s,
            cpu_s=self.cpu_s_per_request,
        )


def at_one_pace(sizes: Sequence[MeasuredSize]) -> tuple[MeasuredSize, ...]:
    """As if the host had been as fast for all of them: at the middle of their paces.

    A size measured while the host was slow else looks as if more CPUs gained nothing.
    """
    pace_s = middle_pace_s(each.capacity.model.host_work_s for each in sizes)
    return tuple(sizes if pace_s is None else (each.at_pace(pace_s) for each in sizes))
