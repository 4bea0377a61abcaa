"""What a load test comes to, in the one sentence that a person would say first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.slo import Verdict
from recommender.loadtest.report import CapacityAnswer, FixedAnswer
from recommender.loadtest.words import rounded

if TYPE_CHECKING:
    from recommender.loadtest.report import LoadTestReport, TestReport, TierAnswer

__all__ = ["verdict"]


def verdict(report: LoadTestReport, *, is_under_way: bool = False) -> str:
    """Capacities before judgements, and those before whatever else was found first."""
    finished = [test for test in report.tests if test.answer is not None]
    if not finished or _is_all_invalid(report.tests):
        return _none(report.tests, is_under_way=is_under_way)
    said = _capacities(finished) or _judged(finished) or _first(finished)
    return f"So far: {said}" if is_under_way else said


def _none(tests: tuple[TestReport, ...], *, is_under_way: bool) -> str:
    runs = [run for test in tests for run in (*test.runs, *test.invalid)]
    if not runs:
        return "Nothing has been measured yet." if is_under_way else "Nothing was measured."
    if _is_all_invalid(tests):
        return "Nothing that was measured is fit to be judged: every run is INVALID."
    count = f"{len(runs)} {'run is' if len(runs) == 1 else 'runs are'} measured"
    return f"{count}; no test has its answer yet." if is_under_way else (
        f"{count}; no test came to its answer."
    )  # fmt: skip


def _is_all_invalid(tests: tuple[TestReport, ...]) -> bool:
    runs = [run for test in tests for run in (*test.runs, *test.invalid)]
    return bool(runs) and not any(run.measurement.is_evidence for run in runs)


def _capacities(finished: list[TestReport]) -> str | None:
    """Of the first tier: configuration by configuration, the largest first."""
    found = {
        test.configurations[0]: test.answer.tiers[0]
        for test in reversed(finished)
        if isinstance(test.answer, CapacityAnswer)
    }
    if not found:
        return None
    known = sorted(found.items(), key=lambda each: -(each[1].capacity_rps.value or 0.0))
    slo = known[0][1].slo
    return f"{', '.join(_capacity(*each) for each in known)} at {slo}."


def _capacity(configuration: str, tier: TierAnswer) -> str:
    value = tier.capacity_rps.value
    if tier.basis == "none" or value is None:
        return f"{configuration} holds no load"
    return f"{configuration} holds {rounded(value, 3)} req/s"


def _judged(finished: list[TestReport]) -> str | None:
    """What is missed is named; what cannot be decided is not called met."""
    judged = [
        (test, each)
        for test in finished
        if isinstance(test.answer, FixedAnswer)
        for each in test.answer.verdicts
    ]
    if not judged:
        return None
    missed = [(test, each) for test, each in judged if each.verdict is Verdict.MISSED]
    unknown = [each for _, each in judged if each.verdict is Verdict.UNKNOWN]
    if missed:
        test, first = missed[0]
        where = f"{test.configurations[0]} misses {first.objective} under {test.scenario}"
        more = "" if len(missed) == 1 else f", and {len(missed) - 1} more objectives are missed"
        return f"{where}{more}."
    if unknown:
        return f"{len(unknown)} of {len(judged)} objectives could not be decided; none is missed."
    return "Every objective is met." if len(judged) > 1 else "The objective is met."


def _first(finished: list[TestReport]) -> str:
    test = finished[0]
    told = test.findings[0] if test.findings else f"{test.scenario} is finished."
    return f"{', '.join(test.configurations)}: {told}"
