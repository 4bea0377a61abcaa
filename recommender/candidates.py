"""Every way to serve that the price book knows, and why some are out before any figure is."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pricing import AcceleratorStatus, Platform
from recommender.limits import SERVERLESS_MAX_CONCURRENCY
from recommender.recommendation import Option, RejectReason, Serverless
from recommender.verdicts import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pricing import Accelerator, InstanceType, Offer, PriceBook, ServerlessOffer
    from recommender.demand import Constraints
    from recommender.recommendation import Rejected

__all__ = ["Candidates", "find_candidates", "option_of", "serverless_option"]


@dataclass(frozen=True)
class Candidates:
    """machines: offers of machines a prediction can be made for. rejected: with the reason."""

    machines: tuple[Offer, ...]
    serverless: tuple[ServerlessOffer, ...]
    rejected: tuple[Rejected, ...]


def option_of(offer: Offer, replicas: int | None = None) -> Option:
    accelerator = offer.instance.accelerator
    return Option(
        platform="sagemaker" if offer.platform is Platform.SAGEMAKER else "ec2",
        instance_type=offer.name,
        purchase=offer.purchase.value,
        region=offer.region,
        replicas=replicas,
        accelerator=None if accelerator is None else _devices(accelerator),
    )


def _devices(accelerator: Accelerator) -> str:
    return f"{accelerator.count:g} × {accelerator.model}"  # noqa: RUF001 - a count, for people


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
    book: PriceBook, constraints: Constraints, measured: InstanceType | None
) -> Candidates:
    """measured: the machine that the container was measured on, where it is one of the book's.

    Raises UnknownRegion, and UnknownInstanceType for a pattern that fits nothing.
    """
    return _Search(book, constraints, measured, _wanted(book, constraints)).run()


def _wanted(book: PriceBook, constraints: Constraints) -> frozenset[str] | None:
    """Names that the patterns fit, EC2's and SageMaker's; None when all are wanted."""
    if not constraints.instance_types:
        return None
    globs = [pattern.strip().casefold() for pattern in constraints.instance_types]
    return frozenset(
        name
        for instance in book.matching(globs)
        for name in (instance.name, instance.hosting_name)
        if name is not None and any(fnmatchcase(name, glob) for glob in globs)
    )


@dataclass(frozen=True)
class _Search:
    book: PriceBook
    constraints: Constraints
    measured: InstanceType | None
    wanted: frozenset[str] | None

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
        return (
            offer.platform.value in self.constraints.platforms
            and offer.purchase.value in self.constraints.purchases
            and (self.wanted is None or offer.name in self.wanted)
        )

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
            return Rejection(
                RejectReason.NEEDS_MEASUREMENT,
                "nothing measured elsewhere tells how this model runs on "
                f"{instance.accelerator.model}",
                _how_to_measure(instance),
            )
        return self._measured_on_accelerator(_how_to_measure(instance))

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
                platform="sagemaker" if offer.platform is Platform.SAGEMAKER else "ec2",
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
                platform="sagemaker" if is_hosting else "ec2",
                instance_type=name,
                purchase="on-demand",
                region=region,
            )
            yield Rejection(RejectReason.NO_PRICE, row.reason).of(option)


def _how_to_measure(instance: InstanceType) -> str:
    return (
        f"start the container on a {instance.name} and run: recommender quick "
        f"--url http://HOST:8080 --payload FILE --measured-on {instance.name}"
    )
