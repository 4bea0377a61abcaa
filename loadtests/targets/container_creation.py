"""What an engine is asked to create: the serving contract and the size, in Docker's words."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadtests.errors import LimitUnavailable
from loadtests.targets.control_groups import quota_us
from loadtests.targets.limits import GIB, limits_of
from loadtests.targets.process_spec import OPT_ML, port_variables, with_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from loadtests.targets.container_engine import Engine
    from loadtests.targets.container_image import Image
    from loadtests.targets.container_spec import ContainerSpec
    from loadtests.targets.limits import Capabilities
    from loadtests.targets.protocol import Limits, Sizing

__all__ = ["Route", "container_environment", "container_limits", "host_settings", "route_to"]

LOOPBACK = "127.0.0.1"
PODMANS_OWN_PROCESSES = 32_768  # its monitor has no more itself, so it cannot hand on more
PODMAN_HANDS_NO_GPU = (
    "Podman takes a request for GPUs through this interface, and gives none: the container would "
    "run without"
)


@dataclass(frozen=True, slots=True)
class Route:
    """How the load reaches the server. port: of 127.0.0.1. port_inside: where it must listen."""

    port: int
    port_inside: int
    network: str
    words: str

    @property
    def is_published(self) -> bool:
        return self.network != "host"


def route_to(image: Image, engine: Engine, spec: ContainerSpec, port: int) -> Route:
    """The machine's own network where the image can be told a port, else a published one.

    A published port costs each request an address translation, or a proxy where an unprivileged
    user runs the engine: CPU that a deployed container does not pay.
    """
    if image.takes_a_port and engine.shares_our_kernel:
        words = "on the machine's own network: the image listens where SAGEMAKER_BIND_TO_PORT says"
        return Route(port, port, "host", words)
    why = (
        "the image does not say that it takes a port" if engine.shares_our_kernel else engine.name
    )
    words = f"port {spec.port} published to {LOOPBACK}:{port} ({why})"
    return Route(port, spec.port, "bridge", words)


def container_limits(
    sizing: Sizing, machine: Capabilities, cores: tuple[int, ...] | None, engine: Engine
) -> Limits:
    """LimitUnavailable where the machine is too small, or the engine may not hold it to a size."""
    wanted = {
        "CPU": sizing.vcpus is not None and not engine.limits_cpu,
        "memory": sizing.memory_gib is not None and not engine.limits_memory,
    }
    if refused := " and ".join(name for name, is_refused in wanted.items() if is_refused):
        raise LimitUnavailable(
            f"{engine.name} cannot limit a container's {refused} here",
            hint="an engine that runs without root needs the control groups handed down to it "
            "(systemd: Delegate=cpu cpuset memory); or run it as root",
        )
    return limits_of(sizing, machine, cores, engine)


def host_settings(
    spec: ContainerSpec, limits: Limits, route: Route, engine: Engine, workspace: Path
) -> dict[str, Any]:
    """For docker's create_host_config."""
    settings: dict[str, Any] = {
        "network_mode": route.network,
        "binds": _binds(spec, workspace),
        "ulimits": _our_own_ulimits(),
        "device_requests": _gpus(spec, engine),
    }
    if spec.shared is not None:
        settings["ipc_mode"] = "host"
    if engine.is_podman:
        # Files are shared, not relabelled for SELinux: they are the user's own.
        settings["security_opt"] = ["label=disable"]
    if route.is_published:
        settings["port_bindings"] = {route.port_inside: (LOOPBACK, route.port)}
    if engine.limits_cpu:
        settings["cpuset_cpus"] = ",".join(map(str, limits.cores))
    if limits.quota_ratio is not None:
        settings["cpu_quota"], settings["cpu_period"] = quota_us(limits.quota_ratio)
    if limits.memory_gib is not None:
        size = round(limits.memory_gib * GIB)
        settings |= {"mem_limit": size, "memswap_limit": size}  # the sum of both: no swap
    return settings


def _binds(spec: ContainerSpec, workspace: Path) -> dict[str, dict[str, str]]:
    """/opt/ml as SageMaker lays it out; what the image has there in other places stays."""
    own = (workspace / OPT_ML).absolute()
    binds = {
        str(own / name): {"bind": f"/opt/ml/{name}", "mode": "rw"} for name in ("input", "output")
    }
    if spec.shared is not None:
        binds[str(spec.shared)] = {"bind": str(spec.shared), "mode": "rw"}
    if spec.model_dir is not None:
        binds[str(spec.model_dir.resolve())] = {"bind": "/opt/ml/model", "mode": "ro"}
    return binds


def _our_own_ulimits() -> list[dict[str, Any]]:
    """An engine's defaults may be above what it may hand out, where it runs in a sandbox."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = min(resource.getrlimit(resource.RLIMIT_NPROC)[1], PODMANS_OWN_PROCESSES)
    named = {"nofile": files, "nproc": processes}
    return [{"Name": name, "Soft": most, "Hard": most} for name, most in named.items()]


def _gpus(spec: ContainerSpec, engine: Engine) -> list[dict[str, Any]] | None:
    if spec.gpus is None:
        return None
    if engine.is_podman:
        raise LimitUnavailable(
            PODMAN_HANDS_NO_GPU, hint="use Docker with the NVIDIA container toolkit"
        )
    count = -1 if spec.gpus == "all" else spec.gpus
    return [{"count": count, "capabilities": [["gpu"]]}]


def container_environment(spec: ContainerSpec, route: Route, cpus: int) -> dict[str, str]:
    given: Mapping[str, str] = spec.environment
    return {
        **port_variables(route.port_inside),
        "SM_NUM_CPUS": str(cpus),
        **{name: with_port(value, route.port_inside) for name, value in given.items()},
    }
