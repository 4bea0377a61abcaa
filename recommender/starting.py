"""A source becomes a target: which server, in which environment, of which size, how deployed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests import sample_container
from loadtests.accelerators import granted
from loadtests.accelerators.target import GrantedTarget
from loadtests.fleets.recovery import Recovery
from loadtests.serverless.spec import STARTUP_LIMIT_S
from loadtests.targets.container import ContainerTarget
from loadtests.targets.container_spec import Build, ContainerSpec
from loadtests.targets.limits import capabilities
from loadtests.targets.pipeline import Pipeline, PipelineTarget
from loadtests.targets.process import ProcessTarget
from loadtests.targets.process_spec import ProcessSpec
from loadtests.targets.protocol import Sizing
from loadtests.targets.readiness import try_payload
from loadtests.targets.replicas import ReplicatedTarget
from loadtests.targets.scaled import ScaledTarget
from loadtests.targets.serverless import ServerlessTarget
from loadtests.targets.spot import SpotTarget
from loadtests.targets.url import UrlTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from loadtests.accelerators import Accelerator, Grant
    from loadtests.fleets.interruptions import Interruptions
    from loadtests.gateway.settings import Shape
    from loadtests.journal import Journal
    from loadtests.serverless.spec import ServerlessSpec
    from loadtests.targets.fleet import Make
    from loadtests.targets.protocol import Target
    from loadtests.targets.replicas import Replicas
    from loadtests.targets.scaled import Scaling
    from loadtests.workload import Workload
    from recommender.request import Source

__all__ = ["Deployment", "Site", "deployed", "generator_cores", "prepare", "try_payloads"]

TRIED_PAYLOADS = 20


@dataclass(frozen=True, slots=True)
class Deployment:
    """How a source is served. vcpus: of each server; for a URL, what it runs on.

    interruptions: of the replicas, or of the only one. good_within_s: a slower answer is no good
    one. serverless: brings its own size. scaling: of the replicas, which are then the most.
    """

    vcpus: float | None = None
    replicas: Replicas | None = None
    interruptions: Interruptions | None = None
    good_within_s: float | None = None
    serverless: ServerlessSpec | None = None
    scaling: Scaling | None = None
    accelerator: Accelerator | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """Where it is served. folder: its own, made here. told: what takes long, in words.

    grant: a share of a GPU, for every server.
    """

    folder: Path
    cache_folder: Path
    journal: Journal
    told: Callable[[str], None]
    grant: Grant | None = None

    def room(self, name: str) -> Site:
        return replace(self, folder=self.folder / name)


def prepare(source: Source, cache_folder: Path) -> None:
    """What is made once, before anything is started: the sample model is trained at first use."""
    for leaf in source.leaves:
        _model_folder(leaf, cache_folder)


@contextmanager
def deployed(source: Source, deployment: Deployment, site: Site) -> Iterator[Target]:
    """Not started yet. What it needs beside itself, a share of a GPU, is there for as long.

    Raises LimitUnavailable where this machine has no such accelerator.
    """
    if source.kind != "url":
        site.folder.mkdir(parents=True)
    if deployment.accelerator is None:
        yield _target(source, deployment, site)
        return
    with granted(deployment.accelerator, site.journal, site.folder / "accelerator") as grant:
        yield _target(source, deployment, replace(site, grant=grant))


def _target(source: Source, deployment: Deployment, site: Site) -> Target:
    spec = deployment.serverless
    if spec is not None:
        source = _started_within(source, STARTUP_LIMIT_S)
        return ServerlessTarget(spec, _make(source, spec.sizing, site), site.folder, site.journal)
    make = _make(source, Sizing(deployment.vcpus, source.memory_gib), site)
    replicas, interruptions = deployment.replicas, deployment.interruptions
    if replicas is None:
        return make(0, None)
    if deployment.scaling is not None:
        fleet = (replicas, deployment.scaling)
        return ScaledTarget(make, fleet, site.folder, site.journal)
    if interruptions is None:
        return ReplicatedTarget(make, replicas, site.folder, site.journal)
    recovery = Recovery(limit_s=deployment.good_within_s)
    return SpotTarget(make, (replicas, interruptions), site.folder, site.journal, recovery)


def _started_within(source: Source, limit_s: float) -> Source:
    startup_s = min(source.startup_timeout_s, limit_s)
    return source.model_copy(update={"startup_timeout_s": startup_s})


def _make(source: Source, sizing: Sizing, site: Site) -> Make:
    """Servers by number, each with a folder of its own."""

    def make(number: int, cores: tuple[int, ...] | None) -> Target:
        return _one(source, sizing, site.room(f"server-{number}"), cores)

    return make


def _one(source: Source, sizing: Sizing, site: Site, cores: tuple[int, ...] | None) -> Target:
    """A server, or the line of them that stands for one."""
    match source.kind:
        case "url":
            return UrlTarget(source.where or "", sizing)
        case "pipeline" | "fan_out":
            stages = {
                name: _make(stage, sizing, site.room(name))
                for name, stage in source.stages.items()
            }
            shape: Shape = "line" if source.kind == "pipeline" else "fan_out"
            pipeline = Pipeline(stages, shape, sizing.vcpus, cores=cores)
            return PipelineTarget(pipeline, site.folder, site.journal)
        case _:
            site.folder.mkdir(parents=True)
            server = _server(source, sizing, site, cores)
            return server if site.grant is None else GrantedTarget(server, site.grant)


def _server(
    source: Source, sizing: Sizing, site: Site, cores: tuple[int, ...] | None
) -> ContainerTarget | ProcessTarget:
    given = {} if site.grant is None else dict(site.grant.environment)
    source = source.model_copy(update={"environment": source.environment | given})
    if source.kind in ("image", "build"):
        spec = _container_spec(source, site.grant)
        return ContainerTarget(spec, sizing, site.folder, site.journal, cores, site.told)
    process = _process_spec(source, _model_folder(source, site.cache_folder))
    return ProcessTarget(process, sizing, site.folder, site.journal, cores)


def _model_folder(source: Source, cache_folder: Path) -> Path | None:
    """The artefacts to hand to the server."""
    match source.kind:
        case "sample":
            return sample_container.cached_model(cache_folder)
        case "model":
            return Path(source.where or ".").absolute()
        case _:
            return None if source.artefacts is None else Path(source.artefacts).absolute()


def _process_spec(source: Source, model_dir: Path | None) -> ProcessSpec:
    environment: Mapping[str, str] = source.environment
    command: str | tuple[str, ...] = source.where or ""
    if source.kind in ("sample", "model") and model_dir is not None:
        command = sample_container.serve_command()
        environment = sample_container.serve_environment(model_dir) | dict(source.environment)
    return ProcessSpec(
        command=command,
        environment=environment,
        model_dir=model_dir,
        startup_timeout_s=source.startup_timeout_s,
    )


def _container_spec(source: Source, grant: Grant | None) -> ContainerSpec:
    where = source.where or ""
    image = Build(Path(where), source.build_arguments) if source.kind == "build" else where
    return ContainerSpec(
        image=image,
        environment=source.environment,
        model_dir=None if source.artefacts is None else Path(source.artefacts).absolute(),
        startup_timeout_s=source.startup_timeout_s,
        gpus=None if grant is None else "all",
        shared=grant.folder if grant is not None else None,
    )


def try_payloads(target: Target, workload: Workload) -> None:
    """Each of the first twenty alone. Raises PayloadRejected before any load is sent."""
    for payload in workload.payloads[:TRIED_PAYLOADS]:
        try_payload(
            target,
            payload.body,
            content_type=payload.content_type or workload.content_type,
            path=workload.path,
        )


def generator_cores(*targets: Target) -> tuple[int, ...]:
    """Those the targets leave; all where they leave none, or their cores are not ours to know."""
    cores = capabilities().cores
    taken = {
        core
        for target in targets
        if (limits := target.describe().limits) is not None
        for core in limits.cores
    }
    return tuple(core for core in cores if core not in taken) or cores
