"""What is asked: payloads, how often each, and their content type."""

from __future__ import annotations

import glob
import hashlib
import math
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from loadtests.errors import UsageError
from loadtests.streaming.delivery import delivery_asked_by

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtests.streaming.delivery import Delivery

__all__ = [
    "MOST_PAYLOADS",
    "Payload",
    "Workload",
    "content_type_of",
    "payload_files",
    "read_body",
    "read_payloads",
]

MOST_PAYLOADS = 2**16  # a sample names its payload in two bytes

CONTENT_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".npy": "application/x-npy",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".bin": "application/octet-stream",
    ".libsvm": "text/libsvm",
}


@dataclass(frozen=True, slots=True)
class Payload:
    """weight: how often it is sent, beside the others. content_type: None for the workload's."""

    name: str
    body: bytes = field(repr=False)
    weight: float = 1.0
    content_type: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise UsageError(
                f"the payload {self.name} has weight {self.weight:g}, which is not above 0",
                hint="leave out what is never sent",
            )
        if not self.body:
            raise UsageError(
                f"the payload {self.name} is empty",
                hint="give a file with one request body, as /invocations expects it",
            )


@dataclass(frozen=True, slots=True)
class Workload:
    """Each request sends one payload, chosen by weight and seed.

    answers: how they come; None: as the payloads ask ("stream": true).
    """

    payloads: tuple[Payload, ...]
    content_type: str
    path: str = "/invocations"
    answers: Delivery | None = None

    def __post_init__(self) -> None:
        if not self.payloads:
            raise UsageError("there is no payload", hint="name one with --payload FILE")
        if len(self.payloads) > MOST_PAYLOADS:
            raise UsageError(
                f"{len(self.payloads)} payloads; a run can tell {MOST_PAYLOADS} apart",
                hint="name fewer files",
            )

    @property
    def weights(self) -> tuple[float, ...]:
        return tuple(each.weight for each in self.payloads)

    @property
    def content_types(self) -> tuple[str, ...]:
        """Of each payload, as it is sent."""
        return tuple(each.content_type or self.content_type for each in self.payloads)

    @property
    def delivery(self) -> Delivery:
        """How answers come: decided before the first request, since it takes another reader."""
        return self.answers or delivery_asked_by(each.body for each in self.payloads)

    @property
    def mean_bytes(self) -> float:
        """Of a request: a payload counts as often as it is sent."""
        sent = math.fsum(len(each.body) * each.weight for each in self.payloads)
        return sent / math.fsum(self.weights)

    @property
    def largest_bytes(self) -> int:
        return max(len(each.body) for each in self.payloads)

    @property
    def digest(self) -> str:
        """Same workload, same digest: stored runs name what they sent by it.

        Weights and content types of their own tell workloads apart by what they come to: twice
        every weight is the same workload.
        """
        content = hashlib.sha256(f"{self.content_type}\0{self.path}".encode())
        for each in self.payloads:
            content.update(hashlib.sha256(each.body).digest())
        if len(set(self.weights)) > 1:
            in_all = math.fsum(self.weights)
            shares = (f"{each.weight / in_all:.9g}" for each in self.payloads)
            content.update(f"\0shares {' '.join(shares)}".encode())
        if set(self.content_types) != {self.content_type}:
            content.update("\0".join(("", "types", *self.content_types)).encode())
        return content.hexdigest()[:16]


def read_payloads(
    patterns: Iterable[str], content_type: str | None, path: str = "/invocations"
) -> Workload:
    """One payload per file; a pattern the shell left alone is expanded here.

    Raises UsageError for a file that is not there or cannot be read, and for mixed kinds of file
    without a content type.
    """
    files = [file for pattern in patterns for file in payload_files(pattern)]
    payloads = tuple(Payload(str(file), read_body(file)) for file in files)
    return Workload(payloads, content_type or _content_type(files), path)


def payload_files(pattern: str) -> list[Path]:
    """The files a pattern stands for, in order. Raises UsageError when there is none."""
    if os.path.exists(pattern):  # noqa: PTH110 - Path's raises for a name that is too long
        return [Path(pattern)]
    found = sorted(Path(each) for each in glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute patterns too
    if not found:
        raise UsageError(
            f"the payload file {pattern} does not exist",
            hint="give the path of a file that holds one request body",
        )
    return found


def read_body(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"the payload file {file} cannot be read: {error.strerror}") from error


def content_type_of(file_name: str) -> str | None:
    return CONTENT_TYPES.get(PurePath(file_name).suffix.lower())


def _content_type(files: list[Path]) -> str:
    kinds = {content_type_of(file.name) for file in files}
    known = kinds.pop() if len(kinds) == 1 else None
    if known is None:
        raise UsageError(
            "the content type of the payload does not follow from its file name",
            hint="name it, e.g. --content-type application/json",
        )
    return known
