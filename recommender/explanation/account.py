"""The reasoning behind a recommendation: a function of the stored document alone.

Every number in it was stored, or follows from stored ones by arithmetic that is shown.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from recommender.errors import BadRequest
from recommender.explain import group_of
from recommender.explanation.document import Explanation, Section, Statement
from recommender.explanation.grounds import Grounds
from recommender.explanation.measured import what_was_measured, where_it_ran
from recommender.explanation.ranked import named, next_measurement, ranked_sections
from recommender.explanation.refused import name_of, nothing_serves, refused_sections
from recommender.recommendation import Candidate

if TYPE_CHECKING:
    from recommender.recommendation import Option, Recommendation, Rejected

__all__ = ["explain"]


def explain(recommendation: Recommendation, wanted: str | None = None) -> Explanation:
    """Of the best option, or of the first that is called `wanted`: ranked ones first.

    Raises BadRequest where the recommendation holds none of that name.
    """
    grounds = Grounds(recommendation)
    found = recommendation.best if wanted is None else _called(recommendation, wanted)
    about: tuple[Section, ...]
    if found is None:
        subject = f"Nothing serves {recommendation.demand.traffic.text}"
        about = (nothing_serves(grounds), *next_measurement(grounds))
    elif isinstance(found, Candidate):
        subject = f"Number {found.rank}: {named(found)}, {found.option.region}"
        about = ranked_sections(grounds, found)
    else:
        subject = f"Not ranked: {name_of(found)}, {found.option.region}"
        about = refused_sections(grounds, found)
    sections = (_asked(grounds), what_was_measured(grounds), where_it_ran(grounds), *about)
    others = () if wanted is None else _others(grounds, wanted, found)
    return Explanation(
        run=recommendation.run,
        subject=subject,
        sections=(*sections, *others),
        sources=grounds.sources,
    )


def _asked(grounds: Grounds) -> Section:
    demand = grounds.recommendation.demand
    return Section(
        title="What was asked",
        statements=(
            Statement(
                text=f"{demand.traffic.text} at {demand.slo}, in {demand.constraints.region}.",
                sources=(grounds.traffic(), grounds.slo(), grounds.constraints()),
                figures={"peak_rps": demand.traffic.peak_rps, "mean_rps": demand.traffic.mean_rps},
            ),
        ),
    )


def _called(recommendation: Recommendation, wanted: str) -> Candidate | Rejected:
    every: tuple[Candidate | Rejected, ...] = (*recommendation.ranked, *recommendation.rejected)
    for each in every:
        if _is_called(each.option, wanted):
            return each
    names = sorted({name for each in every if (name := each.option.instance_type) is not None})
    near = get_close_matches(wanted.casefold(), names, n=3)
    raise BadRequest(
        f"the recommendation says nothing of {wanted!r}",
        hint=f"did you mean {', '.join(near)}?"
        if near
        else "name an instance type as `recommender show --all` does, e.g. ml.c7i.large",
    )


def _is_called(option: Option, wanted: str) -> bool:
    """By its instance type or accelerator; serverless also by its size: "serverless 2 GB"."""
    name = wanted.strip().casefold()
    names = {option.instance_type, option.accelerator}
    if option.serverless is not None:
        names.add(option.text)
    return name in {each.casefold() for each in names if each is not None}


def _others(
    grounds: Grounds, wanted: str, found: Candidate | Rejected | None
) -> tuple[Section, ...]:
    """The same machine on other terms."""
    ranked = [
        each
        for each in grounds.recommendation.ranked
        if each is not found and _is_called(each.option, wanted)
    ]
    if not ranked:
        return ()
    return (
        Section(
            title="The same on other terms",
            statements=tuple(
                Statement(
                    text=f"Number {each.rank}: {group_of(each.option)}, "
                    f"${each.cost.usd_per_month} a month.",
                    sources=(grounds.price(each),),
                    figures={
                        "rank": float(each.rank),
                        "usd_per_month": each.cost.usd_per_month,
                    },
                )
                for each in ranked
            ),
        ),
    )
