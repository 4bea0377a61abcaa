"""The image of a container: found, fetched or built, and fit for this machine."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadtests.errors import ImageUnavailable
from loadtests.targets.container_engine import explanation, is_not_found
from loadtests.targets.container_spec import Build
from loadtests.targets.diagnosis import last_lines, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from loadtests.targets.container_engine import Engine

__all__ = ["Image", "provide"]

QUOTED_LINES = 20
DIGEST_CHARACTERS = 12
STEP = re.compile(r"(?i)^step \d")
TAKES_A_PORT = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"


@dataclass(frozen=True, slots=True)
class Image:
    """name: as the user gave it, or the tag of what was built. label: short, for a person.

    takes_a_port: says by SageMaker's own label that it listens where SAGEMAKER_BIND_TO_PORT says.
    """

    id: str
    name: str
    label: str
    architecture: str
    takes_a_port: bool


def provide(engine: Engine, wanted: str | Build, told: Callable[[str], None]) -> Image:
    """Raises ImageUnavailable. What was built stays: the next one of the same files is at once.

    told: what is being done, for a person who waits.
    """
    if isinstance(wanted, Build):
        image = _built(engine, wanted, told)
    else:
        image = _local(engine, wanted, _short(wanted)) or _pulled(engine, wanted, told)
    if image.architecture != engine.architecture:
        raise ImageUnavailable(
            f"{image.name} is built for {image.architecture} and this machine is "
            f"{engine.architecture}",
            hint=f"build or pull it for linux/{engine.architecture}; under emulation its speed "
            "would say nothing",
        )
    return image


def _local(engine: Engine, name: str, label: str) -> Image | None:
    try:
        found = engine.image(name)
    except OSError as problem:
        if is_not_found(problem):
            return None
        raise ImageUnavailable(f"{name} cannot be used: {explanation(problem)}") from problem
    labels: Mapping[str, str] = (found.get("Config") or {}).get("Labels") or {}
    return Image(
        id=found["Id"],
        name=name,
        label=label,
        architecture=found["Architecture"],
        takes_a_port=labels.get(TAKES_A_PORT, "").lower() == "true",
    )


def _pulled(engine: Engine, name: str, told: Callable[[str], None]) -> Image:
    hint = "is the name right, is the registry reachable, and does `docker login` know it?"
    told(f"pulling {name}")
    try:
        events = engine.client.pull(name, stream=True, decode=True)
        for progress in _pull_progress(_without_errors(events)):
            told(f"pulling {name}, {progress}")
    except OSError as problem:
        raise ImageUnavailable(
            f"{name} is not on this machine and cannot be pulled: {explanation(problem)}",
            hint=hint,
        ) from problem
    image = _local(engine, name, _short(name))
    if image is None:
        raise ImageUnavailable(f"{name} was pulled, and the engine does not find it", hint=hint)
    return image


def _pull_progress(events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Only what changed."""
    layers: dict[str, tuple[int, int]] = {}
    last = ""
    for event in events:
        detail = event.get("progressDetail") or {}
        if detail.get("total") and event.get("status") == "Downloading":
            layers[event["id"]] = (detail["current"], detail["total"])
        done, total = (sum(layer[which] for layer in layers.values()) for which in (0, 1))
        now = f"{100 * done // total} %" if total else str(event.get("status", last)).strip()
        if now and now != last:
            yield now
        last = now


def _built(engine: Engine, build: Build, told: Callable[[str], None]) -> Image:
    context = _context(build)
    label = build.folder.resolve().name
    tag = f"localhost/recommender-{_tag_name(label)}:{_digest(context, build)}"
    if (known := _local(engine, tag, label)) is not None:
        return known
    told(f"building {build.describe()}")
    lines: deque[str] = deque(maxlen=10 * QUOTED_LINES)
    try:
        events = engine.client.build(
            fileobj=io.BytesIO(context),
            custom_context=True,
            tag=tag,
            buildargs=dict(build.arguments),
            rm=True,
            forcerm=True,  # no half-built containers left where a step fails
            decode=True,
        )
        for line in _lines(_without_errors(events)):
            lines.append(line)
            if STEP.match(line):
                told(f"building {build.describe()}: {line}")
    except OSError as problem:
        said = last_lines("\n".join(lines), QUOTED_LINES)
        raise ImageUnavailable(
            f"{build.describe()} does not build: {explanation(problem)}{quoted(said)}",
            hint="the last step shown is the one that failed; the same files build with "
            f"`docker build {build.folder}`",
        ) from problem
    image = _local(engine, tag, label)
    if image is None:
        raise ImageUnavailable(f"{build.describe()} was built, and the engine does not find {tag}")
    return image


def _lines(events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What a step writes comes in pieces, cut anywhere."""
    rest = ""
    try:
        for event in events:
            *whole, rest = (rest + str(event.get("stream", ""))).split("\n")
            yield from whole
    finally:
        if rest:
            yield rest


def _without_errors(events: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """OSError for the one that came, when all are read: a connection is given back only then."""
    error = None
    for event in events:
        if "error" in event:
            error = OSError(event["error"])
        else:
            yield event
    if error is not None:
        raise error


def _context(build: Build) -> bytes:
    """What the Dockerfile may copy: an archive of the folder without what .dockerignore names."""
    from docker.utils.build import tar  # noqa: PLC0415 - see container_engine.connect

    ignored = build.folder / ".dockerignore"
    patterns = ignored.read_text().splitlines() if ignored.exists() else []
    wanted = [line.strip() for line in patterns if line.strip() and not line.startswith("#")]
    archive = io.BytesIO()
    try:
        tar(build.folder.absolute(), exclude=wanted, fileobj=archive)
    except OSError as problem:
        raise ImageUnavailable(f"{build.describe()} does not build: {problem}") from problem
    return archive.getvalue()


def _digest(context: bytes, build: Build) -> str:
    """Of names, rights and contents, not of times: a fresh checkout is the same image."""
    digest = hashlib.sha256(json.dumps(sorted(build.arguments.items())).encode())
    with tarfile.open(fileobj=io.BytesIO(context)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            held = b"" if content is None else content.read()
            facts = (member.name, member.mode, member.linkname, len(held))
            digest.update(json.dumps(facts).encode() + held)
    return digest.hexdigest()[:DIGEST_CHARACTERS]


def _tag_name(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-") or "image"


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]
