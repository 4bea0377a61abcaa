"""The AWS Price List as public files: one a service and region, without credentials.

EC2's is over 400 MB a region. It is read as it arrives and never held: first its products, of
which those of inference are kept, then the on-demand terms of these, and no further. JSON and not
CSV: of a CSV that was cut short nobody can tell.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import ijson

from pricing.errors import BadOffer
from pricing.sources.products import EC2, ELB, SAGEMAKER, Product, is_priced, prices_in
from pricing.sources.seen import Seen
from pricing.sources.web import CHUNK_BYTES, Web

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from pricing.sources.seen import Report

__all__ = ["OFFER_URL", "OfferFile"]

OFFER_URL: Final = "https://pricing.us-east-1.amazonaws.com"
_AGAIN: Final = "run the same command again; if it stays, the file is bad where it is published"
_NAMES: Final = {SAGEMAKER: "offer-file", EC2: "ec2-offer-file", ELB: "elb-offer-file"}


class OfferFile:
    """service: its code in the price list, as in pricing.sources.products."""

    def __init__(self, service: str, base_url: str = OFFER_URL) -> None:
        self.name = _NAMES[service]
        self._service, self._base_url = service, base_url.rstrip("/")
        self._web = Web()
        self._paths: dict[str, str] | None = None

    @property
    def identity(self) -> str:
        return f"{self._base_url} {self._service}"

    def seen(self, region: str, report: Report) -> Seen:
        if self._paths is None:
            self._paths = self._index()
        path = self._paths.get(region)
        if path is None:
            return Seen()
        url = f"{self._base_url}/{path.lstrip('/')}"
        reading = _Reading(url, self._service, region)
        with self._web.file(url) as answer:
            for read_bytes, chunk in _chunks(answer):
                reading.take(chunk)
                report(f"{self._service}, {read_bytes / 1e6:.0f} MB{_of(answer)}")
                if reading.is_done():
                    break
        prices, refused = prices_in(reading.products(), region)
        return Seen(prices=prices, refused=refused)

    def _index(self) -> dict[str, str]:
        """Where the file of each region is."""
        url = f"{self._base_url}/offers/v1.0/aws/{self._service}/current/region_index.json"
        with self._web.file(url) as answer:
            content = answer.content
        try:
            regions = json.loads(content)["regions"]
            return {region: str(told["currentVersionUrl"]) for region, told in regions.items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadOffer(
                f"{url} is not the index of an offer: {type(error).__name__}: {error}",
                hint=_AGAIN,
            ) from error


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
        try:
            with suppress(StopIteration):  # a parser's own word for a file that ends as it should
                for parser in tuple(self._parsers.values()):
                    parser.send(chunk)
            self._keep_products()
            self._keep_terms()
            self._drop_done()
        except (ijson.JSONError, AttributeError, TypeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise BadOffer(
                f"{self.url} is malformed or cut short: {said[:200]}", hint=_AGAIN
            ) from error

    def is_done(self) -> bool:
        """Every product has its terms: what follows in the file is not for us."""
        return self._terms_begun and len(self._found) == len(self._wanted)

    def products(self) -> Iterator[Product]:
        if not self._published:
            raise BadOffer(f"{self.url} does not say of which day it is", hint=_AGAIN)
        try:
            published_on = date.fromisoformat(str(self._published[0])[:10])
        except ValueError as error:
            raise BadOffer(f"{self.url} is of no day: {error}", hint=_AGAIN) from error
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


def _chunks(answer: requests.Response) -> Iterator[tuple[int, bytes]]:
    """And the empty chunk that tells a parser that there is no more."""
    read_bytes = 0
    for chunk in answer.iter_content(CHUNK_BYTES):
        read_bytes += len(chunk)
        yield read_bytes, chunk
    yield read_bytes, b""


def _of(answer: requests.Response) -> str:
    """Of how much; of a compressed file that is not known."""
    length = answer.headers.get("Content-Length", "")
    if not length.isdigit() or "Content-Encoding" in answer.headers:
        return ""
    return f" of {int(length) / 1e6:.0f}"
