"""On which terms machines are paid: the user's own ones, their savings plans, what besides."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from loadtests.environment import utc_now
from pricing.sources.own_offers import OwnOffers
from recommender.errors import BadRequest

__all__ = ["taken_terms", "terms_options"]

Function = TypeVar("Function", bound=Callable[..., Any])
SAVED_ON = ("sagemaker", "ec2")


def terms_options(function: Function) -> Function:
    """Names equal the fields of `Constraints`; None leaves a field as it was."""
    for option in (
        click.option(
            "--load-balancer/--no-load-balancer", default=None,
            help="Whether one stands before machines of EC2, and is paid.  [default: yes]",
        ),
        click.option(
            "--self-hosting-usd", "self_hosting_usd_per_month", metavar="USD",
            type=click.FloatRange(0),
            help="A month, for running machines oneself: on each bill of EC2 and of your own "
            "machines.  [default: 0]",
        ),
        click.option(
            "--savings-plan", "savings_plans", multiple=True, metavar="[PLATFORM=]RATE",
            help="Share of on-demand prices that your plan saves: 0.3 on SageMaker, ec2=0.3 on "
            "EC2; 0 for none.",
        ),
        click.option(
            "--offers", "own_machines", metavar="CSV",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Machines of your own, or another cloud's, with what an hour of them costs.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def taken_terms(given: dict[str, Any]) -> dict[str, Any]:
    """Takes its options out of `given`. Raises BadOwnOffer, and BadRequest for a rate."""
    offers, plans = given.pop("own_machines"), given.pop("savings_plans")
    usd = given.pop("self_hosting_usd_per_month")
    return {
        "own_machines": () if offers is None else OwnOffers(offers, utc_now().date()).machines,
        "savings_plans": _savings_plans(plans) if plans else None,
        "self_hosting_usd_per_month": None if usd is None else Decimal(repr(usd)),
        "load_balancer": given.pop("load_balancer"),
    }


def _savings_plans(given: tuple[str, ...]) -> dict[str, Decimal]:
    """By platform; a saving of 0 takes one away."""
    savings = {}
    for text in given:
        named, _, rate = text.rpartition("=")
        platform, ratio = named or "sagemaker", _ratio(rate)
        if platform not in SAVED_ON or not 0 <= ratio < 1:
            raise BadRequest(
                f"--savings-plan {text}: not the share that a plan saves",
                hint="a share of the on-demand price: --savings-plan 0.3 on SageMaker, "
                "--savings-plan ec2=0.3 on EC2",
            )
        savings[platform] = ratio
    return {platform: ratio for platform, ratio in savings.items() if ratio}


def _ratio(text: str) -> Decimal:
    """A share, or a percentage; -1 for what is neither."""
    try:
        ratio = Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except InvalidOperation:
        return Decimal(-1)
    return ratio if ratio.is_finite() else Decimal(-1)
