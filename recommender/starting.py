"""A source becomes a target: which command, in which environment, of which size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loadtests import sample_container
from loadtests.targets.limits import capabilities
from loadtests.targets.process import ProcessTarget
from loadtests.targets.process_spec import ProcessSpec
from loadtests.targets.protocol import Sizing
from loadtests.targets.readiness import try_payload
from loadtests.targets.url import UrlTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.journal import Journal
    from loadtests.targets.protocol import Target
    from loadtests.workload import Workload
    from recommender.request import Source

__all__ = ["generator_cores", "model_folder", "target_of", "try_payloads"]

TRIED_PAYLOADS = 20


def model_folder(source: Source, cache_folder: Path) -> Path | None:
    """The artefacts to hand to the server. Trains the sample model at first use."""
    match source.kind:
        case "sample":
            return sample_container.cached_model(cache_folder)
        case "model":
            return Path(source.where or ".")
        case "command" | "url":
            return None


def target_of(
    source: Source, vcpus: float | None, folder: Path, model_dir: Path | None, journal: Journal
) -> Target:
    """Not started yet. folder: its own, made here; vcpus: for a URL, what it runs on."""
    if source.kind == "url":
        return UrlTarget(source.where or "", Sizing(vcpus=vcpus))
    folder.mkdir(parents=True)
    return ProcessTarget(
        _process_spec(source, model_dir),
        Sizing(vcpus=vcpus, memory_gib=source.memory_gib),
        folder,
        journal,
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
