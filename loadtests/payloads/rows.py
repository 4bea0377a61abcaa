"""Records in a file, sent several at a time, as batch transform does.

A record is a line, or an item of a list in JSON. SageMaker's SplitType=Line with
BatchStrategy=MultiRecord joins lines the same way, up to MaxPayloadInMB; SplitType=None is a
payload file as it is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING

from loadtests.errors import UsageError
from loadtests.workload import Payload, Workload, content_type_of, payload_files, read_body

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["DEFAULT_KEY", "Join", "Rows", "read_rows"]

DEFAULT_KEY = "instances"
JSON = "application/json"
BINARY = (".npy", ".rec", ".recordio", ".tfrecord", ".parquet", ".gz")
MOST_BODIES = 64  # of each size: enough that a server cannot remember them
MOST_BYTES = 2**26  # of all bodies of one size, where that is more than one


@dataclass(frozen=True, slots=True)
class Join:
    """How records become one body: by commas in a list of JSON, else by line ends.

    key: of the object that holds the list; None for a bare list.
    """

    content_type: str
    key: str | None = DEFAULT_KEY

    @property
    def parts(self) -> tuple[bytes, bytes, bytes]:
        """What begins a body, parts its records, and ends it."""
        if self.content_type != JSON:
            return b"", b"\n", b""
        if self.key is None:
            return b"[", b",", b"]"
        return b"{" + json.dumps(self.key).encode() + b":[", b",", b"]}"

    def body(self, rows: Sequence[bytes]) -> bytes:
        begin, between, end = self.parts
        return begin + between.join(rows) + end

    def most_rows(self, longest_bytes: int, most_bytes: int) -> int:
        """As many always fit, however long each is. Raises UsageError where not even one does."""
        begin, between, end = self.parts
        room = most_bytes - len(begin) - len(end) + len(between)
        count = room // (longest_bytes + len(between))
        if count < 1:
            raise UsageError(
                f"a record of {longest_bytes:,} bytes does not fit into a request of "
                f"{most_bytes:,} bytes",
                hint="allow more with max_payload_mb (SageMaker allows up to 100)",
            )
        return count


@dataclass(frozen=True)
class Rows:
    """Records of one kind, in memory, and how they are joined."""

    rows: tuple[bytes, ...] = field(repr=False)
    join: Join

    def __post_init__(self) -> None:
        if not self.rows:
            raise UsageError(
                "there is no record to send", hint="a record is a line, or an item of a JSON list"
            )

    @property
    def longest_bytes(self) -> int:
        return max(map(len, self.rows))

    @cached_property
    def digest(self) -> str:
        """Same records, joined the same way, same digest."""
        content = hashlib.sha256(repr(self.join).encode())
        for each in self.rows:
            content.update(hashlib.sha256(each).digest())
        return content.hexdigest()[:16]

    def batched(self, count: int, path: str = "/invocations") -> Workload:
        """Requests of exactly so many records, in order; the first follow on the last.

        With more records to a request than there are in all, some are sent twice in it.
        """
        size = count * (self.longest_bytes + 1)
        wanted = -(-len(self.rows) // count)
        bodies = max(1, min(wanted, MOST_BODIES, MOST_BYTES // size))
        payloads = tuple(
            Payload(f"rows {first + 1} to {first + count}", self._body(first, count))
            for first in range(0, bodies * count, count)
        )
        return Workload(payloads, self.join.content_type, path)

    def _body(self, first: int, count: int) -> bytes:
        total = len(self.rows)
        return self.join.body([self.rows[n % total] for n in range(first, first + count)])


def read_rows(
    pattern: str,
    *,
    content_type: str | None = None,
    key: str | None = DEFAULT_KEY,
    header: bool = False,
) -> Rows:
    """Of a file, or of all that a pattern stands for.

    content_type: of the requests; else it follows from the file's name. header: the first line of
    each file names its columns, and is not sent.
    Raises UsageError for what is not there, is not text, or holds no record.
    """
    files = payload_files(pattern)
    kind = content_type or content_type_of(files[0].name)
    if kind is None:
        raise UsageError(
            f"the content type of the records in {files[0].name} does not follow from its name",
            hint="name it, e.g. content_type: text/csv",
        )
    join = Join(kind, key)
    rows = tuple(row for file in files for row in _rows_of(file, join, header=header))
    return Rows(rows, join)


def _rows_of(file: Path, join: Join, *, header: bool) -> Iterator[bytes]:
    suffix = PurePath(file.name).suffix.lower()
    if suffix in BINARY:
        raise UsageError(
            f"{file.name} cannot be split into records: lines and lists of JSON can",
            hint="give its requests as payloads, one file each",
        )
    body = read_body(file)
    if suffix == ".json":
        found = _parsed(body, str(file))
        listed = found if isinstance(found, list) else _under_key(found, join.key)
        yield from map(_written, [found] if listed is None else listed)
        return
    for number, line in enumerate(body.split(b"\n"), start=1):
        if not line.strip() or (header and number == 1):
            continue
        if join.content_type == JSON:
            # A list is one record, such as a row of numbers; a whole request is what it holds.
            found = _parsed(line, f"{file}, line {number}")
            listed = _under_key(found, join.key)
            yield from map(_written, [found] if listed is None else listed)
        else:
            yield line.rstrip(b"\r")


def _under_key(found: object, key: str | None) -> list[object] | None:
    listed = found.get(key) if isinstance(found, dict) else None
    return listed if isinstance(listed, list) else None


def _written(record: object) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def _parsed(text: bytes, where: str) -> object:
    try:
        found: object = json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"{where} is not JSON: {error}",
            hint="requests of application/json are made of JSON; lines of CSV go as text/csv",
        ) from error
    return found
