"""Spot Advisor's public file: savings and how often machines are taken back, by region."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from pricing.errors import BadOffer
from pricing.offers import INTERRUPTION_BANDS
from pricing.sources.seen import Refused, Seen, SpotAdvice
from pricing.sources.web import Web

if TYPE_CHECKING:
    import requests

    from pricing.sources.seen import Report

__all__ = ["SPOT_ADVISOR_URL", "SpotAdvisor"]

SPOT_ADVISOR_URL: Final = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"


@dataclass(frozen=True, slots=True)
class _Advice:
    """The file: labels of bands by number, rows by region and machine; and its day."""

    bands: dict[int, str]
    by_region: dict[str, Any]
    observed_on: date


class SpotAdvisor:
    name = "spot-advisor"

    def __init__(self, url: str = SPOT_ADVISOR_URL) -> None:
        self._url, self._web = url, Web()
        self._advice: _Advice | None = None

    @property
    def identity(self) -> str:
        return self._url

    def seen(self, region: str, report: Report) -> Seen:
        """One file has every region: it is fetched once."""
        if self._advice is None:
            report("Spot Advisor")
            self._advice = self._read()
        try:
            rows = self._advice.by_region.get(region, {}).get("Linux", {})
            told = [self._one(region, name, row, self._advice) for name, row in rows.items()]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._bad(error) from error
        return Seen(
            advice=tuple(each for each in told if isinstance(each, SpotAdvice)),
            refused=tuple(each for each in told if isinstance(each, Refused)),
        )

    def _read(self) -> _Advice:
        with self._web.file(self._url) as answer:
            content, observed_on = answer.content, _day(answer)
        try:
            told = json.loads(content)
            bands = {int(band["index"]): str(band["label"]) for band in told["ranges"]}
            return _Advice(bands, dict(told["spot_advisor"]), observed_on)
        except (KeyError, TypeError, ValueError) as error:
            raise self._bad(error) from error

    def _one(
        self, region: str, name: str, row: dict[str, int], advice: _Advice
    ) -> SpotAdvice | Refused:
        saving_ratio, band = Decimal(row["s"]) / 100, advice.bands[row["r"]]
        if band in INTERRUPTION_BANDS and 0 < saving_ratio < 1:
            return SpotAdvice(
                region=region,
                instance=name,
                saving_ratio=saving_ratio,
                interruption_band=band,
                observed_on=advice.observed_on,
            )
        return Refused(
            region=region,
            what=f"{name} spot",
            reason=f"a saving of {row['s']} % in the band {band!r} says nothing",
            source=f"Spot Advisor of {advice.observed_on}",
            observed_on=advice.observed_on,
        )

    def _bad(self, error: Exception) -> BadOffer:
        return BadOffer(
            f"{self._url} is not Spot Advisor's data: {type(error).__name__}: {error}",
            hint="is the address right? --spot-advisor-url names another",
        )


def _day(answer: requests.Response) -> date:
    """On which the file was last written; it does not say so itself."""
    stamp = answer.headers.get("Last-Modified")
    try:
        written = datetime.now(UTC) if stamp is None else parsedate_to_datetime(stamp)
    except ValueError:
        written = datetime.now(UTC)
    return written.date()
