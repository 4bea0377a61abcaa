"""The container engine of this machine: Docker, or Podman, which speaks the same language.

One that runs is used; where none does and Podman is installed, a service of our own is started
and ends with the `Engine` that asked for it.
"""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.errors import EngineUnavailable, TargetError
from loadtests.targets.container_service import PodmanService

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker import APIClient

    from loadtests.journal import Journal

__all__ = ["Engine", "asking", "connect", "explanation", "is_not_found", "open_engine", "sockets"]

ANSWER_WITHIN_S = 120
NOT_FOUND = 404
ANY_VERSION = "1.41"  # not sent with a question for the version
SCHEME = "unix://"


class Engine:
    """A connection, and what the engine says it can do; it is an `Enforcer` of sizes."""

    def __init__(self, client: APIClient, socket: Path, version: Mapping[str, Any]) -> None:
        """version: as the engine answers to /version."""
        self.client = client
        self.socket = socket
        self._version = version
        components = [part["Name"] for part in self._version.get("Components") or []]
        self.is_podman = any(name.startswith("Podman") for name in components)
        self._service: PodmanService | None = None

    @property
    def name(self) -> str:
        return f"{'Podman' if self.is_podman else 'Docker'} {self._version['Version']}"

    @property
    def architecture(self) -> str:
        """As images name it: amd64, arm64, ..."""
        return str(self._version["Arch"])

    @property
    def shares_our_kernel(self) -> bool:
        """No for Docker Desktop, whose containers live in a virtual machine."""
        return self._version.get("KernelVersion") == os.uname().release

    @cached_property
    def _facts(self) -> Mapping[str, Any]:
        """Podman takes most of a second for it."""
        facts: Mapping[str, Any] = self.client.info()
        return facts

    @property
    def version(self) -> str:
        return f"cgroup v{self._facts.get('CgroupVersion', 1)}"

    @property
    def limits_cpu(self) -> bool:
        return bool(self._facts.get("CpuCfsQuota")) and bool(self._facts.get("CPUSet"))

    @property
    def limits_memory(self) -> bool:
        return bool(self._facts.get("MemoryLimit"))

    def image(self, name: str) -> Mapping[str, Any]:
        """OSError where there is none."""
        found: Mapping[str, Any] = self.client.inspect_image(name)  # type: ignore[no-untyped-call]
        return found

    def owning(self, service: PodmanService) -> Engine:
        self._service = service
        return self

    def close(self) -> None:
        self.client.close()
        if self._service is not None:
            self._service.stop()


def sockets(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where an engine may listen, the one that the user named alone, else the usual places."""
    named = environment.get("DOCKER_HOST")
    if named:
        if not named.startswith(SCHEME):
            raise EngineUnavailable(
                f"DOCKER_HOST is {named}: the containers would run on another machine, and the "
                "load would measure the way there",
                hint="unset DOCKER_HOST, or give the socket of an engine here: unix:///path",
            )
        return (Path(named.removeprefix(SCHEME)),)
    own = environment.get("XDG_RUNTIME_DIR")
    mine = () if not own else (Path(own, "docker.sock"), Path(own, "podman/podman.sock"))
    return (Path("/var/run/docker.sock"), *mine, Path("/run/podman/podman.sock"))


def connect(path: Path) -> Engine | None:
    """None where no engine answers, or not to this user."""
    if not _listens(path):
        return None
    from docker import APIClient  # noqa: PLC0415 - a third of a second that few commands need
    from docker.errors import DockerException  # noqa: PLC0415

    url = f"{SCHEME}{path}"
    try:
        # "auto" would ask for this too, and Podman takes a third of a second to answer.
        with closing(APIClient(url, version=ANY_VERSION, timeout=ANSWER_WITHIN_S)) as client:
            facts = client.version(api_version=False)
    except (DockerException, OSError):
        return None
    client = APIClient(url, version=facts["ApiVersion"], timeout=ANSWER_WITHIN_S)
    return Engine(client, path, facts)


def _listens(path: Path) -> bool:
    """Docker's client would leave a socket open where nobody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def open_engine(journal: Journal, environment: Mapping[str, str] = os.environ) -> Engine:
    """To be closed. Raises EngineUnavailable, saying what was looked for."""
    places = sockets(environment)
    for path in places:
        if (engine := connect(path)) is not None:
            return engine
    looked = ", ".join(map(str, places))
    podman = None if "DOCKER_HOST" in environment else shutil.which("podman")
    if podman is None:
        raise EngineUnavailable(
            f"no container engine answers here: looked for a socket at {looked}"
            + ("" if "DOCKER_HOST" in environment else ", and for the program podman"),
            hint="start Docker or Podman (may this user use its socket?), or install podman; "
            "a model server can be measured as a plain process too",
        )
    return _with_own_service(podman, journal)


def _with_own_service(podman: str, journal: Journal) -> Engine:
    service = PodmanService(podman, journal)
    try:
        path = service.start()
        while (engine := connect(path)) is None:
            service.wait_a_moment()
    except BaseException:
        service.stop()
        raise
    return engine.owning(service)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """A refusal in the engine's own words, after what was asked of it."""
    try:
        yield
    except OSError as problem:  # an APIError is one too, by way of requests
        raise TargetError(f"{what}: {explanation(problem)}") from problem


def explanation(problem: OSError) -> str:
    text = getattr(problem, "explanation", None) or str(problem)
    return " ".join(str(text).split())


def is_not_found(problem: OSError) -> bool:
    response: Any = getattr(problem, "response", None)
    return getattr(response, "status_code", None) == NOT_FOUND
