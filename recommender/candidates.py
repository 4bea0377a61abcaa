"""Every way to serve that the price book knows, and why some are out before any figure is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pricing import AcceleratorStatus, Platform, ServerlessComponent
from recommender.recommendation import Option, Rejected, RejectReason, Serverless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pricing import InstanceType, Offer, PriceBook, ServerlessOffer
    from recommender.demand import Constraints

__all__ = ["SERVERLESS_MAX_CONCURRENCY", "Candidates", "find_candidates", "option_of"]

SERVERLESS_MAX_CONCURRENCY = 200  # of one serverless endpoint


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
        accelerator=None if accelerator is None else f"{accelerator.count:g} × {accelerator.model}",
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
    book: PriceBook, constraints: Constraints, measured_on: frozenset[str]
) -> Candidates:
    """measured_on: instance types the container was measured on itself, accelerators included.

    Raises UnknownRegion, and UnknownInstanceType for a pattern that fits nothing.
    """
    region = book.require_region(constraints.region)
    wanted = _wanted(book, constraints)
    machines, rejected = [], list(_retired(book, region, constraints))
    rejected += _unpriced(book, region, constraints, wanted)
    for offer in book.offers(region):
        if not _is_asked_for(offer, constraints, wanted):
            continue
        reason = _obstacle(offer, constraints, measured_on)
        if reason is None:
            machines.append(offer)
        else:
            rejected.append(reason)
    serverless = tuple(
        offer
        for offer in book.serverless(region)
        if offer.component is ServerlessComponent.ON_DEMAND
        and "serverless" in constraints.platforms
        and not constraints.instance_types
    )
    if "serverless" in constraints.platforms and not serverless and not constraints.instance_types:
        rejected.append(_serverless_unpriced(region, book))
    return Candidates(tuple(machines), serverless, tuple(rejected))


def _wanted(book: PriceBook, constraints: Constraints) -> frozenset[str] | None:
    """Names that the patterns fit, in the spelling of the platform meant; None when all are wanted."""
    if not constraints.instance_types:
        return None
    names: set[str] = set()
    for pattern in constraints.instance_types:
        is_hosting = pattern.startswith("ml.")
        for instance in book.matching([pattern]):
            name = instance.hosting_name if is_hosting else instance.name
            if name is not None:
                names.add(name)
    return frozenset(names)


def _is_asked_for(offer: Offer, constraints: Constraints, wanted: frozenset[str] | None) -> bool:
    return (
        offer.platform.value in constraints.platforms
        and offer.purchase.value in constraints.purchases
        and (wanted is None or offer.name in wanted)
    )


def _obstacle(
    offer: Offer, constraints: Constraints, measured_on: frozenset[str]
) -> Rejected | None:
    instance = offer.instance
    architecture = instance.cpu.architecture.value
    if architecture not in constraints.architectures:
        return Rejected(
            option=option_of(offer),
            reason=RejectReason.ARCHITECTURE,
            detail=f"{architecture} machine; the container is for {', '.join(constraints.architectures)}",
            remedy=f"--arch any, if the image is built for {architecture} too",
        )
    if instance.accelerators and not {instance.name, instance.hosting_name} & measured_on:
        return Rejected(
            option=option_of(offer),
            reason=RejectReason.NEEDS_MEASUREMENT,
            detail="nothing measured on a CPU tells how this model runs on an accelerator",
            remedy=_how_to_measure(instance),
        )
    return None


def _how_to_measure(instance: InstanceType) -> str:
    return (
        f"start the container on a {instance.name} and run: recommender quick "
        f"--url http://HOST:8080 --measured-on {instance.name}"
    )


def _retired(book: PriceBook, region: str, constraints: Constraints) -> Iterator[Rejected]:
    if constraints.instance_types:
        return
    for offer in book.accelerators(region):
        platform = offer.platform.value
        if platform not in constraints.platforms or offer.status is not AcceleratorStatus.RETIRED:
            continue
        yield Rejected(
            option=Option(
                platform="sagemaker" if offer.platform is Platform.SAGEMAKER else "ec2",
                purchase="on-demand",
                region=region,
                accelerator=offer.name,
            ),
            reason=RejectReason.RETIRED,
            detail=f"Elastic Inference closed to new customers on {offer.retired_on}; "
            "kept for comparison only",
            remedy="fractional GPUs (g6f) took its place",
        )


def _unpriced(
    book: PriceBook, region: str, constraints: Constraints, wanted: frozenset[str] | None
) -> Iterator[Rejected]:
    for row in book.unpriced(region):
        name = row.instance.hosting_name if row.platform is Platform.SAGEMAKER else row.instance.name
        if row.platform.value not in constraints.platforms or (wanted and name not in wanted):
            continue
        yield Rejected(
            option=Option(
                platform="sagemaker" if row.platform is Platform.SAGEMAKER else "ec2",
                instance_type=name,
                purchase="on-demand",
                region=region,
            ),
            reason=RejectReason.NO_PRICE,
            detail=row.reason,
        )


def _serverless_unpriced(region: str, book: PriceBook) -> Rejected:
    return Rejected(
        option=Option(platform="serverless", purchase="on-demand", region=region),
        reason=RejectReason.NO_PRICE,
        detail=f"price book {book.name} has no serverless price for {region}",
    )
