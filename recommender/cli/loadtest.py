from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from loadtests.journal import Journal
from loadtests.modes.compare import CompareVerdict
from loadtests.modes.drift import TrendVerdict
from loadtests.slo import Verdict
from recommender.cli.loadtest_report import (
    explanation_table,
    render_report,
    report_markdown,
)
from recommender.cli.options import open_chosen_store, store_option
from recommender.cli.output import INCONCLUSIVE, Destinations, destination_options
from recommender.cli.own_prior import prior_in_use
from recommender.cli.places import cache_folder, journal_folder
from recommender.cli.price_books import book_in_use
from recommender.cli.progress import progress_shown
from recommender.errors import BadRequest
from recommender.loadtest.building import build_report
from recommender.loadtest.explanation import explain_here
from recommender.loadtest.reading import read_plan
from recommender.loadtest.report import (
    CapacityAnswer,
    ComparisonAnswer,
    FixedAnswer,
    SoakAnswer,
)
from recommender.loadtest.session import resume_loadtest, run_loadtest
from recommender.quick import Workplace

if TYPE_CHECKING:
    from recommender.loadtest.plan import Plan
    from recommender.loadtest.report import Answer, LoadTestReport, TestReport

__all__ = ["loadtest_command", "loadtest_exit_code", "present_report"]

MISSED, FAILED = 3, 1
BAD = {Verdict.MISSED.value, CompareVerdict.FAIL.value, TrendVerdict.DRIFTING.value}
OPEN = {
    Verdict.UNKNOWN.value,
    CompareVerdict.INCONCLUSIVE.value,
    TrendVerdict.INCONCLUSIVE.value,
}
DEFAULT_PORT = 5557  # as `recommender worker` has it
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what --distributed asks for, and its help says so


@click.command("loadtest")
@click.argument("plan_file", metavar="PLAN.yaml", required=False)
@click.option(
    "--explain", "only_explain", is_flag=True, help="Say what would be run; run nothing."
)
@click.option("--resume", metavar="RUN", help="Go on with a run that was interrupted.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Load generator processes on this machine.  [default: the plan's, 1]",
)
@click.option(
    "--distributed",
    is_flag=True,
    help="Listen on all addresses for `recommender worker` elsewhere. Whoever reaches the port "
    "can join: use it in a network you trust.",
)
@click.option(
    "--expect-workers",
    type=click.IntRange(1, 256),
    metavar="N",
    help="With --distributed: wait for so many.",
)
@click.option("--port", type=click.IntRange(0, 65535), help="With --distributed.  [default: 5557]")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@destination_options
@store_option
def loadtest_command(plan_file: str | None, **given: Any) -> None:  # noqa: ANN401 - click's own
    """Test your configurations under your traffic, as PLAN.yaml says.

    Each configuration is started, put under the load of each scenario, judged against the SLO and
    stopped. Every finished measurement is kept; `recommender show RUN` prints the report again.
    `recommender schema plan` prints every key that a plan can have.
    """
    output = Destinations.taken_from(given)
    if (plan_file is None) == (given["resume"] is None):
        raise BadRequest(
            "give a plan, or --resume with a run", hint="recommender loadtest plan.yaml"
        )
    plan = None if plan_file is None else _plan(Path(plan_file), given)
    if plan is not None and given["only_explain"]:
        _explain(plan, Path(plan_file or ".").absolute().parent)
        return
    with ExitStack() as stack:
        store = stack.enter_context(open_chosen_store(given["store_url"]))
        progress = stack.enter_context(progress_shown(quiet=given["quiet"], color=output.color))
        workplace = Workplace(
            store=store,
            journal=Journal(journal_folder()),
            book=book_in_use(),
            prior=prior_in_use(),
            cache_folder=cache_folder(),
            progress=progress,
        )
        if plan is None:
            run_id = resume_loadtest(store.run(given["resume"]), workplace)
        else:
            run_id = run_loadtest(plan, Path(plan_file or ".").absolute().parent, workplace)
        report = build_report(store, store.run(run_id), workplace.book)
    sys.exit(present_report(report, output))


def present_report(report: LoadTestReport, output: Destinations) -> int:
    """Returns the exit code."""
    output.write(report.model_dump_json(indent=2) + "\n", report_markdown(report))
    if output.is_for_a_person:
        render_report(output.console(), report)
    return loadtest_exit_code(report)


def loadtest_exit_code(report: LoadTestReport) -> int:
    """A failed test before a missed objective, that before one INVALID or not decided."""
    codes = {_code(test) for test in report.tests}
    return next((code for code in (FAILED, MISSED, INCONCLUSIVE) if code in codes), 0)


def _code(test: TestReport) -> int:
    if test.answer is None:
        return FAILED if test.state == "failed" else INCONCLUSIVE
    verdicts = _verdicts(test.answer)
    if verdicts & BAD:
        return MISSED
    return INCONCLUSIVE if verdicts & OPEN else 0


def _verdicts(answer: Answer) -> set[str]:
    """In the words of its own mode; none of one that finds figures and judges nothing."""
    match answer:
        case FixedAnswer():
            return {each.verdict.value for each in answer.verdicts}
        case ComparisonAnswer():
            return {each.verdict.value for each in answer.comparisons}
        case SoakAnswer():
            return {answer.soak.verdict.value}
        case CapacityAnswer():
            return {Verdict.MISSED.value for each in answer.tiers if each.basis == "none"}
        case _:
            return set()


def _plan(file: Path, given: dict[str, Any]) -> Plan:
    plan = read_plan(file)
    changes: dict[str, Any] = {}
    if given["workers"] is not None:
        changes["workers"] = given["workers"]
    if given["distributed"]:
        changes |= {"host": EVERYWHERE, "port": given["port"] or DEFAULT_PORT}
        changes["expected"] = given["expect_workers"] or 1
        changes.setdefault("workers", 0)
    elif given["expect_workers"] is not None or given["port"] is not None:
        raise BadRequest("--expect-workers and --port go with --distributed")
    if not changes:
        return plan
    generator = plan.generator.model_copy(update=changes)
    return plan.model_copy(update={"generator": generator})


def _explain(plan: Plan, folder: Path) -> None:
    explanation = explain_here(plan, folder, book_in_use())
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(no_color=True, highlight=False, width=120)
    console.print(explanation_table(explanation))
    for line in explanation.words:
        console.print(line)
