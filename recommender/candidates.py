"""Every way to serve that the price book knows, and why some are out before any figure is."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pricing import AWS, AcceleratorStatus, Platform, Purchase
from recommender.accelerated import has_datasheet
from recommender.limits import SERVERLESS_MAX_CONCURRENCY
from recommender.recommendation import Option, RejectReason, Serverless
from recommender.verdicts import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pricing import Accelerator, InstanceType, Offer, PriceBook, ServerlessOffer
    from recommender.accelerated import AcceleratedModel
    from recommender.demand import Constraints
    from recommender.recommendation import Rejected

__all__ = [
    "Candidates",
    "find_candidates",
    "how_to_measure",
    "option_of",
    "serverless_option",
]


@dataclass(frozen=True)
class Candidates:
    """machines: offers of machines a prediction can be made for. rejected: with the reason."""

    machines: tuple[Offer, ...]
    serverless: tuple[ServerlessOffer, ...]
    rejected: tuple[Rejected, ...]


def option_of(offer: Offer, replicas: int | None = None) -> Option:
    accelerator = offer.instance.accelerator
    return Option(
        platform=offer.platform.value,
        instance_type=offer.name,
        purchase=offer.purchase.value,
        region=offer.region,
        replicas=replicas,
        accelerator=None if accelerator is None else accelerator.text,
    )


def serverless_option(offer: ServerlessOffer, replicas: int | None = None) -> Option:
    return Option(
        platform="serverless",
        purchase="on-demand",
        region=offer.region,
        replicas=replicas,
        serverless=Serverless(
            memory_mib=offer.memory_mib, max_concurrency=SERVERLESS_MAX_CONCURRENCY
        ),
    )


def find_candidates(
    book: PriceBook,
    constraints: Constraints,
    measured: InstanceType | None,
    accelerated: AcceleratedModel | None = None,
) -> Candidates:
    """measured: the machine that the container was measured on, where it is one of the book's.

    accelerated: what is known of the model, where somebody said; else machines with an
    accelerator need a measurement.

    Raises UnknownRegion, and UnknownInstanceType for a pattern that fits nothing.
    """
    wanted = _wanted(book, constraints)
    return _Search(book, constraints, measured, wanted, accelerated).run()


def _wanted(book: PriceBook, constraints: Constraints) -> frozenset[str] | None:
    """Names that the patterns fit, EC2's and SageMaker's; None when all are wanted."""
    if not constraints.instance_types:
        return None
    globs = [pattern.strip().casefold() for pattern in constraints.instance_types]
    return frozenset(
        name
        for instance in book.matching(globs)
        for name in (instance.name, instance.hosting_name)
        if name is not None and any(fnmatchcase(name.casefold(), glob) for glob in globs)
    )


@dataclass(frozen=True)
class _Search:
    book: PriceBook
    constraints: Constraints
    measured: InstanceType | None
    wanted: frozenset[str] | None
    accelerated: AcceleratedModel | None

    def run(self) -> Candidates:
        region = self.book.require_region(self.constraints.region)
        machines = []
        rejected = [*self._retired(region), *self._unpriced(region)]
        for offer in self.book.offers(region):
            if not self._is_asked_for(offer):
                continue
            obstacle = self._obstacle(offer.instance)
            if obstacle is None:
                machines.append(offer)
            else:
                rejected.append(obstacle.of(option_of(offer), offer.usd_per_hour))
        serverless, out = self._serverless(region)
        return Candidates(tuple(machines), serverless, (*rejected, *out))

    def _is_asked_for(self, offer: Offer) -> bool:
        if self.wanted is not None and offer.name not in self.wanted:
            return False
        if offer.platform is Platform.OWN:
            return True
        return offer.platform.value in self.constraints.platforms and not _ways_to_buy(
            offer
        ).isdisjoint(self.constraints.purchases)

    def _obstacle(self, instance: InstanceType) -> Rejection | None:
        architecture = instance.cpu.architecture.value
        wanted = self.constraints.architectures
        if architecture not in wanted:
            return Rejection(
                RejectReason.ARCHITECTURE,
                f"{architecture} machine; the container is for {', '.join(wanted)}",
                f"--arch any, if the image is built for {architecture} too",
            )
        measured = self.measured
        if measured is not None and measured.name == instance.name:
            return None
        if instance.accelerator is not None:
            return self._untold(instance, instance.accelerator)
        return self._measured_on_accelerator(how_to_measure(instance))

    def _untold(self, instance: InstanceType, accelerator: Accelerator) -> Rejection | None:
        """Figures of a CPU and the model's file together tell of a GPU; neither does alone."""
        if self.accelerated is not None and not self._is_measured_on_accelerator:
            return self.accelerated.obstacle(instance, how_to_measure(instance))
        remedy = how_to_measure(instance)
        if has_datasheet(accelerator) and not self._is_measured_on_accelerator:
            remedy = f"name the model's file (recommender quick --model-file PATH), or {remedy}"
        return Rejection(
            RejectReason.NEEDS_MEASUREMENT,
            f"nothing measured elsewhere tells how this model runs on {accelerator.model}",
            remedy,
        )

    @property
    def _is_measured_on_accelerator(self) -> bool:
        return self.measured is not None and self.measured.accelerator is not None

    def _measured_on_accelerator(self, remedy: str) -> Rejection | None:
        """Figures of a GPU say nothing about a CPU either."""
        measured = self.measured
        if measured is None or measured.accelerator is None:
            return None
        return Rejection(
            RejectReason.NEEDS_MEASUREMENT,
            f"measured on {measured.accelerator.model} ({measured.name}), which tells nothing "
            "about a CPU",
            remedy,
        )

    def _serverless(self, region: str) -> tuple[tuple[ServerlessOffer, ...], tuple[Rejected, ...]]:
        constraints = self.constraints
        if (
            "serverless" not in constraints.platforms
            or "on-demand" not in constraints.purchases
            or constraints.instance_types
        ):
            return (), ()
        offers = self.book.serverless(region)
        if not offers:
            option = Option(platform="serverless", purchase="on-demand", region=region)
            detail = f"price book {self.book.name} has no serverless price for {region}"
            return (), (Rejection(RejectReason.NO_PRICE, detail).of(option),)
        obstacle = self._serverless_obstacle()
        if obstacle is None:
            return offers, ()
        return (), tuple(obstacle.of(serverless_option(offer)) for offer in offers)

    def _serverless_obstacle(self) -> Rejection | None:
        wanted = self.constraints.architectures
        if "x86_64" not in wanted:
            return Rejection(
                RejectReason.ARCHITECTURE,
                f"taken for x86_64, as AWS says nothing else; the container is for {wanted[0]}",
                "--arch any, if the image is built for x86_64 too",
            )
        return self._measured_on_accelerator("measure it on a CPU: recommender quick --command …")

    def _retired(self, region: str) -> Iterator[Rejected]:
        constraints = self.constraints
        if constraints.instance_types or "on-demand" not in constraints.purchases:
            return
        for offer in self.book.accelerators(region):
            if (
                offer.platform.value not in constraints.platforms
                or offer.status is not AcceleratorStatus.RETIRED
            ):
                continue
            option = Option(
                platform=offer.platform.value,
                purchase="on-demand",
                region=region,
                accelerator=offer.name,
            )
            yield Rejection(
                RejectReason.RETIRED,
                f"Elastic Inference closed to new customers on {offer.retired_on}; kept for "
                "comparison only",
                "fractional GPUs (g6f) took its place",
            ).of(option)

    def _unpriced(self, region: str) -> Iterator[Rejected]:
        constraints, wanted = self.constraints, self.wanted
        if "on-demand" not in constraints.purchases:
            return
        for row in self.book.unpriced(region):
            is_hosting = row.platform is Platform.SAGEMAKER
            name = row.instance.hosting_name if is_hosting else row.instance.name
            if row.platform.value not in constraints.platforms or (
                wanted is not None and name not in wanted
            ):
                continue
            option = Option(
                platform=row.platform.value,
                instance_type=name,
                purchase="on-demand",
                region=region,
            )
            yield Rejection(RejectReason.NO_PRICE, row.reason).of(option)


def _ways_to_buy(offer: Offer) -> frozenset[str]:
    """A savings plan is on-demand at another rate: who asks for that, asks for it too."""
    if offer.purchase is Purchase.SAVINGS_PLAN:
        return frozenset({Purchase.SAVINGS_PLAN.value, Purchase.ON_DEMAND.value})
    return frozenset({offer.purchase.value})


def how_to_measure(instance: InstanceType) -> str:
    own = "" if instance.provider == AWS else " --offers CSV"
    return (
        f"start the container on a {instance.name} and run: recommender quick "
        f"--url http://HOST:8080 --payload FILE --measured-on {instance.name}{own}"
    )
