"""What this machine can do, found out without changing anything."""

from __future__ import annotations

import os
import resource
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.environment import capture_environment
from loadtests.targets.limits import capabilities
from recommender.deploy.credentials import find_credentials
from recommender.machines import machine_here
from recommender.quick import default_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from loadtests.journal import Journal
    from pricing import PriceBook

__all__ = ["Finding", "Level", "examine"]

FEWEST_FILES = 1024
LEAST_DISK_GIB = 0.5
STALE_DAYS = 90


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


def examine(
    data_folder: Path, journal: Journal, book: PriceBook, today: date
) -> tuple[Finding, ...]:
    return tuple(
        finding
        for group in (
            _machine(),
            _limits(),
            _files(data_folder),
            _containers(),
            _accelerator(),
            _aws(),
            _prices(book, today),
            _leftovers(journal),
        )
        for finding in group
    )


def _machine() -> Iterator[Finding]:
    environment = capture_environment()
    silicon = machine_here(environment).silicon
    name = environment.cpu_name or "a CPU that gives no name"
    if silicon is None:
        yield Finding(
            Level.NOTE, "silicon", name, "not known to the speed prior: wider intervals elsewhere"
        )
    else:
        yield Finding(Level.OK, "silicon", f"{name} ({silicon})")
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


def _containers() -> Iterator[Finding]:
    for program, socket in (("docker", "/var/run/docker.sock"), ("podman", None)):
        found = shutil.which(program)
        if found is None:
            continue
        if socket is not None and not Path(socket).exists():
            yield Finding(Level.NOTE, program, "a client without an engine")
        else:
            yield Finding(Level.OK, program, "found")
        return
    yield Finding(
        Level.NOTE, "containers", "no Docker or Podman", "servers are run as plain processes"
    )


def _accelerator() -> Iterator[Finding]:
    devices = sorted(Path("/dev").glob("nvidia[0-9]*"))
    if devices:
        yield Finding(Level.OK, "GPU", f"{len(devices)} NVIDIA device{'s' * (len(devices) > 1)}")
    else:
        yield Finding(
            Level.NOTE,
            "GPU",
            "none here",
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
    if age > STALE_DAYS:
        yield Finding(Level.NOTE, "prices", text, "prices may have moved since")
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
