"""What is worked out of samples once and kept in the store, so that looking costs no second time.

Any of it can be made again from the samples. A store that cannot be written is read all the same.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from loadtests import outline
from loadtests.measurement import Measurement
from loadtests.outline import Outline, outline_of
from loadtests.resources import ResourceSeries
from loadtests.samples import Samples
from recommender.errors import BadRequest, StoreError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from loadtests.probe import Measured
    from recommender.store import Store, StoredMeasurement

__all__ = ["keep", "keep_outline", "outline_in", "outline_kept"]


def keep(store: Store, run_id: str, name: str, made_from: str, made: BaseModel) -> None:
    with suppress(StoreError):
        store.keep_aggregate(run_id, name, made_from, made.model_dump(mode="json"))


def keep_outline(store: Store, stored: StoredMeasurement, measured: Measured) -> None:
    """When it has just been measured."""
    made = outline_of(measured.measurement, measured.samples, measured.resources)
    keep(store, stored.run_id, _name(stored), _made_from(stored), made)


def outline_kept(store: Store, stored: StoredMeasurement) -> Outline | None:
    """Of a measurement without samples there is none. Made where an older version kept none."""
    if not stored.has_samples:
        return None
    found = store.aggregate(stored.run_id, _name(stored), _made_from(stored))
    if found is not None:
        return Outline.model_validate(found)
    resources = store.resources(stored.id)
    made = outline_of(
        Measurement.model_validate(stored.document),
        Samples.decode(store.samples(stored.id)),
        None if resources is None else ResourceSeries.decode(resources),
    )
    keep(store, stored.run_id, _name(stored), _made_from(stored), made)
    return made


def outline_in(store: Store, run_id: str, key: str) -> Outline | None:
    """Of the run's measurement of that key. Raises BadRequest where there is none."""
    found = next((each for each in store.measurements(run_id) if each.key == key), None)
    if found is None:
        raise BadRequest(
            f"the run {run_id} has no measurement {key!r}", hint="choose another on its page"
        )
    return outline_kept(store, found)


def _name(stored: StoredMeasurement) -> str:
    return f"outline/{stored.key}"


def _made_from(stored: StoredMeasurement) -> str:
    return f"measurement {stored.id}, format {outline.FORMAT}"
