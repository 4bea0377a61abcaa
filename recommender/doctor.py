"""What this machine can do, found out without changing anything."""

from __future__ import annotations

import os
import resource
import shutil
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from loadtests.accelerators import describe_accelerators, find_gpus
from loadtests.environment import capture_environment
from loadtests.errors import EngineUnavailable
from loadtests.targets.container_engine import open_engine
from loadtests.targets.limits import capabilities
from recommender.deploy.credentials import find_credentials
from recommender.placement.here import placed_here
from recommender.quick import default_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from loadtests.journal import Journal
    from pricing import PriceBook

__all__ = ["Finding", "Folders", "Level", "examine"]

FEWEST_FILES = 1024
LEAST_DISK_GIB = 0.5


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """advice: what to do about it, or what is lost without it."""

    level: Level
    what: str
    found: str
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Folders:
    data: Path
    cache: Path


def examine(
    folders: Folders, journal: Journal, book: PriceBook, today: date
) -> tuple[Finding, ...]:
    return tuple(
        finding
        for group in (
            _machine(folders.cache, today),
            _limits(),
            _files(folders.data),
            _containers(journal),
            _accelerator(),
            _aws(),
            _prices(book, today),
            _leftovers(journal),
        )
        for finding in group
    )


def _machine(cache_folder: Path, today: date) -> Iterator[Finding]:
    environment = capture_environment()
    placement = placed_here(cache_folder, environment, today)
    found = f"{environment.cpu_name or 'a CPU that gives no name'}: {placement.text}"
    if placement.rates is None:
        found = f"{found} (by its name alone: the benchmarks failed)"
    if placement.silicon is None:
        yield Finding(Level.NOTE, "silicon", found, "wider intervals on other machines")
    else:
        yield Finding(Level.OK, "silicon", found)
    yield Finding(Level.OK, "memory", f"{environment.memory_gib:.1f} GiB")
    yield Finding(
        Level.OK, "software", f"Python {environment.python}, Locust {environment.locust}"
    )


def _limits() -> Iterator[Finding]:
    found = capabilities()
    cores = len(found.cores)
    sizes = ", ".join(f"{size:g}" for size in default_sizes(cores))
    text = f"{cores} cores; `quick` measures at {sizes} vCPUs"
    if cores > 2:  # noqa: PLR2004 - one for the generator beside two sizes
        yield Finding(Level.OK, "cores", text)
    else:
        yield Finding(
            Level.NOTE, "cores", text, "the largest size shares its cores with the load generator"
        )
    if found.groups is None:
        yield Finding(
            Level.NOTE,
            "control groups",
            "none writable",
            "CPU sizes by affinity, memory by watching; part of a core needs root or delegation",
        )
    else:
        yield Finding(
            Level.OK,
            "control groups",
            f"{found.groups.version} ({', '.join(found.groups.controllers)})",
        )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    level = Level.OK if soft >= FEWEST_FILES else Level.PROBLEM
    yield Finding(
        level, "open files", f"{soft} at once", None if level is Level.OK else "ulimit -n 4096"
    )


def _files(data_folder: Path) -> Iterator[Finding]:
    place = next(folder for folder in (data_folder, *data_folder.parents) if folder.exists())
    free_gib = shutil.disk_usage(place).free / 2**30
    if not os.access(place, os.W_OK):
        yield Finding(
            Level.PROBLEM, "store", f"{place} is not writable", "name another with --store"
        )
    elif free_gib < LEAST_DISK_GIB:
        yield Finding(Level.PROBLEM, "store", f"{free_gib:.2g} GiB free", "free some disk space")
    else:
        yield Finding(Level.OK, "store", f"{data_folder}, {free_gib:.0f} GiB free")


def _containers(journal: Journal) -> Iterator[Finding]:
    try:
        with closing(open_engine(journal)) as engine:
            name = engine.name
            unlimited = [
                what
                for what, can in (("CPU", engine.limits_cpu), ("memory", engine.limits_memory))
                if not can
            ]
    except EngineUnavailable as error:
        yield Finding(Level.NOTE, "containers", str(error), error.hint)
        return
    if unlimited:
        yield Finding(
            Level.NOTE,
            "containers",
            f"{name} answers, and cannot limit {' or '.join(unlimited)}",
            "images run at the size of the whole machine",
        )
    else:
        yield Finding(Level.OK, "containers", f"{name} answers")


def _accelerator() -> Iterator[Finding]:
    found = find_gpus()
    for line in describe_accelerators(found):
        if found.missing is None:
            yield Finding(Level.OK, "GPU", line)
        else:
            yield Finding(
                Level.NOTE,
                "GPU",
                line,
                "GPU options need a measurement on a machine that has one (--url, --measured-on)",
            )


def _aws() -> Iterator[Finding]:
    found = find_credentials()
    if found is None:
        yield Finding(Level.NOTE, "AWS credentials", "none", "not needed: everything is local")
    else:
        yield Finding(Level.OK, "AWS credentials", f"found ({found}), not tried")


def _prices(book: PriceBook, today: date) -> Iterator[Finding]:
    age = book.age_days(today)
    text = f"book {book.name}, {age} days old, {len(book.regions)} regions"
    if book.is_stale(today):
        yield Finding(
            Level.NOTE, "prices", text, "prices may have moved since: recommender prices refresh"
        )
    else:
        yield Finding(Level.OK, "prices", text)


def _leftovers(journal: Journal) -> Iterator[Finding]:
    count = len(journal.leftovers())
    if count:
        yield Finding(
            Level.PROBLEM, "leftovers", f"{count} of crashed runs", "run `recommender cleanup`"
        )
    else:
        yield Finding(Level.OK, "leftovers", "none")
