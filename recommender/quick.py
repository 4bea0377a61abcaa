"""The quick recommendation: start the container at each size, measure, store, recommend."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from loadtests.capacity import next_step, tightest
from loadtests.environment import capture_environment, utc_now
from loadtests.errors import InvalidMeasurement, TargetDied
from loadtests.probe import Hooks, Probe, describe_target, replayed, search_capacity
from loadtests.runner import Destination, Engine
from loadtests.slo import parse_slo
from loadtests.steps import ClosedStep
from loadtests.targets.limits import capabilities
from loadtests.targets.protocol import running
from recommender.lifecycle import ended
from recommender.measured import response_bytes_mean
from recommender.recommend import recommend
from recommender.request import KIND
from recommender.starting import generator_cores, model_folder, target_of, try_payloads
from recommender.store import this_process
from recommender.stored_run import (
    KEY_SEPARATOR,
    read_run,
    size_label,
    stored_steps,
)

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.journal import Journal
    from loadtests.probe import Measured
    from loadtests.steps import Step
    from loadtests.targets.protocol import Setup, Target, Waiting
    from loadtests.workload import Workload
    from pricing import PriceBook
    from recommender.performance.speed_prior import SpeedPrior
    from recommender.recommendation import Recommendation
    from recommender.request import QuickRequest
    from recommender.store import Run, Store

__all__ = ["Progress", "Workplace", "default_sizes", "resume_quick", "run_quick"]

LARGEST_QUICK_VCPUS = 4.0
STARTING_S, SEARCH_OVERHEAD_S = 4.0, 6.0


class Progress(Protocol):
    """Told what is being done, and how long the whole run may still take (None: not known)."""

    def __call__(self, doing: str, left_s: float | None) -> None: ...


@dataclass(frozen=True)
class Workplace:
    """Everything outside that a run touches."""

    store: Store
    journal: Journal
    book: PriceBook
    prior: SpeedPrior
    cache_folder: Path
    progress: Progress


@dataclass(frozen=True)
class Outcome:
    """failures: sizes that could not be measured, and why; at least one other could."""

    run_id: str
    recommendation: Recommendation
    failures: tuple[str, ...]


def default_sizes(cores: int) -> tuple[float, ...]:
    """Whole vCPUs: 1, 2 and 4 as far as they fit.

    With a core to spare for the generator where the machine has more than two, and beside it on
    the same cores where not.
    """
    most = cores if cores <= 2 else cores - 1  # noqa: PLR2004 - two sizes tell how it scales
    return tuple(size for size in (1.0, 2.0, LARGEST_QUICK_VCPUS) if size <= most)


def run_quick(request: QuickRequest, workplace: Workplace) -> Outcome:
    """Whatever is wrong with the request is found before anything is stored or started."""
    workload = request.workload()
    parse_slo(request.slo)
    workplace.book.require_region(request.constraints.region)
    if request.measured_on is not None:
        workplace.book.instance(request.measured_on)
    if request.constraints.instance_types:
        workplace.book.matching(request.constraints.instance_types)
    kept = request.model_copy(update={"workload_digest": workload.digest})
    run = workplace.store.create_run(
        KIND,
        request.source.text,
        kept.model_dump(mode="json"),
        capture_environment().model_dump(mode="json"),
        this_process(),
    )
    return _measure(run, kept, workload, workplace)


def resume_quick(run: Run, request: QuickRequest, workplace: Workplace) -> Outcome:
    """Goes on with an interrupted, failed or stopped run; what is stored is not measured again."""
    workload = request.workload()
    return _measure(workplace.store.claim(run.id, this_process()), request, workload, workplace)


def _measure(run: Run, request: QuickRequest, workload: Workload, workplace: Workplace) -> Outcome:
    store = workplace.store
    with ended(store, run):
        session = _Session(run, request, workload, workplace)
        failures = session.measure_all()
        recommendation = session.recommend()
        store.add_recommendation(run.id, recommendation.model_dump(mode="json"))
    return Outcome(run.id, recommendation, failures)


class _Session:
    def __init__(
        self, run: Run, request: QuickRequest, workload: Workload, workplace: Workplace
    ) -> None:
        self.run, self.request, self.workload, self.workplace = run, request, workload, workplace
        self.slo = parse_slo(request.slo)
        self.stored = stored_steps(workplace.store, run.id)
        self.began_s = time.perf_counter()
        self.left = self._sizes()

    def measure_all(self) -> tuple[str, ...]:
        """Every size; one that fails is told, and the run fails only when the first does."""
        failures: list[str] = []
        todo = [size for size in self.left if not self._is_finished(size)]
        if not todo:
            return ()
        with self.workplace.journal.workspace() as folder:
            self.workplace.progress("preparing", self._left_s(len(todo)))
            model_dir = model_folder(self.request.source, self.workplace.cache_folder)
            with Engine(folder / "engine", self.workplace.journal) as engine:
                for number, size in enumerate(todo):
                    place = _Place(
                        folder / f"size-{number}", engine, model_dir, len(todo) - number
                    )
                    try:
                        self._measure_size(size, place)
                    except (InvalidMeasurement, TargetDied) as error:
                        if number == 0:
                            raise
                        failures.append(f"{size_label(size)}: {error}")
        return tuple(failures)

    def recommend(self) -> Recommendation:
        self.workplace.progress("ranking", None)
        measured = read_run(self.workplace.store, self.run, self.request.slo)
        earlier_s = sum(
            each.measurement.elapsed_s for steps in self.stored.values() for each in steps.values()
        )
        measured = replace(measured, seconds=time.perf_counter() - self.began_s + earlier_s)
        answered = response_bytes_mean(measured.measurements)
        demand = self.request.demand(self.workload, answered)
        return recommend(measured, demand, self.workplace.book, self.workplace.prior, utc_now())

    def _sizes(self) -> tuple[float | None, ...]:
        if self.request.source.kind == "url":
            return (self.request.vcpus,)
        if self.request.sizes is not None:
            return self.request.sizes
        return default_sizes(len(capabilities().cores))

    def _is_finished(self, size: float | None) -> bool:
        """Does what is stored already answer the search?"""
        steps = self.stored.get(size_label(size), {})
        search = partial(next_step, slo=self.slo, settings=self.request.settings)
        return replayed(search, steps) is not None

    def _measure_size(self, size: float | None, place: _Place) -> None:
        label = size_label(size)
        progress, left_s = self.workplace.progress, self._left_s(place.sizes_left)
        target = target_of(
            self.request.source,
            self.request.vcpus if self.request.source.kind == "url" else size,
            place.folder,
            place.model_dir,
            self.workplace.journal,
        )

        def waiting(state: Waiting) -> None:
            progress(f"{label}: starting ({state.waited_s:.0f} s, /ping: {state.last})", left_s)

        def starting(step: Step) -> None:
            progress(f"{label}: {step.text}", self._left_s(place.sizes_left, step))

        progress(f"{label}: starting", left_s)
        with running(target, waiting) as setup:
            try_payloads(target, self.workload)
            search_capacity(
                self._probe(target, setup, place.engine),
                self.slo,
                self.request.settings,
                Hooks(
                    self.stored.get(label, {}),
                    lambda key, measured: self._keep(f"{label}{KEY_SEPARATOR}{key}", measured),
                    starting,
                ),
            )

    def _probe(self, target: Target, setup: Setup, engine: Engine) -> Probe:
        described = target.describe()
        cores, answer_s = generator_cores(target), described.timeouts.answer_s
        return Probe(
            engine=engine,
            target=target,
            record=describe_target(target, setup, self.request.vcpus, self.request.measured_on),
            destination=Destination((described.base_url,), self.workload, cores, answer_s),
            objectives=self.slo.latency,
            decided_by=(tightest(self.slo),),
            seed=self.request.seed,
        )

    def _keep(self, key: str, measured: Measured) -> None:
        self.workplace.store.add_measurement(
            self.run.id,
            key,
            measured.measurement.model_dump(mode="json"),
            measured.samples.encode(),
        )

    def _left_s(self, sizes: int, step: Step | None = None) -> float:
        """What the steps still to come take at most, give or take a bisection."""
        each_s = STARTING_S + SEARCH_OVERHEAD_S + self.request.measure_s
        if step is None:
            return sizes * each_s
        this_s = self.request.measure_s
        if isinstance(step, ClosedStep):
            this_s += SEARCH_OVERHEAD_S / step.concurrency
        return (sizes - 1) * each_s + this_s


@dataclass(frozen=True)
class _Place:
    """Where one size is measured. sizes_left: this one among them."""

    folder: Path
    engine: Engine
    model_dir: Path | None
    sizes_left: int
