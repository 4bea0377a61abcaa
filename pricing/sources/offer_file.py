"""The AWS Price List as public files: one a service and region, without credentials.

EC2's is over 400 MB a region. First come its products, of which those of inference are kept, then
the on-demand terms of these, and it is read no further.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import ijson

from pricing.sources.products import EC2, ELB, SAGEMAKER, Product, is_priced, prices_in
from pricing.sources.region_files import OFFER_URL, RegionFiles, day_of, pushed
from pricing.sources.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pricing.sources.seen import Report

__all__ = ["OfferFile"]

_NAMES: Final = {SAGEMAKER: "offer-file", EC2: "ec2-offer-file", ELB: "elb-offer-file"}


class OfferFile:
    """service: its code in the price list, as in pricing.sources.products."""

    def __init__(self, service: str, base_url: str = OFFER_URL) -> None:
        self.name = _NAMES[service]
        self._service = service
        index = f"/offers/v1.0/aws/{service}/current/region_index.json"
        self._files = RegionFiles(service, base_url, index, _paths_in)

    @property
    def identity(self) -> str:
        return self._files.identity

    def seen(self, region: str, report: Report) -> Seen:
        url = self._files.url(region)
        if url is None:
            return Seen()
        reading = _Reading(url, self._service, region)
        self._files.read(url, reading, report)
        prices, refused = prices_in(reading.products(), region)
        return Seen(prices=prices, refused=refused)


def _paths_in(index: Any) -> dict[str, str]:  # noqa: ANN401 - whatever JSON holds
    return {region: str(told["currentVersionUrl"]) for region, told in index["regions"].items()}


@dataclass
class _Reading:
    """What has been read of one file, and the parsers that it is pushed through."""

    url: str
    service: str
    region: str
    _published: list[Any] = field(default_factory=ijson.sendable_list)
    _products: list[Any] = field(default_factory=ijson.sendable_list)
    _terms: list[Any] = field(default_factory=ijson.sendable_list)
    _wanted: dict[str, dict[str, str]] = field(default_factory=dict)
    _found: dict[str, dict[str, Any]] = field(default_factory=dict)
    _products_begun: bool = False
    _terms_begun: bool = False

    def __post_init__(self) -> None:
        self._parsers = {
            "publicationDate": ijson.items_coro(self._published, "publicationDate"),
            "products": ijson.kvitems_coro(self._products, "products"),
            "terms": ijson.kvitems_coro(self._terms, "terms.OnDemand"),
        }

    def take(self, chunk: bytes) -> None:
        """An empty chunk is the end of the file."""
        with pushed(self.url, chunk, self._parsers.values()):
            self._keep_products()
            self._keep_terms()
            self._drop_done()

    def is_done(self) -> bool:
        """Every product has its terms: what follows in the file is not for us."""
        return self._terms_begun and len(self._found) == len(self._wanted)

    def products(self) -> Iterator[Product]:
        published_on = day_of(self.url, self._published)
        for sku, attributes in self._wanted.items():
            yield Product(sku, attributes, self._found.get(sku, {}), published_on)

    def _keep_products(self) -> None:
        for sku, product in self._products:
            attributes = {"servicecode": self.service, **product.get("attributes", {})}
            if is_priced(attributes, self.region):
                self._wanted[sku] = attributes
            self._products_begun = True
        self._products.clear()

    def _keep_terms(self) -> None:
        for sku, terms in self._terms:
            if not self._products_begun:
                raise ValueError("its terms stand before its products")
            if sku in self._wanted:
                self._found[sku] = dict(terms)
            self._terms_begun = True
        self._terms.clear()

    def _drop_done(self) -> None:
        """Each parser costs a third of the time."""
        if self._published:
            self._parsers.pop("publicationDate", None)
        if self._terms_begun:
            self._parsers.pop("products", None)
