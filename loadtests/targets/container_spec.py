"""The user's container: which image, how it is called, what it is given."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from loadtests.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Build", "ContainerSpec"]

SERVING_PORT = 8080  # where SageMaker looks for a container
SERVE = ("serve",)  # `docker run IMAGE serve`
DOCKERFILE = "Dockerfile"
LARGEST_PORT = 65535


def _nothing() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Build:
    """An image to be built. folder: holds a Dockerfile and what that copies."""

    folder: Path
    arguments: Mapping[str, str] = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        if not (self.folder / DOCKERFILE).is_file():
            raise UsageError(
                f"there is no {DOCKERFILE} in {self.folder}",
                hint="name the folder that holds it, or an image that is built already",
            )

    def describe(self) -> str:
        return f"the {DOCKERFILE} in {self.folder}"


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What is run and how it is treated.

    command: the image's arguments, in the place of its CMD. `{port}` in it, and in the values of
        `environment`, becomes the port to listen on inside the container.
    environment: wins over everything we set.
    model_dir: /opt/ml/model inside, read-only; without it the image's own stays.
    port: where the server listens unless it is told otherwise by SAGEMAKER_BIND_TO_PORT.
    gpus: how many, or "all".
    shared: a folder that is at the same path inside, by which processes in and out of the
        container talk (CUDA's MPS); they then share the other means of that (IPC) as well.
    stop_grace_s: between SIGTERM and SIGKILL; SageMaker allows 30.
    """

    image: str | Build
    command: tuple[str, ...] = SERVE
    environment: Mapping[str, str] = field(default_factory=_nothing)
    model_dir: Path | None = None
    port: int = SERVING_PORT
    gpus: int | Literal["all"] | None = None
    shared: Path | None = None
    startup_timeout_s: float = 480.0
    ping_timeout_s: float = 2.0
    stop_grace_s: float = 10.0
    ping_path: str = "/ping"

    def __post_init__(self) -> None:
        if isinstance(self.image, str) and not self.image.strip():
            raise UsageError("the image has no name", hint='for example "my-model:latest"')
        if self.model_dir is not None and not self.model_dir.is_dir():
            raise UsageError(f"{self.model_dir} is not a folder")
        if not 0 < self.port <= LARGEST_PORT:
            raise UsageError(f"{self.port} is no port a container can listen on")
        if isinstance(self.gpus, int) and self.gpus < 1:
            raise UsageError(f"{self.gpus} GPUs cannot be given; leave it out for none")

    def command_line(self, image: str) -> str:
        """As a person would start it."""
        return shlex.join((image, *self.command))
