"""Where payloads come from: files, an archive of samples, or a generator. All end up in memory.

A source's weight is its share of the requests, however many payloads it has. Bodies are drawn
before the first request, and the same seed draws the same ones.
"""

from __future__ import annotations

import difflib
from abc import abstractmethod
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)
from typing_extensions import override

from loadtests.errors import UsageError
from loadtests.payloads.archive import read_archive
from loadtests.payloads.bodies import (
    Body,
    CsvShape,
    SizeRange,
    csv_body,
    distinct_bodies,
    json_body,
    python_function,
    random_body,
)
from loadtests.payloads.json_template import check_template
from loadtests.workload import (
    MOST_PAYLOADS,
    Payload,
    Workload,
    content_type_of,
    payload_files,
    read_body,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CsvPayloads",
    "JsonPayloads",
    "PayloadArchive",
    "PayloadFiles",
    "PayloadSource",
    "PythonPayloads",
    "RandomPayloads",
    "read_workload",
]

ARCHIVES = (".tar.gz", ".tgz", ".tar")


class _Source(BaseModel):
    """weight: share of the requests, beside the other sources; None: 1 for each payload.

    content_type: None where it follows from the kind of source or the name of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    named_by: ClassVar[str]

    weight: Annotated[float, Field(gt=0)] | None = None
    content_type: Annotated[str, Field(min_length=1)] | None = None

    @abstractmethod
    def bodies(self, folder: Path, rng: np.random.Generator) -> Sequence[Body]: ...


class PayloadFiles(_Source):
    """One payload a file; `file` may be a pattern."""

    named_by = "file"
    file: Annotated[str, Field(min_length=1)]

    @override
    def bodies(self, folder: Path, rng: np.random.Generator) -> Sequence[Body]:
        files = payload_files(str(folder / self.file))
        return [Body(str(file), read_body(file), content_type_of(file.name)) for file in files]


class PayloadArchive(_Source):
    """A tar file as SageMaker's SamplePayloadUrl names one: each regular file is one payload."""

    named_by = "archive"
    archive: Annotated[str, Field(min_length=1)]

    @override
    def bodies(self, folder: Path, rng: np.random.Generator) -> Sequence[Body]:
        return read_archive(folder / self.archive)


class _Generated(_Source):
    """count: of distinct bodies."""

    count: Annotated[int, Field(ge=1, le=MOST_PAYLOADS)] = 100


class PythonPayloads(_Generated):
    """module:function; called with a numpy Generator it gives bytes, text or a value for JSON."""

    named_by = "python"
    python: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]

    @override
    def bodies(self, folder: Path, rng: np.random.Generator) -> Sequence[Body]:
        with python_function(self.python, folder) as draw:
            return distinct_bodies(self.python, draw, self.count, rng)


class CsvPayloads(_Generated):
    named_by = "csv"
    csv: CsvShape

    @override
    def bodies(self, folder: Path, rng: np.random.Generator) -> Sequence[Body]:
        return distinct_bodies("csv", partial(csv_body, self.csv), self.count, rng)


def _size_range(given: object) -> object:
    return {"bytes": given} if isinstance(given, int) else given


class RandomPayloads(_Generated):
    named_by = "random_bytes"
    random_bytes: Annotated[
        SizeRange, BeforeValidator(_size_range, json_schema_input_type=SizeRange | int)
    ]

    @override
    def bodies(self, folder: Path, rng: np.random.Generator) -> Sequence[Body]:
        return distinct_bodies("bytes", partial(random_body, self.random_bytes), self.count, rng)


def _checked(template: object) -> object:
    check_template(template)
    return template


class JsonPayloads(_Generated):
    """A body whose draws are filled in: {"$uniform": [0, 1], "shape": [1, 64]} and others."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
    named_by = "json"

    template: Annotated[Any, AfterValidator(_checked)] = Field(alias="json")

    @override
    def bodies(self, folder: Path, rng: np.random.Generator) -> Sequence[Body]:
        return distinct_bodies("json", partial(json_body, self.template), self.count, rng)


SOURCES = ("file", "archive", "python", "csv", "random_bytes", "json")


def _tag(given: object) -> str | None:
    if isinstance(given, dict):
        return next((name for name in SOURCES if name in given), None)
    return given.named_by if isinstance(given, _Source) else None


_Named = Annotated[
    Annotated[PayloadFiles, Tag("file")]
    | Annotated[PayloadArchive, Tag("archive")]
    | Annotated[PythonPayloads, Tag("python")]
    | Annotated[CsvPayloads, Tag("csv")]
    | Annotated[RandomPayloads, Tag("random_bytes")]
    | Annotated[JsonPayloads, Tag("json")],
    Discriminator(_tag),
]


def _spelled_out(given: object) -> object:
    if isinstance(given, str):
        return {"archive" if given.lower().endswith(ARCHIVES) else "file": given}
    if isinstance(given, _Source):
        return given
    keys = list(given) if isinstance(given, dict) else []
    named = [name for name in SOURCES if name in keys]
    if len(named) > 1:
        raise ValueError(f"a payload source is one of {' or '.join(named)}, not all")
    if not named:
        near = [close for key in keys for close in difflib.get_close_matches(str(key), SOURCES, 1)]
        raise ValueError(
            f"a payload source names one of {', '.join(SOURCES)}"
            + (f"; did you mean {near[0]}?" if near else "")
        )
    return given


PayloadSource = Annotated[
    _Named, BeforeValidator(_spelled_out, json_schema_input_type=_Named | str)
]


def read_workload(
    sources: Sequence[PayloadSource],
    *,
    content_type: str | None = None,
    path: str = "/invocations",
    seed: int,
    folder: Path = Path(),
) -> Workload:
    """Reads and draws all payloads; files and modules are looked for in the folder.

    A source's content type comes before the one given here, that before what follows from names.
    Raises UsageError for what is not there, too large, empty, or of unknown content type.
    """
    if len({source.weight is None for source in sources}) > 1:
        raise UsageError(
            "some payload sources have a weight and some have none",
            hint="give each a weight, its share of the requests, or none of them",
        )
    found: list[Payload] = []
    for number, source in enumerate(sources):
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0xB0D1, number]))
        bodies = source.bodies(folder, rng)
        weight = 1.0 if source.weight is None else source.weight / len(bodies)
        found += [
            Payload(
                each.name,
                each.body,
                weight,
                source.content_type or content_type or each.content_type or _unknown(each.name),
            )
            for each in bodies
        ]
    default = content_type or (found[0].content_type if found else None) or ""
    return Workload(tuple(_with_default(each, default) for each in found), default, path)


def _with_default(payload: Payload, content_type: str) -> Payload:
    own = None if payload.content_type == content_type else payload.content_type
    return Payload(payload.name, payload.body, payload.weight, own)


def _unknown(name: str) -> str:
    raise UsageError(
        f"the content type of the payload {name} does not follow from its name",
        hint="name it, e.g. content_type: application/json",
    )
