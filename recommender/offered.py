"""The price book on the user's own terms: their machines in it, and their savings plans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pricing import NoPrice, Platform, SavingsPlan, under_savings_plans
from recommender.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pricing import Offer, PriceBook
    from recommender.demand import Constraints

__all__ = ["offered"]


def offered(book: PriceBook, constraints: Constraints) -> PriceBook:
    """The book itself where the user has neither.

    Raises BadRequest for a machine whose name is another's, and NoPrice for a plan that the book
    has no rate of in the region.
    """
    own = constraints.own_machines
    plans = {Platform(name): plan for name, plan in constraints.savings_plans.items()}
    if not own and not plans:
        return book
    _require_rates(book, constraints)
    taken = {
        name.casefold()
        for known in book.instances
        for name in (known.name, known.hosting_name)
        if name is not None
    }
    for machine in own:
        if machine.name.casefold() in taken:
            raise BadRequest(
                f"{machine.source}: {machine.name} is the name of a machine in price book "
                f"{book.name}",
                hint="give your machine a name of its own",
            )

    def more(region: str, here: tuple[Offer, ...]) -> Iterator[Offer]:
        yield from under_savings_plans(here, plans, book.plan_rates(region))
        yield from (machine.offer(region) for machine in own)

    return replace(
        book,
        instances=(*book.instances, *(machine.instance for machine in own)),
        offers_by_region=book.offers_by_region.with_more(more),
    )


def _require_rates(book: PriceBook, constraints: Constraints) -> None:
    for plan in constraints.savings_plans.values():
        if isinstance(plan, SavingsPlan) and not book.plan_rates(constraints.region, plan):
            raise NoPrice(
                f"price book {book.name} has no rate of savings plan {plan} in "
                f"{constraints.region}",
                hint="read them: recommender prices refresh --source savings-plan-file; or give "
                "the share that your plan saves: --savings-plan 0.3",
            )
