"""Products of the AWS Price List, and which of them are prices of inference.

The API and the public offer files tell of the same products, each with attributes and terms.
Attributes that are not asked for here may come, go and change. What sets a product apart are its
component and its usage type: the same machine stands in the list as notebook, training, hosting,
studio and HyperPod, at prices that differ. A region is its regionCode; the prefix of a usage type
(EUW3-, APN1-, none) is not one name for one region.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pricing.offers import (
    Confidence,
    Platform,
    PriceBasis,
    ServerlessComponent,
    UnitItem,
)
from pricing.sources.listed import NotBelieved, agreed, listed_usd
from pricing.sources.seen import (
    Hourly,
    Priced,
    Refused,
    SeenPrice,
    ServerlessMemory,
    refused_price,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date

__all__ = ["EC2", "ELB", "SAGEMAKER", "Product", "is_priced", "prices_in"]

SAGEMAKER: Final = "AmazonSageMaker"
EC2: Final = "AmazonEC2"
ELB: Final = "AWSELB"

HOSTING: Final = "Hosting"
# Asynchronous inference and batch transform cost what hosting costs: the book has one price.
_USAGE_OF: Final = {HOSTING: "Host", "AsyncInf": "AsyncInf", "BatchTransform": "Tsform"}
_PLAIN_EC2: Final = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "operation": "RunInstances",
}
_PROVISIONED: Final = re.compile(r"ProvisionedConcurrency:(Usage|Mem)-(\d+)GB$")
_SERVERLESS: Final = re.compile(r"(?:^|-)ServerlessInf:Mem-(\d+)GB$")
_DATA: Final = re.compile(r"(?:^|-)Hst:Data-Bytes-(In|Out)$")
# Endpoints have gp2 volumes only; the list has gp3 ones of notebooks and Studio too.
_STORAGE: Final = re.compile(r"(?:^|-)Host:VolumeUsage\.gp2$")
# Not of Outposts, trust stores and capacity reserved ahead, which have prefixes of their own.
_LOAD_BALANCER: Final = re.compile(r"(?:(?:EU|[A-Z]{3}\d)-)?(LoadBalancer|LCU)Usage$")
_SUFFIX: Final = re.compile(r"-[a-z-]+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Product:
    """`terms`: its on-demand terms by code; those with money upfront are never read."""

    sku: str
    attributes: Mapping[str, str]
    terms: Mapping[str, Any]
    published_on: date

    @property
    def source(self) -> str:
        return f"AWS Price List of {self.published_on}, SKU {self.sku}"


def prices_in(
    products: Iterable[Product], region: str
) -> tuple[tuple[SeenPrice, ...], tuple[Refused, ...]]:
    """Prices of inference among the products, and those that look like one and cannot be.

    Products of other uses are passed over in silence: there are thousands.
    """
    hosting: dict[Priced, list[SeenPrice]] = {}
    others: list[tuple[str, SeenPrice]] = []
    refused: list[Refused] = []
    for product in products:
        try:
            found = _found(product, region)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            refused.append(_refused(product, region, product.sku, f"cannot be read: {error}"))
            continue
        if isinstance(found, Refused):
            refused.append(found)
        elif found is not None:
            component, price = found
            if component in ("", HOSTING):
                hosting.setdefault(price.what, []).append(price)
            else:
                others.append((component, price))
    prices, contradicting = agreed(hosting)
    refused += contradicting
    refused += _apart_from_hosting(prices, others)
    return tuple(prices.values()), tuple(refused)


def _found(product: Product, region: str) -> tuple[str, SeenPrice] | Refused | None:
    """Component and price; None where the product is not for us."""
    what, component = _inference(product.attributes, region)
    if what is None:
        return None
    try:
        return component, _price(product, what, region)
    except NotBelieved as reason:
        usd = _as_said(product.terms)
        return replace(_refused(product, region, str(what), str(reason)), usd=usd)


def is_priced(attributes: Mapping[str, str], region: str) -> bool:
    """Is a product with these attributes one of inference in that region?"""
    return _inference(attributes, region)[0] is not None


def _inference(attributes: Mapping[str, str], region: str) -> tuple[Priced | None, str]:
    """What the product is the price of; None where it is not for us."""
    if attributes.get("regionCode") != region:
        return None, ""
    if attributes.get("locationType", "AWS Region") != "AWS Region":
        return None, ""
    of_another_service = _OTHER_SERVICES.get(attributes.get("servicecode", ""))
    if of_another_service is not None:
        return of_another_service(attributes), ""
    component = attributes.get("component", "")
    if component:
        return _hosting(attributes, component), component
    return _serverless(attributes) or _by_quantity(attributes), ""


def _ec2(attributes: Mapping[str, str]) -> Hourly | None:
    instance = attributes.get("instanceType", "")
    if any(attributes.get(name) != value for name, value in _PLAIN_EC2.items()):
        return None
    if attributes.get("marketoption", "OnDemand") != "OnDemand":
        return None  # capacity blocks stand in the list at no price
    if not attributes.get("usagetype", "").endswith(f"BoxUsage:{instance}"):
        return None
    return Hourly(instance, Platform.EC2)


def _load_balancer(attributes: Mapping[str, str]) -> UnitItem | None:
    """Of an application load balancer; network and gateway ones have the same usage types."""
    if attributes.get("operation") != "LoadBalancing:Application":
        return None
    usage = _LOAD_BALANCER.match(attributes.get("usagetype", ""))
    if usage is None:
        return None
    return UnitItem.LOAD_BALANCER if usage[1] != "LCU" else UnitItem.LOAD_BALANCER_CAPACITY


_OTHER_SERVICES: Final = {EC2: _ec2, ELB: _load_balancer}


def _hosting(attributes: Mapping[str, str], component: str) -> Hourly | None:
    usage = _USAGE_OF.get(component)
    if usage is None:
        return None
    # instanceType carries the component in a suffix whose case is not stable.
    name = attributes.get("instanceName") or _SUFFIX.sub("", attributes.get("instanceType", ""))
    if not name.startswith("ml."):
        return None
    if not re.search(rf"(?:^|-){usage}:{re.escape(name)}$", attributes.get("usagetype", "")):
        return None  # reserved capacity and plans: sold otherwise, by the hour for nothing
    return Hourly(name.removeprefix("ml."), Platform.SAGEMAKER)


def _serverless(attributes: Mapping[str, str]) -> ServerlessMemory | None:
    usage = attributes.get("usagetype", "")
    provisioned = _PROVISIONED.search(usage)
    if provisioned is not None:
        component = {
            "Usage": ServerlessComponent.PROVISIONED_USAGE,
            "Mem": ServerlessComponent.PROVISIONED_DURATION,
        }[provisioned[1]]
        return ServerlessMemory(int(provisioned[2]) * 1024, component)
    on_demand = _SERVERLESS.search(usage)
    if on_demand is None:
        return None
    return ServerlessMemory(int(on_demand[1]) * 1024, ServerlessComponent.ON_DEMAND)


def _by_quantity(attributes: Mapping[str, str]) -> UnitItem | None:
    usage = attributes.get("usagetype", "")
    data = _DATA.search(usage)
    if data is not None:
        return UnitItem.DATA_IN if data[1] == "In" else UnitItem.DATA_OUT
    return UnitItem.ENDPOINT_STORAGE if _STORAGE.search(usage) else None


def _price(product: Product, what: Priced, region: str) -> SeenPrice:
    dimension = _only_dimension(product)
    return SeenPrice(
        what=what,
        usd=listed_usd(what, dimension.get("unit"), dimension.get("pricePerUnit", {}).get("USD")),
        region=region,
        observed_on=product.published_on,
        source=product.source,
        basis=PriceBasis.REPORTED,
        confidence=Confidence.HIGH,
    )


def _only_dimension(product: Product) -> Mapping[str, Any]:
    """The one price of the one term. Of several terms, the last to have come into force."""
    if not product.terms:
        raise NotBelieved("has no on-demand term: it is sold with money upfront only")
    begun = {str(term.get("effectiveDate", ""))[:10]: term for term in product.terms.values()}
    in_force = [day for day in begun if day <= product.published_on.isoformat()]
    if not in_force:
        raise NotBelieved(f"comes into force on {min(begun)} only")
    term = begun[max(in_force)]
    dimensions = list(term.get("priceDimensions", {}).values())
    if len(dimensions) != 1:
        raise NotBelieved(f"is priced in {len(dimensions)} tiers; the book has one price")
    (dimension,) = dimensions
    if dimension.get("beginRange", "0") != "0" or dimension.get("endRange", "Inf") != "Inf":
        raise NotBelieved(
            f"is one tier of several: from {dimension.get('beginRange')}"
            f" to {dimension.get('endRange')}"
        )
    return dict(dimension)


def _apart_from_hosting(
    hosting: Mapping[Priced, SeenPrice], others: Iterable[tuple[str, SeenPrice]]
) -> Iterator[Refused]:
    """A machine for which asynchronous inference or batch transform has another price."""
    for component, price in others:
        same = hosting.get(price.what)
        if same is None or same.usd != price.usd:
            wanted = "no hosting price" if same is None else f"{same.usd} USD for hosting"
            yield refused_price(
                price, f"{component}: the list has {wanted}; the book has one price for all uses"
            )


def _refused(product: Product, region: str, what: str, reason: str) -> Refused:
    return Refused(
        region=region,
        what=what,
        reason=reason,
        source=product.source,
        observed_on=product.published_on,
    )


def _as_said(terms: Mapping[str, Any]) -> str:
    said = [
        str(dimension.get("pricePerUnit", {}).get("USD", ""))
        for term in terms.values()
        for dimension in term.get("priceDimensions", {}).values()
    ]
    return said[0] if len(said) == 1 else ""
