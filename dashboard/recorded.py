"""A run recorded to a file, and brought back into a store: the demonstration an empty store opens.

It was measured; nothing in it is made up.
"""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Base64Bytes, BaseModel, ConfigDict

from recommender.store import RunStatus, this_process

if TYPE_CHECKING:
    from recommender.store import Run, Store

__all__ = ["DEMO", "Recorded", "RecordedMeasurement"]

DEMO = Path(__file__).with_name("demo.json.gz")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RecordedMeasurement(_Frozen):
    key: str
    document: dict[str, Any]
    samples: Base64Bytes | None


class Recorded(_Frozen):
    """recorded_at: when it was measured."""

    kind: str
    label: str | None
    recorded_at: datetime
    request: dict[str, Any]
    environment: dict[str, Any]
    measurements: tuple[RecordedMeasurement, ...]

    @classmethod
    def of(cls, store: Store, run: Run) -> Recorded:
        found = tuple(
            RecordedMeasurement.model_construct(
                key=each.key,
                document=each.document,
                samples=store.samples(each.id) if each.has_samples else None,
            )
            for each in store.measurements(run.id)
        )
        return Recorded.model_construct(
            kind=run.kind,
            label=run.label,
            recorded_at=run.created_at,
            request=run.request,
            environment=run.environment,
            measurements=found,
        )

    @classmethod
    def read(cls, file: Path) -> Self:
        return cls.model_validate_json(gzip.decompress(file.read_bytes()))

    def write(self, file: Path) -> None:
        file.write_bytes(gzip.compress(self.model_dump_json().encode(), mtime=0))

    def keep_in(self, store: Store) -> Run:
        """As a finished run of that store, under an id of its own; yet to be ranked."""
        run = store.create_run(
            self.kind, self.label, self.request, self.environment, this_process()
        )
        for each in self.measurements:
            store.add_measurement(run.id, each.key, each.document, each.samples)
        return store.finish(run.id, RunStatus.FINISHED)
