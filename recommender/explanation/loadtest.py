"""What a load test can say for itself: what was found, and by which measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.explanation.document import Explanation, Kind, Section, Statement
from recommender.explanation.ledger import Ledger
from recommender.loadtest.words import headline

if TYPE_CHECKING:
    from recommender.loadtest.report import KeptRun, LoadTestReport, TestReport

__all__ = ["explain_loadtest"]


def explain_loadtest(report: LoadTestReport) -> Explanation:
    ledger = Ledger()
    runs = tuple(
        _tag(ledger, report, each) for test in report.tests for each in (*test.runs, *test.invalid)
    )
    together = Section(
        title="What was found",
        statements=tuple(
            Statement(text=text, sources=runs) for text in (headline(report), *report.findings)
        ),
    )
    tests = tuple(_test(ledger, report, each) for each in report.tests)
    ranks = Statement(
        text="A load test measures the configurations of its plan and ranks no instance type: "
        "recommender quick does.",
        sources=(),
    )
    scope = Section(title="What it does not say", statements=(ranks,))
    return Explanation(
        run=report.run,
        subject=f"Load test {report.plan.name}",
        sections=(together, *tests, *_prices(ledger, report), scope),
        sources=ledger.sources,
    )


def _test(ledger: Ledger, report: LoadTestReport, test: TestReport) -> Section:
    runs = tuple(_tag(ledger, report, each) for each in test.runs)
    invalid = tuple(_tag(ledger, report, each) for each in test.invalid)
    said = [Statement(text=text, sources=runs) for text in test.findings]
    if test.reason is not None:
        said.insert(0, Statement(text=f"{test.state}: {test.reason}", sources=runs + invalid))
    if invalid:
        text = f"{len(invalid)} tries were INVALID: they prove nothing."
        said.append(Statement(text=text, sources=invalid))
    return Section(
        title=f"{', '.join(test.configurations)}: {test.scenario}", statements=tuple(said)
    )


def _prices(ledger: Ledger, report: LoadTestReport) -> tuple[Section, ...]:
    if not report.prices:
        return ()
    statements = tuple(
        Statement(
            text=f"{name}: ${price.usd_per_hour:f} an hour.",
            sources=(ledger.tag(Kind.FACT, f"price of {name}: {price.known_by}"),),
            figures={"usd_per_hour": f"{price.usd_per_hour:f}"},
        )
        for name, price in report.prices.items()
    )
    return (Section(title="Prices", statements=statements),)


def _tag(ledger: Ledger, report: LoadTestReport, each: KeptRun) -> str:
    measured = each.measurement
    validity = measured.validity
    faults = "; ".join(fault.found for fault in validity.faults)
    return ledger.tag(
        Kind.MEASUREMENT,
        f"run {report.run}, {each.configuration}, {each.key}: "
        f"{measured.succeeded + measured.failed + measured.unfinished} requests, "
        f"{validity.status.value.upper()}{f': {faults}' if faults else ''}",
    )
