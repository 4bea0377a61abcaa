"""The report of a run, from what the store holds: nothing is measured for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.environment import Environment
from loadtests.errors import InvalidMeasurement
from recommender.loadtest.agenda import agenda, configurations_of
from recommender.loadtest.answers import Case, answer_of
from recommender.loadtest.kept import Kept, kept_of
from recommender.loadtest.prices import hourly_prices, paid_prices
from recommender.loadtest.report import KeptRun, LoadTestReport, TestReport
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.words import findings
from recommender.recommendation import CostOfMeasuring
from recommender.store import RunStatus

if TYPE_CHECKING:
    from decimal import Decimal

    from loadtests.measurement import Measurement
    from pricing import PriceBook
    from recommender.loadtest.agenda import Test
    from recommender.loadtest.plan import Plan
    from recommender.loadtest.prices import HourlyPrice
    from recommender.loadtest.report import Answer, State
    from recommender.store import Run, Store

__all__ = ["build_report"]

HOUR_S = 3600.0


def build_report(store: Store, run: Run, book: PriceBook) -> LoadTestReport:
    plan = LoadTestRequest.model_validate(run.request).plan
    environment = Environment.model_validate(run.environment)
    configurations = configurations_of(plan, environment.cores)
    prices = hourly_prices(configurations, plan.region, book)
    kept = kept_of(store, run)
    tests = tuple(
        _test(_case(test, run, plan, kept, prices)) for test in agenda(plan, environment.cores)
    )
    return LoadTestReport(
        run=run.id,
        plan=plan,
        tests=tests,
        prices=prices,
        environment=environment,
        cost_of_measuring=_cost(tests, paid_prices(plan, configurations, prices)),
    )


def _case(
    test: Test,
    run: Run,
    plan: Plan,
    kept: dict[tuple[str, str], Kept],
    prices: dict[str, HourlyPrice],
) -> Case:
    price = prices.get(test.name)
    return Case(
        test=test,
        plan=plan,
        kept=kept,
        usd_per_hour=None if price is None else price.usd_per_hour,
        is_running=run.status is RunStatus.RUNNING,
    )


def _test(case: Case) -> TestReport:
    test = case.test
    parts = [
        (each.name, case.kept.get((each.name, test.scenario.name), Kept()))
        for each in test.configurations
    ]
    answer, state, reason = _outcome(case, parts)
    return TestReport(
        configurations=tuple(name for name, _ in parts),
        scenario=test.scenario.name,
        mode=test.scenario.mode,
        state=state,
        reason=reason,
        answer=answer,
        findings=() if answer is None else findings(answer),
        runs=tuple(
            KeptRun(configuration=name, key=key, measurement=each.measurement)
            for name, kept in parts
            for key, each in kept.steps.items()
        ),
        invalid=tuple(
            KeptRun(configuration=name, key=key, measurement=each)
            for name, kept in parts
            for key, each in kept.invalid.items()
        ),
    )


def _outcome(case: Case, parts: list[tuple[str, Kept]]) -> tuple[Answer | None, State, str | None]:
    try:
        answer = answer_of(case)
    except InvalidMeasurement as error:
        return None, "invalid", str(error)
    if answer is not None:
        return answer, "finished", None
    notes = [kept.notes[""] for _, kept in parts if "" in kept.notes]
    has_runs = any(kept.steps for _, kept in parts)
    if notes:
        note = notes[-1]
        state: State = "partial" if has_runs and note.state == "not run" else note.state
        return None, state, note.reason
    why = "its turn has not come yet" if case.is_running else "the run ended before it"
    return None, "partial" if has_runs else "not run", why


def _cost(tests: tuple[TestReport, ...], paid: dict[str, Decimal]) -> CostOfMeasuring:
    """Under load; of what is paid by the hour, that time at its price."""
    taken = [each for test in tests for each in (*test.runs, *test.invalid)]
    usd = sum(
        (
            float(paid[each.configuration]) * each.measurement.elapsed_s / HOUR_S
            for each in taken
            if each.configuration in paid
        ),
        0.0,
    )
    return CostOfMeasuring(
        seconds=sum(each.measurement.elapsed_s for each in taken),
        requests=sum(_sent(each.measurement) for each in taken),
        usd=f"{usd:.4f}" if paid else "0",
    )


def _sent(measured: Measurement) -> int:
    return measured.succeeded + measured.failed + measured.unfinished
