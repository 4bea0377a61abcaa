"""What was fetched for a book that is not whole yet: one file a source and region.

A refresh that stops, by a fault or by Ctrl-C, goes on from here. It is a cache: a file that
cannot be read is fetched again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from pricing.sources.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pricing.sources.seen import PriceSource

__all__ = ["KeptParts"]

FORMAT: Final = 1
GOOD_FOR: Final = timedelta(days=1)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    identity: str
    fetched_at: datetime
    seen: Seen


@dataclass(frozen=True, slots=True)
class KeptParts:
    folder: Path
    now: datetime

    def found(self, source: PriceSource, region: str) -> Seen | None:
        try:
            part = _Part.model_validate_json(self._file(source, region).read_bytes())
        except (OSError, ValidationError):
            return None
        is_its_own = (part.format, part.identity) == (FORMAT, source.identity)
        return part.seen if is_its_own and self.now - part.fetched_at < GOOD_FOR else None

    def keep(self, source: PriceSource, region: str, seen: Seen) -> None:
        part = _Part(format=FORMAT, identity=source.identity, fetched_at=self.now, seen=seen)
        file = self._file(source, region)
        unfinished = file.with_suffix(".partial")
        with suppress(OSError):  # what cannot be kept is only fetched again
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(part.model_dump_json(), encoding="utf-8")
            unfinished.replace(file)

    def forget(self, sources: Iterable[PriceSource], regions: Iterable[str]) -> None:
        """The book is whole."""
        for source, region in product(sources, regions):
            self._file(source, region).unlink(missing_ok=True)

    def _file(self, source: PriceSource, region: str) -> Path:
        return self.folder / source.name / f"{region}.json"
