"""What `recommender quick` was asked: stored with the run, so that it can go on after a crash."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from loadtests import sample_container
from loadtests.modes.capacity import SearchSettings
from loadtests.traffic import parse_traffic
from loadtests.workload import Payload, Workload, read_payloads
from recommender.demand import Constraints, Demand, TrafficFacts, WorkloadFacts
from recommender.errors import BadRequest
from recommender.model_files import ModelFacts

__all__ = ["KIND", "QuickRequest", "Source", "SourceKind"]

KIND = "quick"  # of the runs it is stored with
SourceKind = Literal["sample", "command", "model", "url", "image", "build", "pipeline", "fan_out"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Frozen):
    """What is measured.

    where: the command, the URL, the folder of the model or of the Dockerfile (build), or the
    image; None for the sample, a pipeline and a fan-out. build_arguments: of a build. artefacts: a
    folder that an image or a command finds as /opt/ml/model. stages: of a pipeline or a fan-out,
    by name.
    """

    kind: SourceKind
    where: str | None = None
    build_arguments: dict[str, str] = Field(default_factory=dict)
    artefacts: str | None = None
    stages: dict[str, Source] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)
    memory_gib: float | None = None
    startup_timeout_s: float = 480.0

    @property
    def text(self) -> str:
        if self.stages:
            sign = " → " if self.kind == "pipeline" else " + "
            return sign.join(self.stages)
        return "the sample container" if self.where is None else self.where

    @property
    def leaves(self) -> tuple[Source, ...]:
        """The servers that it comes to."""
        if not self.stages:
            return (self,)
        return tuple(leaf for stage in self.stages.values() for leaf in stage.leaves)


class QuickRequest(_Frozen):
    """One question, as it was asked.

    sizes: vCPUs to measure at; None lets the machine decide. vcpus: what a URL runs on. payloads:
    file patterns; empty for the sample's own. measure_s: longest open-loop run. model: what its
    file says, as it was read when the run was asked for.
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
    model: ModelFacts | None = None

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
    """A rate or an hourly CSV, and how bursty where it is not Poisson: "50rps, cv 3"."""
    rate, _, cv = text.rpartition(", cv ")
    if not rate:
        return TrafficFacts.of(parse_traffic(text))
    try:
        return TrafficFacts.of(parse_traffic(rate), float(cv))
    except ValueError as error:
        raise BadRequest(
            f"traffic {text!r}: {cv!r} is no coefficient of variation",
            hint="above 0 and at most 10; 1 is Poisson, 3 comes in bursts",
        ) from error
