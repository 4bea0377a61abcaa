"""The kinds of serving that people weigh against each other, and the cheapest of each."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from recommender.explain import REASONS

if TYPE_CHECKING:
    from recommender.recommendation import Candidate, Option, Recommendation

__all__ = ["Kind", "KindFound", "cheapest_of_each_kind", "kind_of"]


class Kind(StrEnum):
    """PROVISIONED: machines that are there all the time and never reclaimed."""

    SERVERLESS = "serverless"
    PROVISIONED = "provisioned"
    SPOT = "spot"


class KindFound(NamedTuple):
    """best: None where nothing of the kind is ranked; why_none says the reason then.

    more_ratio: by how much it costs more than the cheapest of all.
    """

    kind: Kind
    best: Candidate | None
    more_ratio: float | None
    why_none: str | None


def kind_of(option: Option) -> Kind:
    if option.platform == "serverless":
        return Kind.SERVERLESS
    return Kind.SPOT if option.purchase == "spot" else Kind.PROVISIONED


def cheapest_of_each_kind(recommendation: Recommendation) -> tuple[KindFound, ...]:
    found: dict[Kind, Candidate] = {}
    for each in recommendation.ranked:
        found.setdefault(kind_of(each.option), each)
    return tuple(_told(recommendation, kind, found.get(kind)) for kind in Kind)


def _told(recommendation: Recommendation, kind: Kind, best: Candidate | None) -> KindFound:
    if best is None or recommendation.best is None:
        return KindFound(kind, None, None, _why_none(recommendation, kind))
    least_usd = float(recommendation.best.cost.usd_per_month)
    more = float(best.cost.usd_per_month) / least_usd - 1 if least_usd else None
    return KindFound(kind, best, more, None)


def _why_none(recommendation: Recommendation, kind: Kind) -> str:
    reasons = Counter(
        each.reason for each in recommendation.rejected if kind_of(each.option) is kind
    )
    if not reasons:
        return "not asked for"
    (reason, count), *_ = reasons.most_common(1)
    return f"{count:,} of them {REASONS[reason]}"
