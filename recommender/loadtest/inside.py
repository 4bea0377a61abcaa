"""What went on inside a target, in words: behind its gateway, and in its streamed answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.fleets.pipeline import SHARED_CPU, PipelineReport
from loadtests.fleets.replicas import ReplicasReport
from loadtests.fleets.spot import SpotReport
from loadtests.serverless.report import ServerlessMeasured
from loadtests.targets.control_groups import PERIOD_US
from recommender.loadtest.words import between, milliseconds, percent, rounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadtests.fleets.pipeline import StageFigures
    from loadtests.fleets.spot import InterruptionCost
    from loadtests.inside import Inside
    from loadtests.intervals import Quantile
    from loadtests.measurement import Measurement
    from loadtests.streaming.figures import TokenFigures
    from recommender.loadtest.report import KeptRun

__all__ = ["noted", "said_inside"]

MIB = 2**20
HELD_BACK_FROM = 0.01


def said_inside(runs: Iterable[KeptRun]) -> tuple[str, ...]:
    """Of the run that tells most: an open loop before a closed one, then the one most asked."""
    told = [
        each.measurement
        for each in runs
        if each.measurement.inside is not None or each.measurement.tokens is not None
    ]
    if not told:
        return ()
    best = max(told, key=lambda each: (each.load.loop == "open", each.due))
    said: list[str] = []
    if best.inside is not None:
        said += _inside(best.inside)
    if best.tokens is not None:
        said += _tokens(best.tokens)
    return tuple(said)


def noted(runs: Iterable[KeptRun]) -> tuple[str, ...]:
    """What its targets say a reader must know, each once, and what their CPU quota did."""
    measured = [each.measurement for each in runs]
    notes = dict.fromkeys(f"Note: {note}." for each in measured for note in each.target.notes)
    return (*notes, *_held_back(measured))


def _held_back(measured: Iterable[Measurement]) -> Iterator[str]:
    """Where it was, a tail of few milliseconds cannot be told from the scheduler's pauses."""
    worst = max((each.throttled_ratio or 0.0 for each in measured), default=0.0)
    if worst >= HELD_BACK_FROM:
        yield (
            f"Note: the CPU quota held it back for up to {worst:.0%} of a run, in pauses of up to "
            f"{PERIOD_US / 1000:g} ms: so far the tail is the quota's, and on a machine of that "
            "size may be shorter."
        )


def _inside(found: Inside) -> Iterator[str]:
    match found:
        case PipelineReport(shape="line"):
            yield from _line(found)
        case PipelineReport():
            yield from _fan_out(found)
        case ReplicasReport():
            yield from _replicas(found)
        case SpotReport():
            yield from _spot(found)
        case ServerlessMeasured():
            yield from _serverless(found)


def _line(found: PipelineReport) -> Iterator[str]:
    yield from _bottleneck(found)
    yield _each(found.stages)
    whole = (found.whole_s, found.stages_s, found.gateway_s, found.residual_s)
    if None not in whole:
        end, stages, gateway, residual = (each or 0.0 for each in whole)
        yield (
            f"End to end {milliseconds(end)} on average: stages {milliseconds(stages)}, gateway "
            f"{milliseconds(gateway)}, the way there and back {milliseconds(residual)}."
        )


def _bottleneck(found: PipelineReport) -> Iterator[str]:
    limits = {stage.name: stage.limit_rps for stage in found.stages}
    of_the_stages = ""
    if found.limited_by == SHARED_CPU:
        yield (
            f"The shared CPU gives out at about {between(found.limit_rps)} req/s, before any "
            "stage by itself."
        )
        of_the_stages = "Of the stages "
    if found.bottleneck is not None:
        stage, sure = found.bottleneck.stage, found.bottleneck.certainty
        yield (
            f"{of_the_stages}{stage} gives out first ({sure}, in "
            f"{found.bottleneck.sure_ratio:.0%} of resampled runs): at about "
            f"{between(limits[stage])} req/s."
        )


def _each(stages: Iterable[StageFigures]) -> str:
    told = (
        f"{stage.name} {_median(stage.service)}"
        + ("" if stage.time_share is None else f" ({stage.time_share:.0%} of the time)")
        + (f", {stage.failed} failed" if stage.failed else "")
        for stage in stages
    )
    return f"Medians: {'; '.join(told)}."


def _fan_out(found: PipelineReport) -> Iterator[str]:
    yield from _bottleneck(found)
    yield _each(found.stages)
    last = [stage for stage in found.stages if stage.last_share is not None]
    if last and found.waiting_cost_s is not None:
        named = ", ".join(f"{stage.name} in {percent(stage.last_share)}" for stage in last)
        yield (
            f"The last to answer: {named}; to wait for all costs "
            f"{milliseconds(found.waiting_cost_s)} more than the slowest alone."
        )


