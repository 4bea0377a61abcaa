"""What to measure next: the machine whose measurement would lower the cost of choosing most.

An option that was rejected only for doubt takes part: once measured it may be the cheapest. Today
the stated confidence forbids it. So that it is not taken for the present choice, missing the SLO
there is given the least price at which the present choice is right: the shadow price of the
confidence asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pricing import Purchase
from recommender.candidates import how_to_measure
from recommender.cost import amount_text
from recommender.fleets import usd_per_unit
from recommender.planner import value
from recommender.ranking import Ranking
from recommender.recommendation import NextMeasurement, ValueOfMeasuring

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pricing import Offer
    from recommender.fleets import Options, Refused

    Floats = NDArray[np.float64]

__all__ = ["Measuring"]

MINUTES_TO_START = 5.0  # a machine, and the container on it
SECONDS_AT_LEAST = 30.0  # a search takes as long, whatever the stored part of one took
OTHERS = 4
A_TIE = 1e-9  # an option that is only as good is not chosen


class _Column(NamedTuple):
    """cost_draws: USD a month, infinite where the SLO is missed. machine: None for serverless."""

    machine: str | None
    cost_draws: Floats


@dataclass(frozen=True)
class Measuring:
    """What another measurement would take, and would show.

    offers: of the region. seconds: what the measurements made so far took. saturation_rps: draws
    of what a measurement would show, by the machine's bare name.
    """

    offers: Sequence[Offer]
    seconds: float
    saturation_rps: Mapping[str, Floats]

    def worth(self, options: Options, refused: Sequence[Refused]) -> ValueOfMeasuring | None:
        """None where no measurement could make any option meet the SLO."""
        doubtful = _cheapest_of_each(refused)
        if not options:
            return self._of_finding_any(doubtful)
        ranking = Ranking(options)
        places = ranking.cheapest_offers
        draws = ranking.cost_draws(places).T
        sure = [
            _Column(ranking.options[place].fleet.machine, costs)
            for place, costs in zip(places.tolist(), draws, strict=True)
        ]
        return self._of_choosing([*sure, *_priced_for_doubt(sure, doubtful)])

    def _of_choosing(self, columns: Sequence[_Column]) -> ValueOfMeasuring | None:
        machines = sorted({each.machine for each in columns if each.machine is not None})
        if not machines:
            return None
        place = {machine: n for n, machine in enumerate(machines)}
        found = value.next_measurement(
            np.stack([each.cost_draws for each in columns], axis=1),
            np.log(np.stack([self.saturation_rps[machine] for machine in machines], axis=1)),
            np.array([place.get(each.machine or "", -1) for each in columns]),
            [self._cost_of(machine) for machine in machines],
        )
        if found is None:
            return None
        others = [each for each in found.ranked if each is not found.best]
        return ValueOfMeasuring(
            best=None if found.best is None else _as_read(found.best),
            others=tuple(map(_as_read, others[:OTHERS])),
        )

    def _of_finding_any(self, doubtful: Sequence[_Column]) -> ValueOfMeasuring | None:
        """Nothing is chosen yet: the likeliest to meet the SLO, and of those the cheapest."""
        likely = {
            each.machine: float(np.mean(np.isfinite(each.cost_draws)))
            for each in reversed(doubtful)
            if each.machine is not None
        }
        if not likely:
            return None
        best, *others = (
            NextMeasurement(
                instance_type=cost.instance_type,
                minutes=cost.minutes,
                usd=amount_text(cost.usd),
                probability_changes_answer=likely[cost.instance_type],
                expected_saving_usd_per_month=None,
                command=cost.command,
            )
            for cost in sorted(
                map(self._cost_of, likely),
                key=lambda each: (-likely[each.instance_type], each.usd, each.instance_type),
            )
        )
        return ValueOfMeasuring(best=best, others=tuple(others[:OTHERS]))

    def _cost_of(self, machine: str) -> value.MeasuringCost:
        """By its on-demand price, where it has one: a plan is committed to for longer."""
        offer = self._rented[machine]
        minutes = round(MINUTES_TO_START + max(self.seconds, SECONDS_AT_LEAST) / 60, 1)
        return value.MeasuringCost(
            instance_type=machine,
            minutes=minutes,
            usd=offer.usd_per_hour * Decimal(str(minutes)) / 60,
            command=how_to_measure(offer.instance),
        )

    @cached_property
    def _rented(self) -> dict[str, Offer]:
        def dearest_last(offer: Offer) -> tuple[bool, Decimal]:
            return offer.purchase is not Purchase.ON_DEMAND, offer.usd_per_hour

        ordered = sorted(self.offers, key=dearest_last, reverse=True)
        return {offer.instance.name: offer for offer in ordered}


def _as_read(found: value.NextMeasurement) -> NextMeasurement:
    return NextMeasurement(
        instance_type=found.instance_type,
        minutes=found.minutes,
        usd=amount_text(found.usd),
        probability_changes_answer=found.probability_changes_answer,
        expected_saving_usd_per_month=amount_text(found.expected_saving_usd_per_month),
        command=found.command,
    )


def _cheapest_of_each(refused: Sequence[Refused]) -> list[_Column]:
    """Of each machine that was rejected only for doubt, at its lowest price."""
    cheapest: dict[int, Refused] = {}
    for each in refused:
        key = id(each.refusal)
        if each.refusal.quantity_draws is not None and (
            key not in cheapest or usd_per_unit(each.offer) < usd_per_unit(cheapest[key].offer)
        ):
            cheapest[key] = each
    columns = [
        _Column(
            each.refusal.machine,
            each.refusal.quantity_draws * float(usd_per_unit(each.offer))
            + float(sum(item.usd for item in each.refusal.items)),
        )
        for each in cheapest.values()
        if each.refusal.quantity_draws is not None
    ]
    return [each for each in columns if np.isfinite(each.cost_draws).any()]


def _priced_for_doubt(sure: Sequence[_Column], doubtful: Sequence[_Column]) -> list[_Column]:
    """Doubtful columns, with a finite price on missing the SLO where the choice asks for one."""
    costs = np.stack([each.cost_draws for each in (*sure, *doubtful)])
    met = np.isfinite(costs)
    counted = met.any(axis=0)
    least = costs.min(axis=0)
    usual = np.where(met, costs, 0.0).sum(axis=1) / met.sum(axis=1)
    losses = np.where(met, costs, least + usual[:, None])[:, counted]
    expected = losses.mean(axis=1)
    chosen = expected[: len(sure)].min() * (1 + A_TIE)
    short = np.maximum(chosen - expected, 0.0) / np.maximum(1 - met[:, counted].mean(axis=1), 1e-9)
    missed = np.where(met, costs, least + usual[:, None] + short[:, None])
    return [
        _Column(each.machine, np.where(counted, missed[n], np.inf))
        for n, each in enumerate(doubtful, start=len(sure))
    ]
