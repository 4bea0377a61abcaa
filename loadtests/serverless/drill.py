"""Cold starts alone: from nothing to the first answer, one after another, with nothing else on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from loadtests.errors import UsageError
from loadtests.intervals import Interval
from loadtests.serverless.report import ColdStartFigures, cold_start_figures, mean_interval
from loadtests.targets.readiness import try_payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.targets.protocol import ScalesFromZero
    from loadtests.workload import Workload

__all__ = ["ColdStartDrill", "measure_cold_starts"]

WARM_TRIES = 5


class ColdStartDrill(BaseModel):
    """latency: what the caller of a cold start waited for its answer; warm: of a warm request.

    Means with 95 % intervals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    starts: ColdStartFigures
    latency_s: Interval
    warm_latency_s: Interval

    @property
    def penalty_s(self) -> float | None:
        """What a cold start adds to a request."""
        cold_s, warm_s = self.latency_s.value, self.warm_latency_s.value
        return None if cold_s is None or warm_s is None else cold_s - warm_s


def measure_cold_starts(
    target: ScalesFromZero,
    workload: Workload,
    times: int,
    progress: Callable[[int], None] = lambda _: None,
) -> ColdStartDrill:
    """progress: told the number of each start before it. Raises as `try_payload` does.

    With instances that are always ready there is no cold start of one request alone: UsageError.
    """
    cold_s: list[float] = []
    warm_s: list[float] = []
    before = len(target.cold_starts())
    for number in range(times):
        progress(number + 1)
        target.scale_to_zero()
        cold_s.append(_ask(target, workload, number))
        warm_s += [_ask(target, workload, number) for _ in range(WARM_TRIES)]
    starts = target.cold_starts()[before:]
    if len(starts) < times:
        raise UsageError(
            f"{times} requests to a target scaled to zero started {len(starts)} instances",
            hint="a cold start needs provisioned concurrency 0",
        )
    return ColdStartDrill(
        starts=cold_start_figures(starts),
        latency_s=mean_interval(cold_s),
        warm_latency_s=mean_interval(warm_s),
    )


def _ask(target: ScalesFromZero, workload: Workload, number: int) -> float:
    """Seconds to the answer of one payload, each in turn."""
    payload = workload.payloads[number % len(workload.payloads)]
    answer = try_payload(
        target,
        payload.body,
        content_type=payload.content_type or workload.content_type,
        path=workload.path,
    )
    return answer.seconds
