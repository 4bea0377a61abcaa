"""The report of a run, from what the store holds: nothing is measured for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.environment import Environment
from recommender.loadtest.agenda import agenda, configurations_of
from recommender.loadtest.batching import batching_findings
from recommender.loadtest.concluding import concluded
from recommender.loadtest.inside import noted, said_inside
from recommender.loadtest.kept import Listed, listed_of
from recommender.loadtest.prices import hourly_prices, paid_prices
from recommender.loadtest.report import KeptRun, LoadTestReport, TestReport
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.scaling import scaling_findings
from recommender.loadtest.words import energy, findings, instrument
from recommender.recommendation import CostOfMeasuring

if TYPE_CHECKING:
    from decimal import Decimal

    from loadtests.measurement import Measurement
    from pricing import PriceBook
    from recommender.loadtest.agenda import Test
    from recommender.loadtest.concluding import Conclusion
    from recommender.loadtest.kept import ListedRun
    from recommender.loadtest.prices import HourlyPrice
    from recommender.loadtest.report import State
    from recommender.store import Run, Store

__all__ = ["build_report"]

HOUR_S = 3600.0


def build_report(store: Store, run: Run, book: PriceBook) -> LoadTestReport:
    plan = LoadTestRequest.model_validate(run.request).plan
    environment = Environment.model_validate(run.environment)
    configurations = configurations_of(plan, environment.cores)
    prices = hourly_prices(configurations, plan.region, book)
    listed = listed_of(store, run)
    tests = tuple(
        _test(test, run, concluded(store, run, (test, plan), _price(test, prices), listed), listed)
        for test in agenda(plan, environment.cores)
    )
    return LoadTestReport(
        run=run.id,
        plan=plan,
        tests=tests,
        findings=scaling_findings(configurations, tests, environment.cores),
        prices=prices,
        environment=environment,
        cost_of_measuring=_cost(tests, paid_prices(plan, configurations, prices)),
    )


def _price(test: Test, prices: dict[str, HourlyPrice]) -> Decimal | None:
    price = prices.get(test.name)
    return None if price is None else price.usd_per_hour


def _test(
    test: Test, run: Run, conclusion: Conclusion, listed: dict[tuple[str, str], Listed]
) -> TestReport:
    parts = [
        (each.name, listed.get((each.name, test.scenario.name), Listed()))
        for each in test.configurations
    ]
    answer = conclusion.answer
    state, reason = _state(conclusion, [part for _, part in parts], run)
    runs = tuple(run for name, part in parts for run in _runs(name, part.steps))
    invalid = tuple(run for name, part in parts for run in _runs(name, part.invalid))
    starts = [
        setup_s
        for each in (*runs, *invalid)
        if (setup_s := each.measurement.target.setup_s) is not None
    ]
    return TestReport(
        configurations=tuple(name for name, _ in parts),
        scenario=test.scenario.name,
        mode=test.scenario.mode,
        state=state,
        reason=reason,
        answer=answer,
        findings=(
            *(() if answer is None else findings(answer)),
            *batching_findings(answer, runs),
            *_beside_the_answer(test, runs),
        ),
        load_s=sum(each.measurement.elapsed_s for each in (*runs, *invalid)),
        start_s=max(starts, default=None),
        runs=runs,
        invalid=invalid,
    )


def _runs(configuration: str, listed: dict[str, ListedRun]) -> list[KeptRun]:
    return [
        KeptRun(configuration=configuration, key=key, measurement=each.measurement)
        for key, each in listed.items()
    ]


def _beside_the_answer(test: Test, runs: tuple[KeptRun, ...]) -> tuple[str, ...]:
    """What went on inside, what a reader must know, and what else it took."""
    measured = [each.measurement for each in runs]
    own = instrument(measured) if test.scenario.mode == "soak" else ()
    return (*said_inside(runs), *noted(runs), *energy(measured), *own)


def _state(conclusion: Conclusion, parts: list[Listed], run: Run) -> tuple[State, str | None]:
    if conclusion.invalid is not None:
        return "invalid", conclusion.invalid
    if conclusion.answer is not None:
        return "finished", None
    notes = [part.notes[""] for part in parts if "" in part.notes]
    has_runs = any(part.steps for part in parts)
    if notes:
        note = notes[-1]
        state: State = "partial" if has_runs and note.state == "not run" else note.state
        return state, note.reason
    return "partial" if has_runs else "not run", _why(run, has_runs=has_runs)


def _why(run: Run, *, has_runs: bool) -> str:
    if not run.status.is_under_way:
        return "the run ended before it"
    return "more of it is to be measured" if has_runs else "its turn has not come yet"


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
