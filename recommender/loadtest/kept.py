"""What the store holds of a load test: measurements by test and step, and notes on what failed.

A key is configuration/scenario/step; of a comparison each variant has its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from loadtests.measurement import Measurement
from loadtests.probe import Measured
from loadtests.resources import ResourceSeries
from loadtests.samples import Samples
from recommender.stored_run import INVALID_MARK

if TYPE_CHECKING:
    from recommender.store import Run, Store, StoredMeasurement

__all__ = [
    "Kept",
    "Listed",
    "ListedRun",
    "Note",
    "kept_of",
    "listed_of",
    "note_key",
    "step_key",
]

SEPARATOR = "/"
NOTE_MARK = "note@"


class Note(BaseModel):
    """Why a test has no answer (yet). invalid: measured, but unfit to be evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["failed", "invalid", "not run"]
    reason: str


@dataclass
class Kept:
    """Of one configuration in one scenario.

    steps: fit to be evidence, by step key, in the order they were finished. invalid: tries that
    were not. notes: the newest, by the trial they are of; "" of the whole test.
    """

    steps: dict[str, Measured] = field(default_factory=dict)
    invalid: dict[str, Measurement] = field(default_factory=dict)
    notes: dict[str, Note] = field(default_factory=dict)

    def within(self, prefix: str) -> dict[str, Measured]:
        """The steps whose key begins so, by the rest of it."""
        return {
            key.removeprefix(prefix): each
            for key, each in self.steps.items()
            if key.startswith(prefix)
        }


def step_key(configuration: str, scenario: str, step: str) -> str:
    return SEPARATOR.join((configuration, scenario, step))


def note_key(configuration: str, scenario: str, within: str, stamp: str) -> str:
    return step_key(configuration, scenario, f"{within}{NOTE_MARK}{stamp}")


@dataclass(frozen=True, slots=True)
class ListedRun:
    """stored: where its samples are."""

    stored: StoredMeasurement
    measurement: Measurement


@dataclass
class Listed:
    """As Kept, with the samples still in the store. ids: of all that was stored of it."""

    steps: dict[str, ListedRun] = field(default_factory=dict)
    invalid: dict[str, ListedRun] = field(default_factory=dict)
    notes: dict[str, Note] = field(default_factory=dict)
    ids: list[int] = field(default_factory=list)

    def read(self, store: Store) -> Kept:
        return Kept(
            {key: _read(store, each) for key, each in self.steps.items()},
            {key: each.measurement for key, each in self.invalid.items()},
            dict(self.notes),
        )


def listed_of(store: Store, run: Run) -> dict[tuple[str, str], Listed]:
    """By configuration and scenario."""
    found: dict[tuple[str, str], Listed] = {}
    for stored in store.measurements(run.id):
        configuration, scenario, step = stored.key.split(SEPARATOR, 2)
        listed = found.setdefault((configuration, scenario), Listed())
        listed.ids.append(stored.id)
        within, mark, _ = step.partition(NOTE_MARK)
        if mark:
            listed.notes[within] = Note.model_validate(stored.document)
            continue
        is_fit = INVALID_MARK not in step and stored.has_samples
        runs = listed.steps if is_fit else listed.invalid
        runs[step] = ListedRun(stored, Measurement.model_validate(stored.document))
    return found


def kept_of(store: Store, run: Run) -> dict[tuple[str, str], Kept]:
    """By configuration and scenario."""
    return {whose: listed.read(store) for whose, listed in listed_of(store, run).items()}


def _read(store: Store, listed: ListedRun) -> Measured:
    resources = store.resources(listed.stored.id)
    return Measured(
        listed.measurement,
        Samples.decode(store.samples(listed.stored.id)),
        None if resources is None else ResourceSeries.decode(resources),
    )
