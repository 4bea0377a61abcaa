"""Several different servers behind one address: in a line, or all asked at once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadtests.errors import UsageError
from loadtests.fleets.pipeline import StageUse, pipeline_report
from loadtests.gateway.settings import GatewaySettings, Shape, Stage
from loadtests.targets.cores import most_asked_of_a_core, shared_out
from loadtests.targets.fleet import Seat, limits_of, notes_of, sizing_of, timeouts_of
from loadtests.targets.fronted import Fronted
from loadtests.targets.limits import capabilities
from loadtests.targets.protocol import TargetDescription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from loadtests.inside import Inside
    from loadtests.journal import Journal
    from loadtests.samples import Samples
    from loadtests.targets.fleet import Make

__all__ = ["Pipeline", "PipelineTarget"]

FEWEST, MOST = 2, 15  # SageMaker's inference pipelines


@dataclass(frozen=True, slots=True)
class Pipeline:
    """stages: by name, in their order.

    line: each stage is sent what the one before answered, with its content type.
    fan_out: all are sent the request; the answer is a JSON object of all answers by stage.
    together: the stages stand on the same cores, as the containers of SageMaker's pipelines share
    their instance, and vcpus is the instance's; else each has cores of its own, and vcpus is each
    one's. None where they are not held to a size.
    cores: the instance's, where it is one of several; None for those that its size asks for.
    """

    stages: Mapping[str, Make]
    shape: Shape = "line"
    vcpus: float | None = None
    together: bool = True
    cores: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not FEWEST <= len(self.stages) <= MOST:
            what = "pipeline" if self.shape == "line" else "fan-out"
            raise UsageError(
                f"a {what} has {FEWEST} to {MOST} stages, not {len(self.stages)}",
                hint="one server alone needs no pipeline",
            )

    @property
    def label(self) -> str:
        return (" > " if self.shape == "line" else " + ").join(self.stages)

    def shares(self) -> tuple[tuple[int, ...], ...]:
        """The cores of each stage."""
        machine, stages = capabilities(), len(self.stages)
        if self.cores is not None:
            machine = replace(machine, cores=self.cores)
        if self.together:
            return shared_out(self.vcpus, 1, machine) * stages
        return shared_out(self.vcpus, stages, machine)


class PipelineTarget(Fronted):
    """See `FrontedTarget`."""

    def __init__(self, pipeline: Pipeline, folder: Path, journal: Journal) -> None:
        super().__init__(folder, journal)
        self.pipeline = pipeline
        self._shares = pipeline.shares()
        self._seats: tuple[Seat, ...] = ()

    def launch(self) -> None:
        pipeline = self.pipeline
        stages = tuple(Stage(name) for name in pipeline.stages)
        fleet = self.assemble(GatewaySettings(stages, pipeline.shape))
        self._seats = tuple(
            Seat(next(self.numbers), name, make, cores if pipeline.vcpus else None, stage)
            for stage, ((name, make), cores) in enumerate(
                zip(pipeline.stages.items(), self._shares, strict=True)
            )
        )
        fleet.launch(self._seats)

    def describe(self) -> TargetDescription:
        pipeline, described = self.pipeline, self.fleet.described
        sizing, asked = sizing_of(described), most_asked_of_a_core(pipeline.vcpus, self._shares)
        if pipeline.together:
            sizing, asked = replace(sizing, vcpus=pipeline.vcpus), None
        return TargetDescription(
            kind="pipeline" if pipeline.shape == "line" else "fan-out",
            label=pipeline.label,
            base_url=self.fleet.gateway.base_url,
            started_from=" | ".join(each.started_from for each in described),
            sizing=sizing,
            limits=limits_of(described),
            timeouts=timeouts_of(described),
            notes=notes_of(described, asked),
        )

    def interrupt(self, *, at_once: bool) -> None:
        """See `InterruptibleTarget`: all stages, which stand on one machine."""
        if self._fleet is not None:
            self._fleet.interrupt(at_once=at_once)

    @contextmanager
    def under_load(self) -> Iterator[Callable[[Samples], Inside]]:
        fleet, pipeline = self.fleet, self.pipeline
        first, before = len(fleet.gateway.passages()), self._cpu_s()
        used: list[StageUse] = []
        yield lambda samples: pipeline_report(
            samples,
            fleet.gateway.passages(first),
            used,
            pipeline.shape,
            shared_vcpus=pipeline.vcpus if pipeline.together else None,
        )
        for seat, spent_s, had_s in zip(self._seats, self._cpu_s(), before, strict=True):
            cpu_s = None if spent_s is None or had_s is None else spent_s - had_s
            used.append(StageUse(seat.name, cpu_s, self._vcpus_of(seat)))

    def _cpu_s(self) -> list[float | None]:
        members = self.fleet.members
        return [members.target(seat.number).usage().cpu_s for seat in self._seats]

    def _vcpus_of(self, seat: Seat) -> float | None:
        described = self.fleet.members.target(seat.number).describe()
        if described.sizing.vcpus is not None or described.limits is None:
            return described.sizing.vcpus
        return float(len(described.limits.cores))
