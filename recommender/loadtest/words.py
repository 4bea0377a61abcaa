"""What was found, and what is being done, in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from loadtests.modes.batching import BatchLimit
from loadtests.slo import Verdict
from recommender.explain import probability_text
from recommender.loadtest.explanation import length
from recommender.loadtest.report import (
    CapacityAnswer,
    ComparisonAnswer,
    FixedAnswer,
    OfflineAnswer,
    ProfileAnswer,
    SoakAnswer,
    TuningAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from loadtests.measurement import Interval, Load, Measurement
    from loadtests.modes.batching import BatchSizes
    from loadtests.modes.compare import Comparison
    from loadtests.modes.profile import LoadCurve
    from loadtests.tuning import TuningResult
    from recommender.loadtest.report import (
        Answer,
        KeptRun,
        LoadTestReport,
        ObjectiveVerdict,
        TestReport,
        TierAnswer,
    )

__all__ = [
    "COLUMNS",
    "between",
    "energy",
    "findings",
    "headline",
    "instrument",
    "milliseconds",
    "run_rows",
]

MIB = 2**20
MOST_SAID = 28
AS_GOOD_AS_ZERO = 1e-4  # in the unit shown


def findings(answer: Answer) -> tuple[str, ...]:
    """A sentence for each thing found, the one that matters most first."""
    match answer:
        case CapacityAnswer() | ProfileAnswer() | OfflineAnswer():
            return _limits(answer)
        case FixedAnswer():
            several = len({each.tier for each in answer.verdicts}) > 1
            return tuple(
                (f"{each.tier}: " if several else "") + _verdict(each, answer.loop)
                for each in answer.verdicts
            )
        case SoakAnswer():
            return _soak(answer)
        case ComparisonAnswer():
            return tuple(said for each in answer.comparisons for said in _comparison(each))
        case TuningAnswer():
            return _tuning(answer.tuning)


def _limits(answer: CapacityAnswer | ProfileAnswer | OfflineAnswer) -> tuple[str, ...]:
    match answer:
        case CapacityAnswer():
            return tuple(_tier(each, alone=len(answer.tiers) == 1) for each in answer.tiers)
        case ProfileAnswer():
            return _curve(answer.curve)
        case OfflineAnswer():
            return _offline(answer)


COLUMNS = (
    "run", "asked", "sent/s", "good/s", "p50 ms", "p95 ms", "p99 ms", "failed", "vCPUs", "MiB",
    "verdict",
)  # fmt: skip


def headline(report: LoadTestReport) -> str:
    cost = report.cost_of_measuring
    states = Counter(test.state for test in report.tests)
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    paid = f", ${cost.usd}" if float(cost.usd) > 0 else ""
    return (
        f"{report.plan.name}: {told}; {length(cost.seconds)} under load, "
        f"{cost.requests:,} requests{paid}."
    )


def taken(test: TestReport) -> str:
    """What the answer took: "14 s under load, started in 2.1 s"; empty where nothing ran."""
    if not (test.runs or test.invalid):
        return ""
    start = "" if test.start_s is None else f", started in {rounded(test.start_s, 2)} s"
    return f"{length(test.load_s)} under load{start}"


def run_rows(test: TestReport) -> tuple[tuple[str, ...], ...]:
    """A row for each run, INVALID ones after those they were tried again for."""
    several = len(test.configurations) > 1
    return tuple(
        _row(each, each.configuration if several else None) for each in (*test.runs, *test.invalid)
    )


def _row(run: KeptRun, configuration: str | None) -> tuple[str, ...]:
    """Latencies of an open loop; of a closed one service times."""
    found = run.measurement
    taken = found.latency if found.load.loop == "open" else found.service
    figures = {each.quantile: each.seconds.value for each in taken}
    dropped = f" +{found.dropped} dropped" if found.dropped else ""
    return (
        configuration or _trial(run.key),
        _asked(found.load),
        rounded(found.achieved_rps, 4),
        rounded(found.throughput_rps, 4),
        *(_shown(figures.get(each)) for each in (0.5, 0.95, 0.99)),
        f"{found.failed + found.unfinished}{dropped}",
        "-" if found.cpu_busy_vcpus is None else f"{found.cpu_busy_vcpus:.2f}",
        "-" if found.memory_peak_bytes is None else f"{found.memory_peak_bytes / MIB:.0f}",
        _status(found),
    )


def _trial(key: str) -> str:
    """What sets it apart from the others of its test: the values of a trial, or its kind."""
    within, is_trial, step = key.rpartition(": ")
    if is_trial:
        return within.partition(" ")[2]
    kind, _, rest = step.partition("-")
    _, is_batch, rows = rest.partition("rows-")
    return f"{kind}, {_rows(int(rows.partition('-')[0]))}" if is_batch else kind


def _asked(load: Load) -> str:
    if load.traffic is not None:
        said = load.traffic.removeprefix("closed loop, ")
        return said if len(said) <= MOST_SAID else f"{said[: MOST_SAID - 1]}…"
    if load.loop == "closed":
        return f"{load.concurrency} at a time"
    rate = "?" if load.rate_rps is None else rounded(load.rate_rps, 4)
    return f"{rate}/s {load.process}"


def _shown(seconds: float | None) -> str:
    return "-" if seconds is None else rounded(seconds * 1e3, 3)


def _status(found: Measurement) -> str:
    said = found.validity.status.value
    if found.over_saturated:
        return f"{said}, over-saturated"
    return said if found.stop_reason is None else f"{said}, {found.stop_reason.partition(':')[0]}"


def milliseconds(seconds: float) -> str:
    return f"{rounded(seconds * 1e3, 3)} ms"


def between(interval: Interval, scale: float = 1.0, digits: int = 3) -> str:
    """212 (198 to 230); an end that is not known is a question mark."""
    if interval.value is None:
        return "not known"
    low, high = (
        "?" if end is None else rounded(end * scale, digits)
        for end in (interval.low, interval.high)
    )
    return f"{rounded(interval.value * scale, digits)} ({low} to {high})"


def percent(share: Interval | None) -> str:
    """12.3 % (10.1 to 14.8)."""
    if share is None or share.value is None:
        return "not known"
    low, high = ("?" if end is None else rounded(end * 100, 2) for end in (share.low, share.high))
    return f"{rounded(share.value * 100, 2)} % ({low} to {high})"


def rounded(value: float, digits: int) -> str:
    """Never in powers of ten: 2,490 and not 2.49e+03; what is as good as 0 is 0."""
    if abs(value) < AS_GOOD_AS_ZERO:
        return "0"
    short = f"{value:.{digits}g}"
    return f"{float(short):,.0f}" if "e" in short else short


def _tier(tier: TierAnswer, *, alone: bool) -> str:
    head = "" if alone else f"{tier.tier}: "
    if tier.basis == "none":
        return f"{head}{tier.slo} is missed even by one request at a time."
    said = (
        f"{head}{between(tier.capacity_rps)} req/s meet {tier.slo} ({tier.basis}); "
        f"saturated at {rounded(tier.saturation_rps, 3)}"
    )
    if tier.first_breach is not None:
        said += f"; {tier.first_breach.split('<')[0]} gives way first"
    if tier.cliff is not None:
        said += f"; a cliff beyond it: {tier.cliff}"
    return said + _per_million(tier.usd_per_million, "requests") + "."


def _curve(curve: LoadCurve) -> tuple[str, ...]:
    knee = curve.knee
    saturated = f"Saturated at {rounded(curve.saturation.measured_rps, 3)} req/s."
    if knee.rate_rps.value is None:
        return (f"No knee was seen: {knee.reason}.", saturated)
    times = knee.limit_s / knee.unloaded_s
    said = (
        f"The knee is at {between(knee.rate_rps)} req/s: there p{knee.quantile * 100:g} is "
        f"{milliseconds(knee.limit_s)}, {times:.2g} times that of an idle server."
    )
    return said, saturated


def _verdict(verdict: ObjectiveVerdict, loop: str) -> str:
    scale, unit = (1e3, " ms") if verdict.unit == "s" else (100.0, " %")
    seen = between(verdict.measured, scale) + (unit if verdict.measured.value is not None else "")
    of = " of service time, closed loop" if loop == "closed" and verdict.unit == "s" else ""
    word = {Verdict.MET: "met", Verdict.MISSED: "MISSED", Verdict.UNKNOWN: "not decided"}
    return f"{verdict.objective}: {word[verdict.verdict]}; measured {seen}{of}."


def _offline(answer: OfflineAnswer) -> tuple[str, ...]:
    found, sizes = answer.offline, answer.offline.batches
    each = "" if sizes is None else f", {_rows(sizes.rows)} each"
    said = (
        f"{between(found.rows_per_s)} rows/s at {found.concurrency} at a time{each}; a million "
        f"rows take {length(found.s_per_million_rows.value or 0.0)}"
        + _per_million(answer.usd_per_million_rows, "rows")
        + "."
    )
    if sizes is None or sizes.limited_by is BatchLimit.GIVEN:
        return (said,)
    return said, _batch_size(sizes)


def _batch_size(sizes: BatchSizes) -> str:
    """How sure, and why not more."""
    best = f"The best batch size is {_rows(sizes.rows)}"
    if sizes.low_rows < sizes.high_rows:
        best += f" ({sizes.low_rows:,} to {sizes.high_rows:,} may do as well)"
    times = {each.rows: each.rows_per_s for each in sizes.rungs}
    if sizes.rows > 1 and times[min(times)] > 0:
        best += f", {times[sizes.rows] / times[min(times)]:.2g} times as many rows/s as one by one"
    match sizes.limited_by:
        case BatchLimit.REFUSED:
            return f"{best}; requests of {_rows(sizes.refused_rows or 0)} fail."
        case BatchLimit.TIMEOUT:
            return f"{best}; larger requests would run into the time-out."
        case BatchLimit.PAYLOAD:
            return f"{best}; no more fit into a request."
        case BatchLimit.FLAT | BatchLimit.GIVEN:
            return f"{best}; larger ones gain nothing."


def energy(runs: Iterable[Measurement]) -> tuple[str, ...]:
    """What the GPUs used at the highest throughput; nothing where there is none that tells."""
    told = [
        (run.throughput_rps, joules, run.resources.elapsed_s, run.succeeded)
        for run in runs
        if run.resources is not None
        and (joules := run.resources.energy_j) is not None
        and run.succeeded > 0
    ]
    if not told:
        return ()
    rate, joules, elapsed_s, answers = max(told)
    each = f"{rounded(joules / answers, 3)} J a request at {rounded(rate, 3)} req/s"
    return (f"GPU: {each}, {rounded(joules / elapsed_s, 3)} W on average, of whole boards.",)


def instrument(runs: Iterable[Measurement]) -> tuple[str, ...]:
    """What the load generator used in the longest run, for one that grows spoils a soak."""
    known = [
        (each.elapsed_s, each.resources.generator_vcpus, each.resources.generator_memory_bytes)
        for each in runs
        if each.resources is not None
    ]
    _, vcpus, memory = max(known, key=lambda each: each[0], default=(0.0, None, None))
    if vcpus is None or memory is None:
        return ()
    held = f"{memory.mean / MIB:.0f} MiB on average, {memory.peak / MIB:.0f} at most"
    return (f"The load generator used {rounded(vcpus.mean, 2)} vCPUs, and held {held}.",)


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count > 1 else ''}"


def _soak(answer: SoakAnswer) -> tuple[str, ...]:
    return tuple(
        f"{each.of.capitalize()}: {each.verdict.value}; {each.reason}."
        for each in answer.soak.trends
    )


def _comparison(found: Comparison) -> tuple[str, ...]:
    whose = f"{found.candidate} against {found.baseline}"
    said = [f"{whose}: {found.verdict.value.upper()}."]
    said += [f"{each.of.capitalize()}: {each.reason}." for each in found.differences]
    if found.more_requests is not None:
        said.append(f"About {found.more_requests:,} more requests would decide it.")
    return tuple(said)


def _tuning(found: TuningResult) -> tuple[str, ...]:
    if found.best is None:
        return (f"No setting is best: {found.reason}.",)
    sure = probability_text(found.best.probability_best)
    best = f"Best: {_setting(found.best.setting)}, {sure} sure it is"
    said = [f"{best}; {found.trials} trials, {found.load_s:.0f} s in all."]
    gain = found.gain
    if gain is None:
        said.append(f"How much better than the baseline is not known: {found.reason}.")
    elif not gain.is_sure:
        said.append("No setting is surely better than the baseline.")
    else:
        said.append(f"{gain.ratio:.3g} times the baseline ({gain.low:.3g} to {gain.high:.3g}).")
    said += [*_effects(found), *_failures(found)]
    if found.interaction is not None and found.interaction.is_seen:
        said.append(
            "The values do not simply add up: by about "
            f"{found.interaction.typical_percent:.2g} % a setting departs from their sum."
        )
    return tuple(said)


def _effects(found: TuningResult) -> Iterator[str]:
    for each in found.effects:
        if each.percent is None:
            yield f"{each.variable}={each.value}: not known, {each.reason}."
        elif each.percent != 0:
            yield (
                f"{each.variable}={each.value}: {each.percent:+.3g} % "
                f"({each.low:+.3g} to {each.high:+.3g})."
            )


def _failures(found: TuningResult) -> Iterator[str]:
    """Of settings that never got a score, each reason once."""
    scored = [each.setting for each in found.standings]
    told = set()
    for each in found.dropped:
        if each.setting not in scored and each.reason not in told:
            told.add(each.reason)
            yield f"{_setting(each.setting)} failed: {each.reason}."


def _setting(setting: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in setting.items())


def _per_million(usd: Decimal | None, what: str) -> str:
    return "" if usd is None else f"; ${usd:.3g} a million {what}"
