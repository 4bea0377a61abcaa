"""What is asked: payloads and their content type."""

from __future__ import annotations

import glob
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Payload", "Workload", "read_payloads"]

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
    name: str
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not self.body:
            raise UsageError(
                f"the payload {self.name} is empty",
                hint="give a file with one request body, as /invocations expects it",
            )


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests of one kind; each sends one payload, chosen evenly and by seed."""

    payloads: tuple[Payload, ...]
    content_type: str
    path: str = "/invocations"

    def __post_init__(self) -> None:
        if not self.payloads:
            raise UsageError("there is no payload", hint="name one with --payload FILE")
        if len(self.payloads) > MOST_PAYLOADS:
            raise UsageError(
                f"{len(self.payloads)} payloads; a run can tell {MOST_PAYLOADS} apart",
                hint="name fewer files",
            )

    @property
    def mean_bytes(self) -> float:
        return sum(len(each.body) for each in self.payloads) / len(self.payloads)

    @property
    def largest_bytes(self) -> int:
        return max(len(each.body) for each in self.payloads)

    @property
    def digest(self) -> str:
        """Same workload, same digest: stored runs name what they sent by it."""
        content = hashlib.sha256(f"{self.content_type}\0{self.path}".encode())
        for each in self.payloads:
            content.update(hashlib.sha256(each.body).digest())
        return content.hexdigest()[:16]


def read_payloads(
    patterns: Iterable[str], content_type: str | None, path: str = "/invocations"
) -> Workload:
    """One payload per file; a pattern the shell left alone is expanded here.

    Raises UsageError for a file that is not there or cannot be read, and for mixed kinds of file
    without a content type.
    """
    files = [file for pattern in patterns for file in _files(pattern)]
    payloads = tuple(Payload(str(file), _read(file)) for file in files)
    return Workload(payloads, content_type or _content_type(files), path)


def _files(pattern: str) -> list[Path]:
    if os.path.exists(pattern):  # noqa: PTH110 - Path's raises for a name that is too long
        return [Path(pattern)]
    found = sorted(Path(each) for each in glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute patterns too
    if not found:
        raise UsageError(
            f"the payload file {pattern} does not exist",
            hint="give the path of a file that holds one request body",
        )
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"the payload file {file} cannot be read: {error.strerror}") from error


def _content_type(files: list[Path]) -> str:
    kinds = {CONTENT_TYPES.get(file.suffix.lower()) for file in files}
    known = kinds.pop() if len(kinds) == 1 else None
    if known is None:
        raise UsageError(
            "the content type of the payload does not follow from its file name",
            hint="name it, e.g. --content-type application/json",
        )
    return known
