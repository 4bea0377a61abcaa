"""Why a container did not come up: the engine's words and the program's, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.targets import diagnosis

if TYPE_CHECKING:
    from loadtests.targets.container_creation import Route
    from loadtests.targets.diagnosis import Evidence
    from loadtests.targets.readiness import Pinged

__all__ = ["advice", "advice_on_refusal", "not_ready", "says_out_of_memory"]

NO_SUCH_PROGRAM = (
    "the image has no such program on its PATH: SageMaker starts a container as "
    "`docker run IMAGE serve`, so `serve` must be one (or its ENTRYPOINT must take the word)"
)
CANNOT_EXECUTE = (
    "the program in the image is built for another processor architecture, or is a script whose "
    "first line does not name its interpreter"
)
PORT_TAKEN = (
    "another program holds a port that the server wants; it must listen where "
    "SAGEMAKER_BIND_TO_PORT says"
)
NO_GPU = "the engine has no GPU to give: the NVIDIA driver and its container toolkit are needed"
READ_ONLY = "/opt/ml/model is read-only, as on SageMaker; write to /tmp or /opt/ml/output"
NO_FILE = "a file is missing: is it in the image, or in the model folder (/opt/ml/model inside)?"
CAUSES = (
    ("executable file not found", NO_SUCH_PROGRAM),
    ("exec format error", CANNOT_EXECUTE),
    ("could not select device driver", NO_GPU),
    ("address already in use", PORT_TAKEN),
    ("port is already allocated", PORT_TAKEN),
    ("read-only file system", READ_ONLY),
    ("permission denied", "the program may not read or execute something in the image"),
    ("no such file or directory", NO_FILE),
    ("modulenotfounderror", "a Python module is missing in the image"),
    ("no module named", "a Python module is missing in the image"),
)
# gunicorn: "Worker (pid:9) was sent SIGKILL! Perhaps out of memory?", earlier "terminated due to
# signal 9"
OUT_OF_MEMORY = ("perhaps out of memory", "terminated due to signal 9", "oom-kill")


def advice(evidence: Evidence) -> str | None:
    return diagnosis.advice(evidence, CAUSES)


def advice_on_refusal(words: str) -> str | None:
    """On what the engine said instead of starting it."""
    lowered = words.lower()
    return next((cause for sign, cause in CAUSES if sign in lowered), None)


def not_ready(pinged: Pinged, route: Route, ports: tuple[int, ...] | None) -> tuple[str, str]:
    """Message and hint. ports: that it listens on inside; None where they are not seen."""
    port = route.port_inside
    message, hint = diagnosis.not_ready(pinged, port, ports, _on_another_port(route))
    listens_unheard = ports is not None and port in ports and pinged.status is None
    if route.is_published and listens_unheard:
        hint = f"it must listen on 0.0.0.0: 127.0.0.1 is its own to reach; else {hint}"
    return message, hint


def _on_another_port(route: Route) -> str:
    if route.is_published:
        return (
            f"a container serves on {route.port_inside}: have it listen there, on 0.0.0.0, or "
            "say which port it has"
        )
    return "its label says that it takes a port: have it listen where SAGEMAKER_BIND_TO_PORT says"


def says_out_of_memory(log: tuple[str, ...]) -> bool:
    """What a server says of its killed workers, where the kernel's count cannot be read."""
    text = "\n".join(log).lower()
    return any(sign in text for sign in OUT_OF_MEMORY)
