"""A load test, as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from dashboard import format as fmt
from dashboard.evidence import machine_facts
from dashboard.views import RESUMABLE, RunRow, run_row
from loadtests.measurement import Interval
from recommender.loadtest.kept import step_key
from recommender.loadtest.report import (
    CapacityAnswer,
    ComparisonAnswer,
    FixedAnswer,
    OfflineAnswer,
    ProfileAnswer,
    SoakAnswer,
    TuningAnswer,
)
from recommender.loadtest.verdict import verdict
from recommender.loadtest.words import COLUMNS, between, headline, milliseconds, run_rows
from recommender.store import RunStatus

if TYPE_CHECKING:
    from loadtests.tuning import TuningResult
    from recommender.loadtest.report import (
        Answer,
        KeptRun,
        LoadTestReport,
        ObjectiveVerdict,
        TestReport,
        TierAnswer,
    )
    from recommender.store import Run

__all__ = [
    "FaultGroup",
    "KeyLine",
    "LoadTestView",
    "RunLine",
    "ScenarioSummary",
    "SettingLine",
    "SummaryRow",
    "TestView",
    "loadtest_view",
]

STANDS = {
    RunStatus.CREATED: "It waits for a process to take it on.",
    RunStatus.RUNNING: "It is being measured now; each run appears here once it is finished.",
    RunStatus.FAILED: "It ended before every test was done; what was measured is kept.",
    RunStatus.STOPPED: "It was stopped before every test was done; what was measured is kept.",
    RunStatus.INTERRUPTED: "Its process is gone; what it had finished measuring is kept.",
}
QUANTILES = (0.5, 0.95, 0.99)
SCORES = {"capacity": "Capacity, req/s", "throughput": "Throughput, req/s", "latency": "p95, ms"}
NONE = "–"  # noqa: RUF001 - in a table, of a figure that the run does not have


class KeyLine(NamedTuple):
    """verdict: met, pass, steady or the like, where there is one."""

    text: str
    verdict: str | None = None


class SummaryRow(NamedTuple):
    """anchor: of the section that tells more, None where there is no more to tell."""

    anchor: str | None
    configuration: str
    state: str
    found: tuple[KeyLine, ...]


class ScenarioSummary(NamedTuple):
    scenario: str
    rows: tuple[SummaryRow, ...]


class RunLine(NamedTuple):
    """latency: p50, p95 and p99, each with its interval on a line of its own.

    is_closed: they are service times. key: of the measurement, by which it is looked into.
    """

    key: str
    run: str
    asked: str
    is_closed: bool
    sent: str
    good: str
    latency: tuple[str, ...]
    failed: str
    cpu: str
    memory: str
    validity: str
    remarks: str


class FaultGroup(NamedTuple):
    """found: by which run, and what was seen there."""

    status: str
    advice: str
    found: tuple[str, ...]


class SettingLine(NamedTuple):
    setting: str
    score: str
    trials: str
    probability_best: str


@dataclass(frozen=True, slots=True)
class TestView:
    """number: of the test in its report. settings: of a search, the best first.

    score: what they are ranked by.
    """

    number: int
    anchor: str
    title: str
    state: str
    reason: str | None
    findings: tuple[str, ...]
    faults: tuple[FaultGroup, ...]
    runs: tuple[RunLine, ...]
    settings: tuple[SettingLine, ...]
    score: str


@dataclass(frozen=True, slots=True)
class LoadTestView:
    """said: where the run stands, None once it has ended well. command: what goes on with it.

    headline: how much of the plan is done. findings: of several tests together.
    """

    run: RunRow
    verdict: str
    headline: str
    findings: tuple[str, ...]
    said: str | None
    command: str | None
    facts: tuple[tuple[str, str], ...]
    summary: tuple[ScenarioSummary, ...]
    tests: tuple[TestView, ...]
    machine: tuple[tuple[str, str], ...]


def loadtest_view(run: Run, report: LoadTestReport) -> LoadTestView:
    return LoadTestView(
        run=run_row(run),
        verdict=verdict(report, is_under_way=run.status.is_under_way),
        headline=headline(report),
        findings=report.findings,
        said=STANDS.get(run.status),
        command=f"recommender loadtest --resume {run.id}" if run.status in RESUMABLE else None,
        facts=_facts(report),
        summary=_summary(report.tests),
        tests=tuple(
            _test(number, test) for number, test in enumerate(report.tests) if _has_more(test)
        ),
        machine=machine_facts(report.environment),
    )


def _anchor(number: int) -> str:
    return f"test-{number + 1}"


def _has_more(test: TestReport) -> bool:
    """Than one line in the summary."""
    return bool(test.runs or test.invalid or test.state != "not run")


def _configurations(test: TestReport) -> str:
    return ", ".join(test.configurations)


def _facts(report: LoadTestReport) -> tuple[tuple[str, str], ...]:
    plan = report.plan
    several = len(plan.slo) > 1
    return (
        ("model", plan.model.source(None, {}).text),
        *((name if several else "objective", text) for name, text in plan.slo.items()),
        *(
            (f"an hour of {name}", f"{fmt.usd(str(price.usd_per_hour))} ({price.known_by})")
            for name, price in report.prices.items()
        ),
        ("seed", str(plan.seed)),
    )


def _summary(tests: tuple[TestReport, ...]) -> tuple[ScenarioSummary, ...]:
    """Scenario by scenario, so that configurations stand below one another."""
    order = list(dict.fromkeys(test.scenario for test in tests))
    numbered = sorted(enumerate(tests), key=lambda each: order.index(each[1].scenario))
    return tuple(
        ScenarioSummary(
            scenario,
            tuple(
                SummaryRow(
                    _anchor(number) if _has_more(test) else None,
                    _configurations(test),
                    test.state,
                    _key_lines(test),
                )
                for number, test in group
            ),
        )
        for scenario, group in groupby(numbered, key=lambda each: each[1].scenario)
    )


def _key_lines(test: TestReport) -> tuple[KeyLine, ...]:
    if test.answer is None:
        return (KeyLine(_first_sentence(test.reason or "not known")),)
    return _key_of(test.answer, test.findings)


def _first_sentence(text: str) -> str:
    return text.partition(";")[0].partition("\n")[0]


def _key_of(answer: Answer, findings: tuple[str, ...]) -> tuple[KeyLine, ...]:
    match answer:
        case FixedAnswer() | SoakAnswer() | ComparisonAnswer():
            return _judged(answer)
        case CapacityAnswer(tiers=tiers):
            return tuple(_tier(each, several=len(tiers) > 1) for each in tiers)
        case ProfileAnswer(curve=curve):
            knee = curve.knee.rate_rps
            seen = "no knee was seen" if knee.value is None else f"knee at {between(knee)} req/s"
            saturated = f"saturated at {curve.saturation.measured_rps:.3g} req/s"
            return KeyLine(seen), KeyLine(saturated)
        case OfflineAnswer(offline=offline):
            return (KeyLine(f"{between(offline.rows_per_s)} rows/s"),)
        case TuningAnswer():
            return tuple(KeyLine(each) for each in findings[:2])


def _judged(answer: FixedAnswer | SoakAnswer | ComparisonAnswer) -> tuple[KeyLine, ...]:
    match answer:
        case FixedAnswer(verdicts=verdicts):
            several = len({each.tier for each in verdicts}) > 1
            return tuple(_objective(each, several=several) for each in verdicts)
        case SoakAnswer(soak=soak):
            return tuple(KeyLine(each.of, each.verdict.value) for each in soak.trends)
        case ComparisonAnswer(comparisons=comparisons):
            return tuple(
                KeyLine(f"{each.candidate} against {each.baseline}", each.verdict.value)
                for each in comparisons
            )


def _tier(tier: TierAnswer, *, several: bool) -> KeyLine:
    head = f"{tier.tier}: " if several else ""
    if tier.basis == "none":
        return KeyLine(f"{head}missed even by one request at a time")
    return KeyLine(f"{head}{between(tier.capacity_rps)} req/s")


def _objective(found: ObjectiveVerdict, *, several: bool) -> KeyLine:
    head = f"{found.tier}: " if several else ""
    value = found.measured.value
    if value is None:
        seen = "not known"
    else:
        seen = milliseconds(value) if found.unit == "s" else f"{value * 100:.3g} %"
    return KeyLine(f"{head}{found.objective}, measured {seen}", found.verdict.value)


def _test(number: int, test: TestReport) -> TestView:
    tuning = test.answer.tuning if isinstance(test.answer, TuningAnswer) else None
    return TestView(
        number=number,
        anchor=_anchor(number),
        title=f"{_configurations(test)}: {test.scenario}",
        state=test.state,
        reason=test.reason,
        findings=test.findings,
        faults=_faults(test),
        runs=tuple(
            _run(run, test.scenario, dict(zip(COLUMNS, row, strict=True)))
            for run, row in zip((*test.runs, *test.invalid), run_rows(test), strict=True)
        ),
        settings=() if tuning is None else _settings(tuning),
        score="" if tuning is None else SCORES[tuning.objective],
    )


def _settings(tuning: TuningResult) -> tuple[SettingLine, ...]:
    """Those that could not be scored come last, with the reason."""
    scale = 1e3 if tuning.objective == "latency" else 1.0
    scored = tuple(
        SettingLine(
            setting=_values(each.setting),
            score=between(Interval(value=each.score, low=each.low, high=each.high), scale),
            trials=str(each.trials),
            probability_best=fmt.probability(each.probability_best),
        )
        for each in tuning.standings
    )
    dropped = tuple(
        SettingLine(_values(each.setting), each.reason, NONE, NONE)
        for each in tuning.dropped
        if each.setting not in [one.setting for one in tuning.standings]
    )
    return scored + dropped


def _values(setting: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in setting.items())


def _run(run: KeptRun, scenario: str, said: dict[str, str]) -> RunLine:
    found = run.measurement
    is_open = found.load.loop == "open"
    taken = found.latency if is_open else found.service
    intervals = {each.quantile: each.seconds for each in taken}
    status = found.validity.status.value
    return RunLine(
        key=step_key(run.configuration, scenario, run.key),
        run=said["run"],
        asked=said["asked"],
        is_closed=not is_open,
        sent=said["sent/s"],
        good=said["good/s"],
        latency=tuple(
            "\n".join(_figure(between(intervals[quantile], 1e3)))
            if quantile in intervals
            else NONE
            for quantile in QUANTILES
        ),
        failed=said["failed"],
        cpu=said["vCPUs"],
        memory=said["MiB"],
        validity=status,
        remarks=said["verdict"].removeprefix(status).removeprefix(", "),
    )


def _figure(text: str) -> tuple[str, ...]:
    """212 (198 to 230) on two lines."""
    value, _, interval = text.partition(" (")
    return (value, interval.rstrip(")")) if interval else (text,)


def _faults(test: TestReport) -> tuple[FaultGroup, ...]:
    """What is to be done about them once, with all the runs that it is about."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for run, row in zip((*test.runs, *test.invalid), run_rows(test), strict=True):
        asked = dict(zip(COLUMNS, row, strict=True))["asked"]
        for fault in run.measurement.validity.faults:
            group = groups.setdefault((fault.status.value, fault.advice), {})
            group.setdefault(asked, []).append(fault.found)
    return tuple(
        FaultGroup(
            status,
            advice,
            tuple(f"{asked}: {'; '.join(dict.fromkeys(found))}" for asked, found in group.items()),
        )
        for (status, advice), group in groups.items()
    )
