"""Files that somebody dropped onto a page. They are read and bounded, never kept."""

from __future__ import annotations

import base64
import binascii
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.asked import LONGEST_HOURS
from loadtests.errors import UsageError
from loadtests.traffic import read_hourly
from recommender.errors import BadRequest
from recommender.simulation.traffic_files import read_traffic_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.simulation.traffic import TrafficTrace

__all__ = ["MOST_BYTES", "as_file", "hours_of", "text_of", "trace_of"]

MOST_BYTES = 256 * 1024
HINT = "a CSV with a header and a column `requests`, one row an hour"


def hours_of(contents: str) -> tuple[int, ...]:
    """contents: a data URL. Raises UsageError naming the line, and BadRequest."""
    with as_file("traffic.csv", _decoded(contents)) as file:
        counts = tuple(round(each) for each in read_hourly(file).requests)
    if len(counts) > LONGEST_HOURS:
        raise BadRequest(
            f"the table has {len(counts):,} hours; {LONGEST_HOURS} are the most", hint=HINT
        )
    if not any(counts):
        raise BadRequest("the table holds no request", hint=HINT)
    return counts


def trace_of(contents: str) -> TrafficTrace:
    """Of any table, export or log that `recommender simulate` reads. Raises as `hours_of` does."""
    with as_file("traffic.csv", _decoded(contents)) as file:
        return read_traffic_file(file)


def text_of(contents: str) -> str:
    try:
        return _decoded(contents).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("the file is no text", hint="a file in UTF-8") from error


@contextmanager
def as_file(name: str, data: bytes) -> Iterator[Path]:
    """For as long as it is read; errors call it by the name alone. name: ours, not the user's."""
    with tempfile.TemporaryDirectory(prefix="recommender-upload-") as folder:
        file = Path(folder, name)
        file.write_bytes(data)
        try:
            yield file
        except (UsageError, BadRequest) as error:
            message = str(error).replace(str(file), name)
            raise type(error)(message, hint=error.hint) from error


def _decoded(contents: str) -> bytes:
    _, _, packed = contents.partition(",")
    if len(packed) > MOST_BYTES * 4 / 3 + 4:
        raise BadRequest(f"the file is larger than {MOST_BYTES // 1024} KiB", hint=HINT)
    try:
        return base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise BadRequest("the file did not arrive whole", hint="drop it again") from error
