"""On which terms machines are paid: the user's own ones, their savings plans, what besides."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from loadtests.environment import utc_now
from pricing import SavingsPlan
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
            "--savings-plan", "savings_plans", multiple=True, metavar="[PLATFORM=]PLAN",
            help="A plan of SageMaker's by name, 1y-no-upfront, at the price book's rates; or the "
            "share of on-demand prices that yours saves: 0.3 on SageMaker, ec2=0.3 on EC2; 0 for "
            "none.",
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
    """Takes its options out of `given`. Raises BadOwnOffer, and BadRequest for a plan."""
    offers, plans = given.pop("own_machines"), given.pop("savings_plans")
    usd = given.pop("self_hosting_usd_per_month")
    return {
        "own_machines": () if offers is None else OwnOffers(offers, utc_now().date()).machines,
        "savings_plans": _savings_plans(plans) if plans else None,
        "self_hosting_usd_per_month": None if usd is None else Decimal(repr(usd)),
        "load_balancer": given.pop("load_balancer"),
    }


def _savings_plans(given: tuple[str, ...]) -> dict[str, SavingsPlan | Decimal]:
    """By platform; a saving of 0 takes one away."""
    plans = {}
    for text in given:
        named, _, said = text.rpartition("=")
        platform, plan = named or "sagemaker", _plan(said)
        if platform not in SAVED_ON or not (isinstance(plan, SavingsPlan) or 0 <= plan < 1):
            raise BadRequest(
                f"--savings-plan {text}: neither a plan nor the share that one saves",
                hint=f"plans of SageMaker: {', '.join(SavingsPlan)}; or a share of the on-demand "
                "price: --savings-plan 0.3 on SageMaker, --savings-plan ec2=0.3 on EC2",
            )
        if platform == "ec2" and isinstance(plan, SavingsPlan):
            raise BadRequest(
                f"--savings-plan {text}: the files of Compute plans' rates are not read",
                hint="give the share that yours saves: --savings-plan ec2=0.3",
            )
        plans[platform] = plan
    return {platform: plan for platform, plan in plans.items() if plan}


def _plan(text: str) -> SavingsPlan | Decimal:
    """By name, or as `_ratio`."""
    return SavingsPlan(text) if text in set(SavingsPlan) else _ratio(text)


def _ratio(text: str) -> Decimal:
    """A share, or a percentage; -1 for what is neither."""
    try:
        ratio = Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except InvalidOperation:
        return Decimal(-1)
    return ratio if ratio.is_finite() else Decimal(-1)
