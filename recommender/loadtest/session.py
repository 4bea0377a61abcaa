"""A plan carried out: each configuration started, tested, stored and stopped."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from loadtests.environment import capture_environment
from loadtests.errors import InvalidMeasurement, OutOfTime, TargetDied, TargetError
from loadtests.probe import carry_out
from loadtests.runner import Engine
from loadtests.targets.limits import capabilities
from recommender.errors import BadRequest
from recommender.kept_verdicts import keep_verdict
from recommender.lifecycle import ended, taken_on, told
from recommender.loadtest.agenda import agenda, configurations_of
from recommender.loadtest.answers import is_settled
from recommender.loadtest.building import build_report
from recommender.loadtest.comparing import compare
from recommender.loadtest.course import course_of
from recommender.loadtest.explanation import explain
from recommender.loadtest.kept import Note, kept_of
from recommender.loadtest.prices import hourly_prices, paid_prices
from recommender.loadtest.priority import Priorities
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.rig import Clock, Rig
from recommender.loadtest.scenario import CompareScenario, TuneScenario
from recommender.loadtest.tuned import tune
from recommender.loadtest.verdict import verdict
from recommender.store import this_process
from recommender.turns import own_turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pricing import PriceBook
    from recommender.loadtest.agenda import Test
    from recommender.loadtest.plan import Plan
    from recommender.quick import Workplace
    from recommender.store import Owner, Run, Store

__all__ = ["KIND", "create_loadtest", "resume_loadtest", "run_loadtest"]

KIND = "loadtest"
FREE = Decimal(0)
HOUR_S = 3600.0


def run_loadtest(plan: Plan, folder: Path, workplace: Workplace) -> str:
    """The id of the run, once it is finished. folder: where the plan's payload files are."""
    run = create_loadtest(plan, folder, workplace.store, workplace.book, this_process())
    _carry_out(run, workplace)
    return run.id


def create_loadtest(
    plan: Plan, folder: Path, store: Store, book: PriceBook, owner: Owner | None
) -> Run:
    """Whatever is wrong with the plan is found before anything is stored."""
    request = LoadTestRequest.of(plan, folder)
    hourly_prices(plan.configurations, plan.region, book)
    return store.create_run(
        KIND,
        plan.name,
        request.model_dump(mode="json"),
        capture_environment().model_dump(mode="json"),
        owner,
    )


def resume_loadtest(run: Run, workplace: Workplace) -> str:
    """Takes on a run that nobody works on; nothing is measured twice."""
    if run.kind != KIND:
        raise BadRequest(f"{run.id} is no load test", hint=f"recommender quick --resume {run.id}")
    with taken_on(workplace.store, run.id):
        LoadTestRequest.model_validate(run.request).workload()
        claimed = workplace.store.claim(run.id, this_process())
    _carry_out(claimed, workplace)
    return run.id


def _carry_out(run: Run, workplace: Workplace) -> None:
    store = workplace.store
    with (
        ended(store, run),
        told(store, run, workplace.progress) as progress,
        own_turn(workplace.cache_folder, run.id, progress),
    ):
        _Session(run, replace(workplace, progress=progress)).test_all()
        progress("judging", None)
        keep_verdict(store, run.id, verdict(build_report(store, run, workplace.book)))


class _Session:
    def __init__(self, run: Run, workplace: Workplace) -> None:
        request = LoadTestRequest.model_validate(run.request)
        self.run, self.plan, self.workplace = run, request.plan, workplace
        self.workload = request.workload()
        self.cores = cores = len(capabilities().cores)
        self.tests = agenda(self.plan, cores)
        configurations = configurations_of(self.plan, cores)
        prices = hourly_prices(configurations, self.plan.region, workplace.book)
        self.paid = paid_prices(self.plan, configurations, prices)
        self.priorities = Priorities(
            self.plan,
            {name: price.usd_per_hour for name, price in prices.items()},
            self.paid,
            workplace.prior.scaling,
        )
        self.kept = dict(kept_of(workplace.store, run))
        expected = explain(self.plan, cores, self.paid).total.seconds
        self.clock = Clock(expected, self.plan.limits.time_s)
        self.purse = self.plan.limits.usd

    def test_all(self) -> None:
        """Every test that has no answer yet. One that fails is noted, and the next is begun."""
        left = tuple(test for test in self.tests if not is_settled(test, self.plan, self.kept))
        if not left:
            return
        with self._rig() as rig:
            for group in self.priorities.ordered(left, self.cores):
                try:
                    self._within_means(rig, group)
                except OutOfTime as error:
                    for test in group:
                        if not is_settled(test, self.plan, self.kept):
                            rig.note_all(test, Note(state="not run", reason=str(error)))

    def _within_means(self, rig: Rig, group: tuple[Test, ...]) -> None:
        """No longer than what is left of the money pays for."""
        rate = sum((self.paid.get(each.name, FREE) for each in group[0].configurations), FREE)
        if self.purse is None or rate == 0:
            self._serve(rig, group)
            return
        began_s = time.perf_counter()
        self.clock.paid_until_s = began_s + float(self.purse / rate) * HOUR_S
        try:
            self._serve(rig, group)
        finally:
            self.clock.paid_until_s = None
            self.purse -= rate * Decimal(repr(time.perf_counter() - began_s)) / Decimal(HOUR_S)

    def _serve(self, rig: Rig, group: tuple[Test, ...]) -> None:
        """A test that fails is noted; its server is started anew for the others."""
        left = list(group)
        while left:
            rig.clock.check()
            try:
                self._serve_all(rig, left)
            except OutOfTime:
                rig.clock.check()  # says which of the limits it was
                raise
            except InvalidMeasurement as error:
                rig.note_all(left.pop(0), Note(state="invalid", reason=str(error)))
            except TargetDied as error:
                rig.note_all(left.pop(0), Note(state="failed", reason=_in_full(error)))
            except TargetError as error:  # it does not serve, and would not for the next one
                for test in left:
                    rig.note_all(test, Note(state="failed", reason=_in_full(error)))
                return

    def _serve_all(self, rig: Rig, left: list[Test]) -> None:
        """Takes each test out of `left` once it is done."""
        match left[0].scenario:
            case CompareScenario():
                compare(rig, left[0])
                left.pop(0)
            case TuneScenario():
                tune(rig, left[0])
                left.pop(0)
            case _:
                with rig.serving(left[0].configurations[0]) as started:
                    while left:
                        test = left[0]
                        course = course_of(test, self.plan)
                        hooks = rig.hooks(test.name, test.scenario.name)
                        carry_out(rig.probe(started, test.scenario), course, hooks)
                        left.pop(0)

    @contextmanager
    def _rig(self) -> Iterator[Rig]:
        journal = self.workplace.journal

        def tell(who: str) -> None:
            self.workplace.progress(who, self.clock.left_s)

        tell("starting the load generator")
        with (
            journal.workspace() as folder,
            Engine(folder / "engine", journal, self.plan.generator.crew, tell) as engine,
        ):
            yield Rig(
                run_id=self.run.id,
                plan=self.plan,
                workload=self.workload,
                workplace=self.workplace,
                engine=engine,
                folder=folder,
                clock=self.clock,
                kept=self.kept,
            )


def _in_full(error: TargetError) -> str:
    """With what to do."""
    return str(error) if error.hint is None else f"{error}: {error.hint}"
