"""The figures of two runs beside each other, each with how much larger the second is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from loadtests.measurement import Interval, with_objectives
from loadtests.modes.capacity import conclude
from loadtests.modes.ladder import Evidence as Rung
from loadtests.modes.tiers import Tier, objectives_of
from loadtests.slo import claimed_quantile, parse_slo
from loadtests.steady import settled
from loadtests.steps import ClosedStep, OpenStep
from recommender.comparison import estimates
from recommender.comparison.document import NotCompared
from recommender.comparison.estimates import Evidence
from recommender.comparison.pairing import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from loadtests.measurement import Measurement
    from loadtests.probe import Measured
    from loadtests.samples import Samples
    from recommender.comparison.document import FigureName, Unit
    from recommender.comparison.estimates import Estimate
    from recommender.comparison.pairing import GroupPair, StepPair
    from recommender.comparison.sides import Group

__all__ = ["Figure", "figures_of", "shared_figures"]

ALONE_QUANTILES = (0.95, 0.5)
FEWEST_RUNGS = 2
NOTHING_ELSE = "nothing else"
ONCE = "it was read once of each, so how much it varies by itself is not known"


@dataclass(frozen=True)
class Figure:
    """estimate: None, with the reason, where both figures are known and their error is not.

    depends_on_speed: it changes with the speed of the host.
    """

    of: FigureName
    name: str
    where: str
    unit: Unit
    before: float
    after: float
    estimate: Estimate | None
    requests: tuple[int, int]
    why: str | None = None
    higher_is_better: bool = False
    depends_on_speed: bool = True


Found = Figure | NotCompared


def figures_of(pair: GroupPair, slos: Mapping[str, str]) -> Iterator[Found]:
    """Of one server in both. slos: that both are judged by, by their names."""
    before, after = pair.ladders()
    if min(len(before), len(after)) >= FEWEST_RUNGS:
        if pair.before.is_search and pair.after.is_search:
            for name, slo in slos.items():
                yield _capacity(pair, slo, name if len(slos) > 1 else "the SLO")
        yield _saturation(pair)
    if 1 in before and 1 in after:
        yield from _alone(pair, pair.rungs[0])
    objectives = [one for slo in slos.values() for one in parse_slo(slo).objectives]
    for step in pair.loads:
        yield from _loaded(pair, step, claimed_quantile(objectives))
    if pair.rungs or pair.loads:
        yield _errors(pair)
    yield from _not_the_same(pair)


def shared_figures(pairs: tuple[GroupPair, ...]) -> Iterator[Found]:
    """Of all servers together: what is read once for each load, or once for each start.

    How far the readings differ from one to the next is then known from the readings themselves.
    """
    started = {(pair.before.configuration, pair.after.configuration): pair for pair in pairs}
    once = tuple(started.values())
    cpu = [both for pair in pairs for both in _cpu(pair)]
    peaks = [both for pair in once if (both := _memory_peak(pair)) is not None]
    starts = [both for pair in once if (both := _setup_s(pair)) is not None]
    where = listed(list(dict.fromkeys(pair.before.configuration for pair in pairs)))
    if pairs:
        yield _readings("cpu", "CPU per request", "s", where, cpu)
        yield _readings("memory", "memory at its peak", "bytes", where, peaks)
        yield _readings("start", "start-up", "s", where, starts)


def _capacity(pair: GroupPair, slo: str, said: str) -> Found:
    name = f"capacity at {said}"
    found = [_concluded(each, slo) for each in (pair.before, pair.after)]
    for each, which in zip(found, ("first", "second"), strict=True):
        if each is None or not each.value:
            why = "was not looked for" if each is None else "is met at no rate"
            return NotCompared(what=f"{pair.label}: {name}", why=f"it {why} in the {which} run")
    one, other = (each or Interval(value=None) for each in found)
    confidence = min(pair.before.settings.confidence, pair.after.settings.confidence)
    return Figure(
        of="capacity",
        name=name,
        where=pair.label,
        unit="req/s",
        before=one.value or 0.0,
        after=other.value or 0.0,
        estimate=estimates.of_bounds(one, other, confidence),
        requests=(_requests(pair.before), _requests(pair.after)),
        higher_is_better=True,
    )


def _concluded(group: Group, slo: str) -> Interval | None:
    """The largest rate that meets the SLO, judged anew from the samples; 0 where none does."""
    if slo not in group.capacities:
        group.capacities[slo] = _judged_anew(group, slo)
    return group.capacities[slo]


def _judged_anew(group: Group, slo: str) -> Interval | None:
    asked = parse_slo(slo)
    objectives = objectives_of((Tier("", asked),))
    history = tuple(
        Rung(
            step,
            with_objectives(each.measurement, each.samples, objectives),
            each.samples.service_s,
        )
        for key, each in group.steps.items()
        if (step := _step(key, each)) is not None
    )
    found = conclude(history, asked, group.settings)
    if found is None:
        return None
    return Interval(value=found.rate_rps, low=found.low_rps, high=found.high_rps)


def _step(key: str, measured: Measured) -> ClosedStep | OpenStep | None:
    """Of a search; None of other loads."""
    load = measured.measurement.load
    if key == f"closed-{load.concurrency}" and load.concurrency is not None:
        return ClosedStep(load.concurrency, measured.measurement.due, load.duration_s)
    if key.startswith("open-") and load.rate_rps is not None:
        return OpenStep(load.rate_rps, load.duration_s, 0)
    return None


def _saturation(pair: GroupPair) -> Found:
    name = "saturated throughput"
    best = [
        max(ladder.values(), key=lambda each: each.measurement.throughput_rps)
        for ladder in pair.ladders()
    ]
    found = Evidence(_steady(best[0]), _steady(best[1]))
    rates = best[0].measurement.throughput_rps, best[1].measurement.throughput_rps
    if not found.is_enough or min(rates) <= 0:
        return _too_few(f"{pair.label}: {name}", found, estimates.fewest_requests(0))
    return Figure(
        of="saturation",
        name=name,
        where=pair.label,
        unit="req/s",
        before=rates[0],
        after=rates[1],
        estimate=estimates.of_throughputs(found, rates),
        requests=found.requests,
        higher_is_better=True,
    )


def _alone(pair: GroupPair, rung: StepPair) -> Iterator[Found]:
    """One request at a time: what the server takes, with no queue."""
    found = Evidence(_steady(rung.before), _steady(rung.after))
    name = "service time alone"
    answered = min(each.succeeded for each in found.both)
    if answered < estimates.fewest_requests(0):
        yield _too_few(f"{pair.label}: {name}", found, estimates.fewest_requests(0))
        return
    yield _service(pair, found, f"mean {name}", np.mean, estimates.of_means(found))
    for quantile in ALONE_QUANTILES:
        if answered >= estimates.fewest_requests(quantile):
            estimate = estimates.of_quantiles(found, quantile, is_service=True)
            read = partial(np.quantile, q=quantile)
            yield _service(pair, found, f"p{quantile * 100:g} {name}", read, estimate)
            return


def _service(
    pair: GroupPair,
    found: Evidence,
    name: str,
    read: Callable[[NDArray[np.float64]], np.float64],
    estimate: Estimate | None,
) -> Figure:
    return Figure(
        of="service",
        name=name,
        where=pair.label,
        unit="s",
        before=float(read(found.before.service_s)),
        after=float(read(found.after.service_s)),
        estimate=estimate,
        requests=found.requests,
    )


def _loaded(pair: GroupPair, step: StepPair, quantile: float) -> Iterator[Found]:
    """Latency under the same load; of users who wait for their answers, the service times.

    At that quantile, or the median where there are too few requests for it.
    """
    for measured, which in ((step.before, "first"), (step.after, "second")):
        if measured.measurement.over_saturated:
            why = f"the {which} run could not keep up, and its latency grew for as long as it took"
            yield NotCompared(what=f"{pair.label}: latency at {step.text}", why=why)
            return
    found = Evidence(_steady(step.before), _steady(step.after))
    wanted = (quantile, 0.5)
    told = next((q for q in wanted if min(found.requests) >= estimates.fewest_requests(q)), 0.5)
    what = "latency" if step.is_open else "service time"
    name = f"p{told * 100:g} {what} at {step.text}"
    if min(found.requests) < estimates.fewest_requests(told):
        yield _too_few(f"{pair.label}: {name}", found, estimates.fewest_requests(told))
        return
    estimate = estimates.of_quantiles(found, told, is_service=not step.is_open)
    if estimate is None:
        why = "failures reach into it: see the errors"
        yield NotCompared(what=f"{pair.label}: {name}", why=why)
        return
    yield Figure(
        of="latency",
        name=name,
        where=pair.label,
        unit="s",
        before=_quantile(found.before, told, is_open=step.is_open),
        after=_quantile(found.after, told, is_open=step.is_open),
        estimate=estimate,
        requests=found.requests,
    )


def _errors(pair: GroupPair) -> Found:
    steps = [each for each in (*pair.rungs, *pair.loads) if _keeps_up(each)]
    if not steps:
        return NotCompared(what=f"{pair.label}: errors", why="neither run kept up with its load")
    bad = [
        np.concatenate([~each.samples.is_success for each in side])
        for side in ([each.before for each in steps], [each.after for each in steps])
    ]
    return Figure(
        of="errors",
        name="errors",
        where=pair.label,
        unit="share",
        before=float(bad[0].mean()),
        after=float(bad[1].mean()),
        estimate=estimates.of_shares(bad[0], bad[1]),
        requests=(len(bad[0]), len(bad[1])),
        depends_on_speed=False,
    )


def _keeps_up(step: StepPair) -> bool:
    """An overloaded server fails for want of room."""
    both = step.before.measurement, step.after.measurement
    return not any(each.over_saturated for each in both) and all(each.due for each in both)


def _not_the_same(pair: GroupPair) -> Iterator[NotCompared]:
    if pair.before.mode == "tune":
        yield NotCompared(what=pair.label, why="a search for settings tries others each time")
    mine, other = pair.alone()
    if mine or other:
        yield NotCompared(
            what=f"{pair.label}: latency under load",
            why=f"at {listed(mine) or NOTHING_ELSE} in the first run and at "
            f"{listed(other) or NOTHING_ELSE} in the second: it changes with the load, so only "
            "the same can be compared",
        )


def _readings(
    of: FigureName, name: str, unit: Unit, where: str, found: list[tuple[float, float]]
) -> Found:
    if not found:
        return NotCompared(what=name, why="it was not measured in both runs")
    logs = np.log(found)
    estimate = estimates.of_pairs(logs[:, 1] - logs[:, 0])
    means = np.exp(logs.mean(axis=0))
    return Figure(
        of=of,
        name=name,
        where=where,
        unit=unit,
        before=float(means[0]),
        after=float(means[1]),
        estimate=estimate,
        requests=(len(found), len(found)),
        why=None if estimate is not None else ONCE,
        depends_on_speed=of != "memory",
    )


def _cpu(pair: GroupPair) -> Iterator[tuple[float, float]]:
    """Of each load that both were asked: idle work weighs less the more there is to do."""
    for step in (*pair.rungs, *pair.loads):
        one, other = step.before.measurement, step.after.measurement
        if one.cpu_s_per_request and other.cpu_s_per_request:
            yield one.cpu_s_per_request, other.cpu_s_per_request


def _memory_peak(pair: GroupPair) -> tuple[float, float] | None:
    """Over the loads that both were asked: more at a time takes more memory."""
    steps = (*pair.rungs, *pair.loads)
    peaks = [
        [each.measurement.memory_peak_bytes for each in side]
        for side in ([each.before for each in steps], [each.after for each in steps])
    ]
    known = [[each for each in side if each] for side in peaks]
    return (float(max(known[0])), float(max(known[1]))) if all(known) else None


def _setup_s(pair: GroupPair) -> tuple[float, float] | None:
    starts = [
        next((s for each in group.steps.values() if (s := each.measurement.target.setup_s)), None)
        for group in (pair.before, pair.after)
    ]
    one, other = starts
    return None if one is None or other is None else (one, other)


def _steady(measured: Measured) -> Samples:
    found = measured.measurement
    is_steady = found.load.is_steady(found.starts)
    return settled(measured.samples, found.stop_reason, is_steady=is_steady)


def _quantile(samples: Samples, quantile: float, *, is_open: bool) -> float:
    values = samples.latency_s if is_open else samples.service_s
    found = float(np.quantile(values, quantile, method="higher"))
    return found if math.isfinite(found) else 0.0


def _too_few(what: str, found: Evidence, fewest: int) -> NotCompared:
    one, other = found.requests
    return NotCompared(
        what=what, why=f"it takes {fewest} requests on each side; there are {one:,} and {other:,}"
    )


def _requests(group: Group) -> int:
    return _sent(each.measurement for each in group.steps.values())


def _sent(measured: Iterable[Measurement]) -> int:
    return sum(each.succeeded + each.failed + each.unfinished for each in measured)