def _replicas(found: ReplicasReport) -> Iterator[str]:
    shares = ", ".join(f"{each.share.value or 0:.0%}" for each in found.members)
    slowest = found.slowest_ratio
    slower = "" if slowest is None else f"; the slowest takes {slowest:.3g} times the fastest"
    yield f"{len(found.members)} replicas had {shares} of the requests{slower}."
    if found.turned_away:
        yield f"{found.turned_away} requests met no replica in service."


def _spot(found: SpotReport) -> Iterator[str]:
    for each in found.interruptions:
        yield _interruption(each)
    if not found.interruptions:
        yield "No interruption fell into the run."
    elif len(found.interruptions) > 1:
        yield (
            f"On average an interruption costs {between(found.lost_each)} lost requests, and "
            f"{between(found.recovered_each_s)} s until all is as before."
        )
    yield from _replicas(found.replicas)


def _interruption(cost: InterruptionCost) -> str:
    said = f"Interrupted at {cost.noticed_s:.1f} s: {cost.lost} requests lost"
    if cost.missing_s is not None:
        said += f", a replica missing for {rounded(cost.missing_s, 2)} s"
        if cost.missing_full_s is not None and cost.missing_full_s > 1.01 * cost.missing_s:
            said += f" ({rounded(cost.missing_full_s, 2)} s at the platform's own pace)"
    if cost.recovered_s.value is not None:
        said += f"; latency and errors as before after {between(cost.recovered_s, digits=2)} s"
    return said + (f"; {cost.reason}" if cost.reason else "") + "."


def _serverless(found: ServerlessMeasured) -> Iterator[str]:
    yield from _cold(found)
    requests, instances = found.requests, found.instances
    yield (
        f"Cold: {percent(requests.cold_ratio)} of the requests waited for an instance; throttled "
        f"(429): {percent(requests.throttled_ratio)}."
    )
    if warm := _quantiles(requests.warm_service):
        yield f"Warm: {warm}."
    memory = ""
    if instances.memory_peak_bytes is not None and instances.memory_ratio is not None:
        memory = (
            f"; the largest used {instances.memory_peak_bytes / MIB:.0f} MiB, "
            f"{instances.memory_ratio:.0%} of its memory"
        )
    yield f"Up to {instances.peak} instances, {rounded(instances.mean, 2)} on average{memory}."
    yield _billed(found)
    yield from (f"{note[:1].upper()}{note[1:]}." for note in found.notes)


def _cold(found: ServerlessMeasured) -> Iterator[str]:
    starts = found.starts
    if starts.count:
        yield (
            f"Cold start: {between(starts.setup_s)} s to /ping, {between(starts.first_answer_s)} "
            f"s to the first answer, of which its own work {between(starts.first_service_s)} s "
            f"({starts.count} started)."
        )
    if found.instances.failed_starts:
        yield f"{found.instances.failed_starts} instances failed to start."


def _billed(found: ServerlessMeasured) -> str:
    said = f"Billed: {rounded(found.billed_gib_s, 3)} GB-seconds on demand"
    if not found.provisioned_concurrency:
        return f"{said}."
    worked = found.billed.provisioned_duration_s * found.memory_gib
    return (
        f"{said}; on provisioned concurrency {rounded(worked, 3)} GB-seconds of work, and "
        f"{rounded(found.provisioned_gib_s, 3)} of being there."
    )


def _tokens(found: TokenFigures) -> Iterator[str]:
    first = _quantiles(found.ttft)
    if first:
        yield f"First token after {first}, from sending."
    each = [f"{name} {told}" for name, told in _paces(found) if told]
    if each:
        yield f"{'; '.join(each)}."
    yield (
        f"{between(found.tokens_per_s)} output tokens/s, {found.output_tokens:,} in all, "
        f"counted by {found.counted_by}."
    )
    yield from (f"{note[:1].upper()}{note[1:]}." for note in found.notes)


def _paces(found: TokenFigures) -> tuple[tuple[str, str], ...]:
    return ("Time per output token", _quantiles(found.tpot)), ("gaps", _quantiles(found.itl))


def _quantiles(found: Iterable[Quantile]) -> str:
    return ", ".join(
        f"p{each.quantile * 100:g} {milliseconds(each.seconds.value)}"
        for each in found
        if each.seconds.value is not None
    )


def _median(found: Iterable[Quantile]) -> str:
    values = {each.quantile: each.seconds.value for each in found}
    middle = values.get(0.5)
    return "not known" if middle is None else milliseconds(middle)
