"""Why an option ranks where it does, from the speed of a vCPU to the bill."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pricing import HOURS_PER_MONTH
from recommender.cost import LOAD_BALANCER, OVERHEAD, grows_with_requests
from recommender.explain import group_of, usd, what_to_measure
from recommender.explanation.break_even import FURTHEST, break_even, next_replica_rps
from recommender.explanation.document import Section, Statement
from recommender.explanation.words import between, range_figures
from recommender.recommendation import Basis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.explanation.break_even import BreakEven
    from recommender.explanation.document import Figures
    from recommender.explanation.grounds import Grounds
    from recommender.recommendation import Candidate, Carried, CostItem

__all__ = ["named", "next_measurement", "ranked_sections"]

BASES = {
    Basis.MEASURED: "measured on this machine type itself",
    Basis.TRANSFERRED: "carried over between silicons that both were benchmarked",
    Basis.PREDICTED: "carried over past what was benchmarked or measured",
    Basis.PRIOR: "by an assumption about the service",
}


def named(each: Candidate) -> str:
    return f"{each.option.text} ({group_of(each.option)})"


def ranked_sections(grounds: Grounds, chosen: Candidate) -> tuple[Section, ...]:
    told = (
        ("How it is carried to this machine", _carried(grounds, chosen)),
        ("How many are needed", _fleet(grounds, chosen)),
        ("Latency at peak", _latency(grounds, chosen)),
        ("The objectives", _verdicts(grounds, chosen)),
        ("The bill of a month", _bill(grounds, chosen)),
        (f"Why it is number {chosen.rank}", _place(grounds, chosen)),
        ("What would change it", _changes(grounds, chosen)),
    )
    sections = (Section(title=title, statements=tuple(said)) for title, said in told)
    return (*(each for each in sections if each.statements), *next_measurement(grounds))


def next_measurement(grounds: Grounds) -> tuple[Section, ...]:
    recommendation = grounds.recommendation
    worth = recommendation.value_of_measuring
    said = what_to_measure(recommendation)
    if worth is None:
        return ()
    sources = (*grounds.measurements(), grounds.model())
    statements = [Statement(text=text, sources=sources) for text in said]
    if worth.best is not None:
        figures: Figures = {
            "minutes": worth.best.minutes,
            "usd": worth.best.usd,
            "probability_changes_answer": worth.best.probability_changes_answer,
        }
        saving = worth.best.expected_saving_usd_per_month
        if saving is not None:
            figures["expected_saving_usd_per_month"] = saving
        start = grounds.assumption("Starting a machine and the container on it takes 5 minutes.")
        price = grounds.rent(worth.best.instance_type)
        statements = [
            Statement(text=said[0], sources=(*sources, price, start), figures=figures),
            Statement(text=f"How: {worth.best.command}", sources=(price,)),
        ]
    return (Section(title="What to measure next", statements=tuple(statements)),)


def _carried(grounds: Grounds, chosen: Candidate) -> Iterator[Statement]:
    carried = chosen.carried
    if carried is None:
        yield _told_nothing(grounds, chosen)
        return
    name = chosen.option.instance_type
    if carried.speed_ratio is not None and carried.at_source_rps is not None:
        yield Statement(
            text=f"A vCPU of {name} ({carried.silicon or 'silicon not known'}) is "
            f"{between(carried.speed_ratio)} times as fast as one measured on: median, 80 % "
            "interval.",
            sources=(grounds.model(), grounds.catalogue(), grounds.environment()),
            figures=range_figures("speed_ratio", carried.speed_ratio),
        )
        yield Statement(
            text=f"With {carried.vcpus:g} vCPU the machine measured on saturates at "
            f"{between(carried.at_source_rps)} req/s: the size curve through what was measured.",
            sources=(
                *grounds.measurements(),
                grounds.model(),
                *grounds.assumed("The server uses a larger machine"),
            ),
            figures={"vcpus": carried.vcpus}
            | range_figures("at_source_rps", carried.at_source_rps),
        )
    elif chosen.option.accelerator is not None and chosen.performance.basis != Basis.MEASURED:
        yield Statement(
            text=f"How long a request takes on {chosen.option.accelerator} is told by the "
            "model's file and its datasheet, not by the speed of a vCPU.",
            sources=(*grounds.measurements(), grounds.catalogue(), *grounds.assumed("GPUs")),
        )
    yield _replica(grounds, chosen, carried)


def _replica(grounds: Grounds, chosen: Candidate, carried: Carried) -> Statement:
    confidence = grounds.recommendation.demand.constraints.confidence
    name, basis = chosen.option.instance_type, chosen.performance.basis
    return Statement(
        text=f"So one {name} saturates at {between(carried.saturation_rps)} req/s and carries "
        f"{between(carried.capacity_rps)} within the SLO; with {confidence:.0%} confidence it "
        f"carries {carried.sized_by_rps:.3g}. Basis: {basis}, {BASES[basis]}.",
        sources=(*grounds.measurements(), grounds.model(), grounds.slo(), grounds.constraints()),
        figures=range_figures("saturation_rps", carried.saturation_rps)
        | range_figures("capacity_rps", carried.capacity_rps)
        | {"sized_by_rps": carried.sized_by_rps, "confidence": confidence},
    )


def _told_nothing(grounds: Grounds, chosen: Candidate) -> Statement:
    if chosen.option.serverless is None:
        return Statement(
            text="How it was carried is not in this answer, made before explanations were: "
            f"recommender rank {grounds.recommendation.run} --keep makes it anew.",
            sources=(),
        )
    return Statement(
        text=f"Basis: {chosen.performance.basis}, {BASES[chosen.performance.basis]}; AWS says "
        "neither on what silicon nor with what share of a vCPU a request runs.",
        sources=(
            *grounds.measurements(),
            grounds.model(),
            *grounds.assumed("Serverless"),
            *(grounds.assumption(f"{note[:1].upper()}{note[1:]}.") for note in chosen.notes),
        ),
    )


def _counted(grounds: Grounds, carried: Carried, replicas: int) -> Statement:
    """The arithmetic of `sizing.needed_replicas`, in numbers."""
    demand = grounds.recommendation.demand
    peak_rps, zones = demand.traffic.peak_rps, demand.constraints.zones
    headroom = demand.constraints.headroom_ratio
    usable = carried.sized_by_rps * (1 - headroom)
    enough = math.ceil(peak_rps / usable)
    spread = (
        ""
        if zones == 1
        else f", and {replicas} over {zones} zones, so that losing one leaves {enough}"
    )
    return Statement(
        text=f"{headroom:.0%} kept free of {carried.sized_by_rps:.3g} req/s leaves {usable:.3g} "
        f"a machine; {peak_rps:.4g} / {usable:.3g} = {peak_rps / usable:.3g}: {enough} for "
        f"the peak{spread}.",
        sources=(
            *(grounds.traffic(), grounds.constraints(), grounds.model()),
            *grounds.measurements(),
            *grounds.assumed("A fleet has a fixed size"),
        ),
        figures={
            "headroom_ratio": headroom,
            "sized_by_rps": carried.sized_by_rps,
            "usable_rps": usable,
            "peak_rps": peak_rps,
            "replicas": float(replicas),
        },
    )


def _fleet(grounds: Grounds, chosen: Candidate) -> Iterator[Statement]:
    carried, performance = chosen.carried, chosen.performance
    if carried is not None and chosen.option.replicas is not None:
        yield _counted(grounds, carried, chosen.option.replicas)
    what = "The fleet" if chosen.option.serverless is None else "The endpoint"
    yield Statement(
        text=f"{what} carries {between(performance.capacity_rps)} req/s within the SLO: at peak "
        f"it is {performance.utilization_ratio:.0%} busy.",
        sources=(*grounds.measurements(), grounds.model(), grounds.traffic(), grounds.slo()),
        figures=range_figures("fleet_capacity_rps", performance.capacity_rps)
        | {"utilization_ratio": performance.utilization_ratio},
    )


def _latency(grounds: Grounds, chosen: Candidate) -> Iterator[Statement]:
    performance, replicas = chosen.performance, chosen.option.replicas
    sources = (*grounds.measurements(), grounds.model(), grounds.traffic())
    known = performance.latency_s.model_dump()
    told = [f"{name} {value * 1e3:.3g} ms" for name, value in known.items() if value is not None]
    if told:
        each = ""
        if chosen.carried is not None and replicas is not None:
            rate_rps = grounds.recommendation.demand.traffic.peak_rps / replicas
            each = f"At {rate_rps:.4g} req/s on each machine: "
        yield Statement(
            text=f"{each}{', '.join(told)}, medians of the draws.",
            sources=(*sources, *grounds.assumed("Latency is the container's own")),
            figures={f"{name}_s": value for name, value in known.items() if value is not None},
        )
    claimed = f"p{performance.interval_quantile * 100:g}"
    yield Statement(
        text=f"{claimed} is {between(performance.interval, 1e3)} ms: median, 80 % interval.",
        sources=sources,
        figures=range_figures("interval_s", performance.interval)
        | {"interval_quantile": performance.interval_quantile},
    )


def _verdicts(grounds: Grounds, chosen: Candidate) -> Iterator[Statement]:
    sources = (*grounds.measurements(), grounds.model(), grounds.traffic(), grounds.slo())
    for verdict in chosen.verdicts:
        margin, probability = verdict.margin_ratio, verdict.probability
        figures: Figures = {} if probability is None else {"probability": probability}
        figures |= {} if margin is None else {"margin_ratio": margin}
        sure = (
            ", by counting failures"
            if probability is None
            else f" with a probability of {probability:.0%}"
        )
        left = "" if margin is None else f"; {margin:.0%} of the limit is left"
        yield Statement(
            text=f"{verdict.objective} is {verdict.verdict.lower()}{sure}{left}.",
            sources=sources,
            figures=figures,
        )


def _bill(grounds: Grounds, chosen: Candidate) -> Iterator[Statement]:
    cost = chosen.cost
    for number, item in enumerate(cost.items):
        yield _item(grounds, chosen, item, is_main=number == 0)
    traffic = grounds.recommendation.demand.traffic
    requests = traffic.mean_rps * 3600 * HOURS_PER_MONTH / 1e6
    parts = " + ".join(f"${item.usd}" for item in cost.items)
    total = f"{parts} = " if len(cost.items) > 1 else ""
    yield Statement(
        text=f"{total}${cost.usd_per_month} a month, ${cost.usd_per_hour} an hour; over "
        f"{requests:,.4g} million requests ${cost.usd_per_million} a million.",
        sources=(grounds.price(chosen), grounds.traffic(), *grounds.assumed("Prices are list")),
        figures={
            "usd_per_month": cost.usd_per_month,
            "usd_per_hour": cost.usd_per_hour,
            "usd_per_million": cost.usd_per_million,
        },
    )


def _item(grounds: Grounds, chosen: Candidate, item: CostItem, *, is_main: bool) -> Statement:
    """A machine is paid by the hour, the rest by what the traffic comes to."""
    if is_main:
        month = grounds.assumption(f"A month has {HOURS_PER_MONTH} hours.")
        assumed = (*grounds.assumed("Spot prices"), *grounds.assumed("Savings plans save"))
        sources = (grounds.price(chosen), month, *assumed)
        if chosen.option.serverless is not None:
            sources = (*sources, grounds.traffic(), *grounds.measurements(), grounds.model())
    else:
        sources = tuple(_grounds_of(grounds, item))
    return Statement(
        text=f"{item.name}: {item.quantity} {item.unit} x ${item.usd_per_unit} = ${item.usd}.",
        sources=sources,
        figures={
            "quantity": item.quantity,
            "usd_per_unit": item.usd_per_unit,
            "usd": item.usd,
        },
    )


def _grounds_of(grounds: Grounds, item: CostItem) -> Iterator[str]:
    """Of what is paid besides machines, or seconds."""
    if item.name == OVERHEAD:
        yield grounds.overhead()
        return
    yield grounds.unit_price(item.name)
    if item.name.startswith(LOAD_BALANCER):
        yield from grounds.assumed("EC2 is")
    if grows_with_requests(item.unit):
        yield grounds.workload()
        yield grounds.traffic()


def _place(grounds: Grounds, chosen: Candidate) -> Iterator[Statement]:
    ranked = grounds.recommendation.ranked
    other = ranked[1] if chosen.rank == 1 and len(ranked) > 1 else ranked[0]
    if other is not chosen:
        mine, its = float(chosen.cost.usd_per_month), float(other.cost.usd_per_month)
        word = "more" if its >= mine else "less"
        yield Statement(
            text=f"Number {other.rank}, {named(other)}, costs {usd(other.cost.usd_per_month)} a "
            f"month: {abs(its / mine - 1):.0%} {word}.",
            sources=(grounds.price(chosen), grounds.price(other)),
            figures={
                "usd_per_month": chosen.cost.usd_per_month,
                "other_usd_per_month": other.cost.usd_per_month,
            },
        )
    regret = chosen.expected_regret_usd_per_month
    figures: Figures = {"probability_best": chosen.probability_best}
    share = f"{chosen.probability_best:.1%}" if chosen.probability_best > 0 else "none"
    said = f"It is the cheapest in {share} of the draws"
    if regret is not None:
        figures["expected_regret_usd_per_month"] = regret
        said += f"; on average it costs {usd(regret)} a month more than what is the cheapest"
    yield Statement(
        text=f"{said}.",
        sources=(*grounds.measurements(), grounds.model(), grounds.price(chosen)),
        figures=figures,
    )


def _changes(grounds: Grounds, chosen: Candidate) -> Iterator[Statement]:
    demand, ranked = grounds.recommendation.demand, grounds.recommendation.ranked
    sources = (*grounds.measurements(), grounds.model(), grounds.traffic(), grounds.price(chosen))
    further = next_replica_rps(chosen, demand)
    if further is not None:
        yield Statement(
            text=f"Above {further:.4g} req/s at peak it needs more machines.",
            sources=(*sources, grounds.constraints()),
            figures={"next_replica_rps": further},
        )
    held = grounds.assumption(
        "At other traffic an option's capacity within the SLO stays what it is."
    )
    if further is None and chosen.option.serverless is None:
        return
    below, above = break_even(chosen, ranked, demand)
    for way, found in (("Below", below), ("Above", above)):
        yield _crossing(way, found, (*sources, held), grounds)


def _crossing(
    way: str, found: BreakEven | None, sources: tuple[str, ...], grounds: Grounds
) -> Statement:
    if found is None:
        share = f"{FURTHEST:g} times" if way == "Above" else f"1/{FURTHEST:g} of"
        return Statement(
            text=f"{way} that, to {share} the traffic, nothing dearer becomes cheaper than it.",
            sources=sources,
            figures={"furthest": FURTHEST},
        )
    option = found.cheaper.option
    name = f"{option.instance_type or option.text} ({group_of(option)})"
    return Statement(
        text=f"{way} {found.peak_rps:.3g} req/s at peak {name} becomes cheaper than it.",
        sources=(*sources, grounds.price(found.cheaper)),
        figures={"peak_rps": found.peak_rps},
    )
