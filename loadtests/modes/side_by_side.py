"""Several targets under one traffic, interleaved: what one meets, the others meet as well."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from loadtests.arrivals import due_times, payload_choices
from loadtests.environment import utc_now
from loadtests.errors import UsageError
from loadtests.measurement import summarise_open
from loadtests.pace import Pacemaker
from loadtests.probe import Measured, open_load, until
from loadtests.readings import Asked, Reading, facts_of, use_between
from loadtests.runner import OpenJob

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.measurement import Load
    from loadtests.probe import Probe
    from loadtests.runner import Destination, EngineRun
    from loadtests.steps import TrafficStep

__all__ = ["Split", "assigned", "take_side_by_side"]


@dataclass(frozen=True, slots=True)
class Split:
    """shares: of the traffic, one for each variant that answers it, adding up to anything.

    shadows: for each variant after those, the share of all requests it gets copies of.
    """

    shares: tuple[float, ...]
    shadows: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.shares or min(self.shares) <= 0:
            raise UsageError("traffic is split between variants with shares above 0")
        if any(not 0 < share <= 1 for share in self.shadows):
            raise UsageError("the share of requests copied to a shadow is above 0 and at most 1")


def assigned(
    due_s: NDArray[np.float64], split: Split, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.uint16]]:
    """Due times with the copies among them, and the variant of each, shapes (n,).

    Each request is assigned by chance, so that no variant gets the quiet or the busy moments, and
    Poisson traffic stays Poisson for each.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x5B5]))
    shares = np.array(split.shares) / sum(split.shares)
    parts = [(due_s, rng.choice(len(shares), len(due_s), p=shares))]
    for number, share in enumerate(split.shadows, start=len(shares)):
        copied = due_s[rng.random(len(due_s)) < share]
        parts.append((copied, np.full(len(copied), number)))
    due = np.concatenate([part[0] for part in parts])
    variants = np.concatenate([part[1] for part in parts]).astype(np.uint16)
    order = np.argsort(due, kind="stable")
    return due[order], variants[order]


def take_side_by_side(
    probes: tuple[Probe, ...], step: TrafficStep, split: Split
) -> tuple[Measured, ...]:
    """One measurement for each probe. Their engine and workload are the same.

    Raises what `Probe.take` does.
    """
    first = probes[0]
    first.check_time()
    seed = first.seed + step.repeat - 1
    due_s = due_times(step.traffic, step.duration_s, arrivals=step.arrivals, seed=seed)
    due_s, variants = assigned(due_s, split, seed)
    weights = first.destination.workload.weights
    job = OpenJob(due_s, payload_choices(len(due_s), weights, seed=seed), variants)
    watch = step.rules.watch("open")
    started_at = utc_now().isoformat()
    before = [Reading.before(probe.target) for probe in probes]
    with ExitStack() as stack:
        pacemakers = [stack.enter_context(Pacemaker(each.cores)) for each in before]
        run = first.engine.run(_all(probes), job, until(first.ends_s, watch))
    for probe in probes:
        probe.target.check()
    readings = [
        (reading, Reading.after(probe.target))
        for reading, probe in zip(before, probes, strict=True)
    ]
    used_s = [use_between(*each).cpu_s or 0.0 for each in readings]
    load = open_load(step.traffic, step.arrivals, step.duration_s, seed)
    return tuple(
        _summarised(
            probe,
            _part(run, number),
            _asked(probe, load, started_at, int(np.sum(variants == number))),
            readings[number],
            pacemakers[number],
            (watch.over_saturated, sum(used_s) - used_s[number]),
        )
        for number, probe in enumerate(probes)
    )


def _all(probes: tuple[Probe, ...]) -> Destination:
    urls = tuple(probe.destination.base_urls[0] for probe in probes)
    return replace(probes[0].destination, base_urls=urls)


def _asked(probe: Probe, load: Load, started_at: str, due: int) -> Asked:
    own = load.model_copy(update={"rate_rps": due / load.duration_s})
    return Asked(probe.record, probe.destination.workload.digest, own, started_at, due)


def _summarised(
    probe: Probe,
    part: EngineRun,
    asked: Asked,
    readings: tuple[Reading, Reading],
    pacemaker: Pacemaker,
    around: tuple[bool, float],
) -> Measured:
    """around: whether the run was over-saturated, and the CPU-seconds of the other targets."""
    over_saturated, beside_s = around
    if not asked.target.shares_cores:
        beside_s += pacemaker.cost_s
    facts = facts_of(part, asked, readings, over_saturated=over_saturated, beside_s=beside_s)
    facts = replace(facts, pace=pacemaker.since(part.started_s))
    measurement = summarise_open(part.samples, facts, probe.objectives)
    return Measured(measurement, part.samples, pace=facts.pace)


def _part(run: EngineRun, variant: int) -> EngineRun:
    """One variant's samples, with its part of the time in flight."""
    samples = run.samples.of_variant(variant)
    whole_s, part_s = (float(each.service_s.sum()) for each in (run.samples, samples))
    share = part_s / whole_s if whole_s > 0 else 0.0
    generator = replace(run.generator, in_flight_s=run.generator.in_flight_s * share)
    return replace(run, samples=samples, generator=generator)
