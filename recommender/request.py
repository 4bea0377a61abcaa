"""What `recommender quick` was asked: stored with the run, so that it can go on after a crash."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from loadtests import sample_container
from loadtests.capacity import SearchSettings
from loadtests.traffic import parse_traffic
from loadtests.workload import Payload, Workload, read_payloads
from recommender.demand import Constraints, Demand, TrafficFacts, WorkloadFacts
from recommender.errors import BadRequest

__all__ = ["KIND", "QuickRequest", "Source"]

KIND = "quick"  # of the runs it is stored with


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Frozen):
    """What is measured. where: the command, the URL or the model folder; None for the sample."""

    kind: Literal["sample", "command", "model", "url"]
    where: str | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    memory_gib: float | None = None
    startup_timeout_s: float = 480.0

    @property
    def text(self) -> str:
        return "the sample container" if self.where is None else self.where


class QuickRequest(_Frozen):
    """One question, as it was asked.

    sizes: vCPUs to measure at; None lets the machine decide. vcpus: what a URL runs on. payloads:
    file patterns; empty for the sample's own. measure_s: longest open-loop run.
    """

    source: Source
    payloads: tuple[str, ...] = ()
    content_type: str | None = None
    path: str = "/invocations"
    workload_digest: str | None = None
    traffic: TrafficFacts
    slo: str
    constraints: Constraints = Constraints()
    sizes: tuple[float, ...] | None = None
    vcpus: float | None = None
    measured_on: str | None = None
    measure_s: float = Field(default=10.0, gt=0)
    seed: int = 1

    @property
    def settings(self) -> SearchSettings:
        return SearchSettings(confirm_s=self.measure_s, seed=self.seed)

    def workload(self) -> Workload:
        """Reads the payloads. Raises UsageError, and BadRequest when they have changed since."""
        found = self._read()
        if self.workload_digest not in (None, found.digest):
            raise BadRequest(
                "the payload files are not those the run began with",
                hint="put them back, or start a new run",
            )
        return found

    def _read(self) -> Workload:
        if self.payloads:
            return read_payloads(self.payloads, self.content_type, self.path)
        if self.source.kind != "sample":
            raise BadRequest(
                "there is no payload to send",
                hint="name a file that holds one request body: --payload FILE",
            )
        bodies = sample_container.payloads()
        named = tuple(Payload(f"digit {n}", body) for n, body in enumerate(bodies))
        return Workload(named, sample_container.CONTENT_TYPE)

    def demand(self, workload: Workload, response_bytes_mean: float | None) -> Demand:
        return Demand(
            workload=WorkloadFacts(
                digest=workload.digest,
                content_type=workload.content_type,
                payloads=len(workload.payloads),
                request_bytes_mean=workload.mean_bytes,
                request_bytes_largest=workload.largest_bytes,
                response_bytes_mean=response_bytes_mean,
            ),
            traffic=self.traffic,
            slo=self.slo,
            constraints=self.constraints,
        )


def traffic_facts(text: str) -> TrafficFacts:
    return TrafficFacts.of(parse_traffic(text))
