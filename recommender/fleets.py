"""What serves, and on which terms it is bought: the two halves of an option that meets the SLO.

A fleet is judged once, however many offers there are of its machine. Whatever a person reads of an
option (its name, its bill) is made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self, overload

from typing_extensions import override

from pricing import Platform, ServerlessOffer
from recommender.candidates import option_of, serverless_option
from recommender.cost import Bill, LineItem
from recommender.recommendation import Carried, PriceFacts
from recommender.sizing import cautious
from recommender.verdicts import range_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from pricing import Offer
    from recommender.recommendation import ObjectiveVerdict, Option, Performance, Rejected
    from recommender.verdicts import Rejection

    Floats = NDArray[np.float64]

__all__ = ["Carrying", "Evaluated", "Fleet", "Options", "Refusal", "Refused", "usd_per_unit"]


@dataclass(frozen=True, eq=False)
class Carrying:
    """One replica's draws, as `Carried` tells them."""

    vcpus: float
    silicon: str | None
    speed_ratio: Floats | None
    at_source_rps: Floats | None
    saturation_rps: Floats
    capacity_rps: Floats
    confidence: float

    @cached_property
    def told(self) -> Carried:
        speed, at_source = self.speed_ratio, self.at_source_rps
        return Carried(
            vcpus=self.vcpus,
            silicon=self.silicon,
            speed_ratio=None if speed is None else range_of(speed),
            at_source_rps=None if at_source is None else range_of(at_source),
            saturation_rps=range_of(self.saturation_rps),
            capacity_rps=range_of(self.capacity_rps),
            sized_by_rps=cautious(self.capacity_rps, self.confidence),
        )


@dataclass(frozen=True, eq=False)
class Fleet:
    """One way to serve, whatever it costs.

    quantity: of what is paid for (`unit`), in a month. quantity_draws: what each draw would need
    of it, infinite where no fleet meets the SLO; shape (draws,). items: what else is on the bill,
    the same for every offer. machine: the instance type's bare name; None for serverless.
    """

    machine: str | None
    replicas: int
    unit: str
    quantity: Decimal
    quantity_draws: Floats
    performance: Performance
    verdicts: tuple[ObjectiveVerdict, ...]
    items: tuple[LineItem, ...] = ()
    notes: tuple[str, ...] = ()
    carrying: Carrying | None = None


class Evaluated(NamedTuple):
    fleet: Fleet
    offer: Offer | ServerlessOffer

    @property
    def option(self) -> Option:
        if isinstance(self.offer, ServerlessOffer):
            return serverless_option(self.offer, self.fleet.replicas)
        return option_of(self.offer, self.fleet.replicas)

    @property
    def bill(self) -> Bill:
        """The offer's own item first."""
        fleet, price = self.fleet, usd_per_unit(self.offer)
        return Bill((LineItem(self._item, fleet.quantity, fleet.unit, price), *fleet.items))

    @property
    def price(self) -> PriceFacts:
        offer = self.offer
        return PriceFacts(
            basis=offer.basis.value,
            confidence=offer.confidence.value,
            observed_on=offer.observed_on.isoformat(),
            source=offer.source,
        )

    @property
    def carried(self) -> Carried | None:
        return None if self.fleet.carrying is None else self.fleet.carrying.told

    @property
    def performance(self) -> Performance:
        return self.fleet.performance.model_copy(update={"price_basis": self.offer.basis.value})

    @property
    def notes(self) -> tuple[str, ...]:
        if isinstance(self.offer, ServerlessOffer):
            return self.fleet.notes
        return (*self.fleet.notes, *_spot_notes(self.offer))

    @property
    def _item(self) -> str:
        if isinstance(self.offer, ServerlessOffer):
            return f"compute at {self.offer.memory_mib // 1024} GB"
        if self.offer.platform is Platform.OWN:
            return self.offer.name
        return f"{self.offer.name} {self.offer.purchase.value}"


@dataclass(frozen=True, eq=False)
class Options(Sequence[Evaluated]):
    """Many of them, by column: nothing is allocated for one that nobody reads."""

    fleets: Sequence[Fleet]
    offers: Sequence[Offer | ServerlessOffer]

    @classmethod
    def of(cls, options: Iterable[Evaluated]) -> Self:
        given = tuple(options)
        return cls([each.fleet for each in given], [each.offer for each in given])

    def and_these(self, others: Options) -> Options:
        return Options([*self.fleets, *others.fleets], [*self.offers, *others.offers])

    @override
    def __len__(self) -> int:
        return len(self.offers)

    @overload
    def __getitem__(self, place: int) -> Evaluated: ...

    @overload
    def __getitem__(self, place: slice) -> Options: ...

    @override
    def __getitem__(self, place: int | slice) -> Evaluated | Options:
        if isinstance(place, slice):
            return Options(self.fleets[place], self.offers[place])
        return Evaluated(self.fleets[place], self.offers[place])


@dataclass(frozen=True, eq=False)
class Refusal:
    """Why a machine does not serve, whatever it costs.

    quantity_draws: what each draw would need, where only doubt stands in the way: a measurement
    could make it the cheapest. None where nothing of that kind would help.
    """

    obstacle: Rejection
    machine: str | None = None
    quantity_draws: Floats | None = None
    items: tuple[LineItem, ...] = ()


class Refused(NamedTuple):
    refusal: Refusal
    offer: Offer | ServerlessOffer

    @property
    def rejected(self) -> Rejected:
        if isinstance(self.offer, ServerlessOffer):
            return self.refusal.obstacle.of(serverless_option(self.offer))
        return self.refusal.obstacle.of(option_of(self.offer), self.offer.usd_per_hour)


def usd_per_unit(offer: Offer | ServerlessOffer) -> Decimal:
    """Per instance-hour; of serverless per second."""
    return offer.usd_per_second if isinstance(offer, ServerlessOffer) else offer.usd_per_hour


def _spot_notes(offer: Offer) -> tuple[str, ...]:
    if offer.purchase.value != "spot":
        return ()
    if offer.interruption_band is None:
        return ("spot: how often such machines are reclaimed is not known",)
    return (f"spot: {offer.interruption_band} of such machines are reclaimed in a month",)
