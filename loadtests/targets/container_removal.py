"""A container that its run could not remove: found by its name, through whoever can."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

from loadtests.targets.container_engine import connect, explanation, is_not_found

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.targets.container_engine import Engine

__all__ = ["remove_container", "removed_by"]

REMOVED_WITHIN_S = 60.0


def remove_container(name: str, socket: Path) -> list[str]:
    """Kill and remove it where it exists; says what was removed.

    socket: the engine's when the container was made. OSError where nobody can be asked: that it
    is gone is then not known.
    """
    engine = connect(socket)
    if engine is not None:
        with closing(engine):
            return removed_by(engine, name)
    podman = shutil.which("podman")
    if podman is None or "podman" not in socket.name:
        raise OSError(f"no container engine answers at {socket}")
    return _removed_by_podman(podman, name)


def removed_by(engine: Engine, name: str) -> list[str]:
    """OSError in the engine's words where it does not."""
    try:
        engine.client.remove_container(name, force=True, v=True)
    except OSError as problem:
        if is_not_found(problem):
            return []
        raise OSError(explanation(problem)) from problem
    return [f"container {name}"]


def _removed_by_podman(podman: str, name: str) -> list[str]:
    """Its program needs no service, and sees the same containers."""
    listed = _run(podman, "ps", "--all", "--quiet", "--filter", f"name=^{name}$")
    if not listed.strip():
        return []
    _run(podman, "rm", "--force", "--volumes", "--time", "0", name)
    return [f"container {name}"]


def _run(*command: str) -> str:
    try:
        ended = subprocess.run(  # noqa: S603 - the user's own podman
            command, capture_output=True, text=True, timeout=REMOVED_WITHIN_S, check=True
        )
    except subprocess.SubprocessError as problem:
        wrote = getattr(problem, "stderr", None) or str(problem)
        raise OSError(f"{command[0]} {command[1]}: {wrote}") from problem
    return ended.stdout
