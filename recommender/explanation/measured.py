"""What was measured, and on what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.explanation.document import Section, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.explanation.grounds import Grounds
    from recommender.recommendation import SizeFacts

__all__ = ["what_was_measured", "where_it_ran"]

FOUND_BY = {
    "confirmed": "a run at a fixed rate met the SLO there",
    "bisected": "between a rate that met the SLO and one that missed it",
    "model": "by a queue with the service times measured, which no run contradicts",
}
BOUND_BY = {
    "CPU": " The CPUs bound it, so it follows the speed of a machine's CPUs.",
    "waiting": " It waits more than it computes, which faster CPUs do not shorten.",
}
TRAFFIC = {
    "light": "Workers side by side hardly slow each other down.",
    "shared": "Workers side by side slow each other down a little, by shared caches or cores.",
    "heavy": "Workers side by side slow each other down much: by memory, or cores they share.",
}


def what_was_measured(grounds: Grounds) -> Section:
    return Section(title="What was measured", statements=tuple(_measured(grounds)))


def where_it_ran(grounds: Grounds) -> Section:
    return Section(title="The machine it was measured on", statements=tuple(_placed(grounds)))


def _measured(grounds: Grounds) -> Iterator[Statement]:
    recommendation = grounds.recommendation
    for size in recommendation.evidence.sizes:
        yield _size(grounds, size)
    traffic = recommendation.evidence.model.memory_traffic
    if traffic in TRAFFIC:
        text = f"{TRAFFIC[traffic]} So say the CPU-seconds of a request at the sizes measured."
        yield Statement(text=text, sources=grounds.measurements())
    invalid = [e for e in recommendation.evidence.measurements if e.validity == "invalid"]
    if invalid:
        yield Statement(
            text=f"{len(invalid)} tries were INVALID: they rank nothing.",
            sources=tuple(grounds.measurement(each) for each in invalid),
        )
    cost = recommendation.cost_of_measuring
    yield Statement(
        text=f"It took {cost.seconds:.0f} s and {cost.requests:,} requests, for ${cost.usd}.",
        sources=grounds.measurements(),
        figures={"seconds": cost.seconds, "requests": float(cost.requests), "usd": cost.usd},
    )


def _size(grounds: Grounds, size: SizeFacts) -> Statement:
    how = FOUND_BY.get(size.basis, size.basis)
    cpu_s = size.cpu_s_per_request
    cpu = "" if cpu_s is None else f" and {cpu_s * 1e3:.3g} ms of CPU time"
    return Statement(
        text=f"{size.vcpus:g} vCPU carry {size.capacity_rps:.3g} req/s within the SLO "
        f"({size.capacity_low_rps:.3g} to {size.capacity_high_rps:.3g}; {how}), and saturate at "
        f"{size.saturation_rps:.3g}. A request alone takes {size.service_mean_s * 1e3:.3g} ms"
        f"{cpu}.{BOUND_BY.get(size.bound_by or '', '')}",
        sources=(*grounds.measured_at(size.vcpus), grounds.slo()),
        figures={
            "vcpus": size.vcpus,
            "capacity_rps": size.capacity_rps,
            "capacity_low_rps": size.capacity_low_rps,
            "capacity_high_rps": size.capacity_high_rps,
            "saturation_rps": size.saturation_rps,
            "service_mean_s": size.service_mean_s,
        }
        | ({} if cpu_s is None else {"cpu_s_per_request": cpu_s}),
    )


def _placed(grounds: Grounds) -> Iterator[Statement]:
    evidence = grounds.recommendation.evidence
    said = grounds.assumed("Measured on") + grounds.assumed("Measured beside")
    silicon = evidence.model.source_silicon
    known = (
        "The silicon it ran on is not known: what is carried to other machines is wide."
        if silicon is None
        else f"It ran on {silicon}: the speed of other machines is told relative to that."
    )
    yield Statement(text=known, sources=(grounds.environment(), *said))
    likely = evidence.model.source_likely
    if likely:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in likely.items())
        yield Statement(
            text=f"Its own benchmarks are like those of {shares}: each is drawn as often.",
            sources=(grounds.placed(), grounds.environment()),
            figures=dict(likely),
        )
