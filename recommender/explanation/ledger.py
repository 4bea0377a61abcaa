"""Sources as they are first named: each gets a tag, and one said twice is one."""

from __future__ import annotations

from recommender.explanation.document import Kind, Source

__all__ = ["Ledger"]

LETTERS = {Kind.MEASUREMENT: "M", Kind.FACT: "F", Kind.ASSUMPTION: "A", Kind.ASKED: "Q"}


class Ledger:
    def __init__(self) -> None:
        self._sources: dict[tuple[Kind, str], Source] = {}

    @property
    def sources(self) -> tuple[Source, ...]:
        """By kind, then as they were named."""
        order = list(Kind)
        return tuple(sorted(self._sources.values(), key=lambda each: order.index(each.kind)))

    def tag(self, kind: Kind, text: str) -> str:
        known = self._sources.get((kind, text))
        if known is None:
            number = sum(each.kind is kind for each in self._sources.values()) + 1
            known = Source(tag=f"{LETTERS[kind]}{number}", kind=kind, text=text)
            self._sources[kind, text] = known
        return known.tag
