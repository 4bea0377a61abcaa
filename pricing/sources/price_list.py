"""The AWS Price List by its API: needs credentials with the right pricing:GetProducts."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from pricing.sources.aws import PRICING_REGION, Aws, faults_named
from pricing.sources.products import EC2, ELB, SAGEMAKER, Product, prices_in
from pricing.sources.seen import Refused, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pricing.sources.seen import Report

__all__ = ["PriceList"]

# Each asks for what the book has and for little more: the whole list of a region is 400 MB.
_ASKED: Final = (
    (SAGEMAKER, {"productFamily": "ML Instance", "component": "Hosting"}),
    (SAGEMAKER, {"productFamily": "ML Instance", "component": "AsyncInf"}),
    (SAGEMAKER, {"productFamily": "ML Instance", "component": "BatchTransform"}),
    (SAGEMAKER, {"productFamily": "ML Serverless"}),
    (SAGEMAKER, {"productFamily": "Storage", "volumeType": "General Purpose-Hosting"}),
    (SAGEMAKER, {"group": "Hosting:IN"}),
    (SAGEMAKER, {"group": "Hosting:OUT"}),
    (
        EC2,
        {
            "productFamily": "Compute Instance",
            "operatingSystem": "Linux",
            "tenancy": "Shared",
            "preInstalledSw": "NA",
            "capacitystatus": "Used",
            "marketoption": "OnDemand",
        },
    ),
    (ELB, {"productFamily": "Load Balancer-Application"}),
)


class PriceList:
    name = "price-list"

    def __init__(self, aws: Aws) -> None:
        self._client = aws.client("pricing", PRICING_REGION)

    @property
    def identity(self) -> str:
        return str(self._client.meta.endpoint_url)

    def seen(self, region: str, report: Report) -> Seen:
        refused: list[Refused] = []
        with faults_named("AWS Price List"):
            products = tuple(self._products(region, refused, report))
        prices, not_believed = prices_in(products, region)
        return Seen(prices=prices, refused=(*refused, *not_believed))

    def _products(self, region: str, refused: list[Refused], report: Report) -> Iterator[Product]:
        count = 0
        for service, wanted in _ASKED:
            for page in self._pages(service, {**wanted, "regionCode": region}):
                for text in page["PriceList"]:
                    count += 1
                    try:
                        yield _product(text)
                    except (KeyError, TypeError, ValueError) as error:
                        refused.append(_unreadable(region, text, error))
                report(f"{service}, {count} products")

    def _pages(self, service: str, wanted: dict[str, str]) -> Any:  # noqa: ANN401 - boto3's
        filters = [
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in wanted.items()
        ]
        return self._client.get_paginator("get_products").paginate(
            ServiceCode=service, Filters=filters, FormatVersion="aws_v1"
        )


def _product(text: str) -> Product:
    """An item of the list is a text that holds JSON."""
    item = json.loads(text)
    product = item["product"]
    return Product(
        sku=str(product["sku"]),
        attributes={"servicecode": item["serviceCode"], **product["attributes"]},
        terms=dict(item["terms"].get("OnDemand", {})),
        published_on=date.fromisoformat(item["publicationDate"][:10]),
    )


def _unreadable(region: str, text: str, error: Exception) -> Refused:
    return Refused(
        region=region,
        what="a product of the list",
        reason=f"cannot be read: {type(error).__name__} {error}; it begins {str(text)[:60]!r}",
        source="AWS Price List",
    )
