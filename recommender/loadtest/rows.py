"""Records for batch transform, as a plan names them, and as they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Discriminator, Field, Tag

from loadtests import sample_container
from loadtests.payloads import DEFAULT_KEY, Join, Rows, read_rows
from recommender.errors import BadRequest
from recommender.loadtest.part import Part

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RowsFile", "RowsGiven", "RowsRead"]

MB = 10**6
SAMPLE = "sample"


class RowsFile(Part):
    """Records: lines, or items of a list in JSON; `file` may be a pattern.

    content_type: of the requests they are joined into. key: of the list in such a request in JSON;
    null for a bare list. header: the first line names the columns, and is not sent.
    """

    file: Annotated[str, Field(min_length=1)]
    content_type: str | None = None
    key: str | None = DEFAULT_KEY
    header: bool = False

    def read(self, folder: Path) -> RowsRead:
        """Raises UsageError."""
        place = str(folder / self.file)
        rows = _rows(place, self)
        return RowsRead(
            file=place,
            content_type=rows.join.content_type,
            key=self.key,
            header=self.header,
            count=len(rows.rows),
            longest_bytes=rows.longest_bytes,
            digest=rows.digest,
        )


class RowsRead(RowsFile):
    """What the file held when the plan was read, so that the plan stands by itself."""

    content_type: str
    count: int = Field(ge=1)
    longest_bytes: int = Field(ge=1)
    digest: str

    def most_rows(self, max_payload_mb: float) -> int:
        """That fit into a request. Raises UsageError where not even one does."""
        join = Join(self.content_type, self.key)
        return join.most_rows(self.longest_bytes, round(max_payload_mb * MB))

    def rows(self) -> Rows:
        """Reads them again. Raises BadRequest when they have changed since."""
        found = _rows(self.file, self)
        if found.digest != self.digest:
            raise BadRequest(
                f"the records in {self.file} are not those the run began with",
                hint="put them back, or start a new run",
            )
        return found


def _rows(file: str, given: RowsFile) -> Rows:
    return read_rows(file, content_type=given.content_type, key=given.key, header=given.header)


def _tag(given: object) -> str:
    was_read = isinstance(given, RowsRead) or (isinstance(given, dict) and "digest" in given)
    return "read" if was_read else "file"


def _spelled_out(given: object) -> object:
    """A file's name, or `sample`: the bundled digits."""
    if given == SAMPLE:
        file = sample_container.directory() / "samples.jsonl"
        return {"file": str(file), "content_type": sample_container.CONTENT_TYPE}
    return {"file": given} if isinstance(given, str) else given


RowsGiven = Annotated[
    Annotated[
        Annotated[RowsFile, Tag("file")] | Annotated[RowsRead, Tag("read")], Discriminator(_tag)
    ],
    BeforeValidator(_spelled_out, json_schema_input_type=RowsFile | RowsRead | str),
]
