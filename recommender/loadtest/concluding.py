"""The answer of a test, worked out of its samples once for all that look at it."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from loadtests.errors import InvalidMeasurement
from recommender.aggregates import keep
from recommender.loadtest.answers import Case, answer_of
from recommender.loadtest.report import Answer

if TYPE_CHECKING:
    from decimal import Decimal

    from recommender.loadtest.agenda import Test
    from recommender.loadtest.kept import Listed
    from recommender.loadtest.plan import Plan
    from recommender.store import Run, Store

__all__ = ["Conclusion", "concluded"]

FORMAT = 1


class Conclusion(BaseModel):
    """answer: None while a run is missing. invalid: why nothing can be concluded from the runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer: Answer | None = None
    invalid: str | None = None


def concluded(
    store: Store,
    run: Run,
    asked: tuple[Test, Plan],
    usd_per_hour: Decimal | None,
    listed: dict[tuple[str, str], Listed],
) -> Conclusion:
    """As kept, where it was made of the same measurements by this version at this price."""
    test, plan = asked
    parts = {
        whose: listed[whose]
        for each in test.configurations
        if (whose := (each.name, test.scenario.name)) in listed
    }
    ids = [number for part in parts.values() for number in part.ids]
    if not ids:
        return Conclusion()
    name = "answer/" + "/".join((*(each.name for each in test.configurations), test.scenario.name))
    version = metadata.version("inference-recommender")
    made_from = f"measurements {ids}, {usd_per_hour} $/h, version {version}, format {FORMAT}"
    found = store.aggregate(run.id, name, made_from)
    if found is not None:
        return Conclusion.model_validate(found)
    kept = {whose: part.read(store) for whose, part in parts.items()}
    made = _concluded(Case(test=test, plan=plan, kept=kept, usd_per_hour=usd_per_hour))
    keep(store, run.id, name, made_from, made)
    return made


def _concluded(case: Case) -> Conclusion:
    try:
        return Conclusion(answer=answer_of(case))
    except InvalidMeasurement as error:
        return Conclusion(invalid=str(error))
