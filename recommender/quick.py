"""The quick recommendation: start the container at each size, measure, store, recommend."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from loadtests.environment import capture_environment, utc_now
from loadtests.errors import InvalidMeasurement, TargetDied
from loadtests.modes.capacity import next_step
from loadtests.probe import Hooks, Probe, describe_target, replayed, search_capacity
from loadtests.runner import Destination, Engine
from loadtests.slo import tightest
from loadtests.steps import ClosedStep
from loadtests.targets.limits import capabilities
from loadtests.targets.protocol import running
from recommender.aggregates import keep_outline
from recommender.demand import slo_to_rank_by
from recommender.errors import BadRequest
from recommender.kept_verdicts import keep_recommendation
from recommender.lifecycle import ended, taken_on, told
from recommender.measured import response_bytes_mean
from recommender.offered import offered
from recommender.placement.here import placed_here
from recommender.recommend import recommend
from recommender.request import KIND, QuickRequest
from recommender.starting import (
    Deployment,
    Site,
    deployed,
    generator_cores,
    prepare,
    try_payloads,
)
from recommender.store import this_process
from recommender.stored_run import (
    KEY_SEPARATOR,
    PLACEMENT,
    read_run,
    size_label,
    stored_steps,
)
from recommender.turns import own_turn

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
    from recommender.store import Owner, Run, Store

__all__ = [
    "Progress",
    "Workplace",
    "check_quick",
    "create_quick",
    "default_sizes",
    "resume_quick",
    "run_quick",
]

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
    run = create_quick(request, workplace.store, workplace.book, this_process())
    return _measure(run, workplace)


def create_quick(request: QuickRequest, store: Store, book: PriceBook, owner: Owner | None) -> Run:
    """Whatever is wrong with the request is found before anything is stored."""
    workload = check_quick(request, book)
    kept = request.model_copy(update={"workload_digest": workload.digest})
    return store.create_run(
        KIND,
        request.source.text,
        kept.model_dump(mode="json"),
        capture_environment().model_dump(mode="json"),
        owner,
    )


def check_quick(request: QuickRequest, book: PriceBook) -> Workload:
    """What will be sent. Raises what keeps such a run from being begun."""
    workload = request.workload()
    slo_to_rank_by(request.slo)
    book = offered(book, request.constraints)
    book.require_region(request.constraints.region)
    if request.measured_on is not None:
        book.instance(request.measured_on)
    if request.constraints.instance_types:
        book.matching(request.constraints.instance_types)
    return workload


def resume_quick(run: Run, workplace: Workplace) -> Outcome:
    """Takes on a run that nobody works on; what is stored is not measured again."""
    if run.kind != KIND:
        raise BadRequest(
            f"{run.id} is not a quick run", hint=f"recommender {run.kind} --resume {run.id}"
        )
    with taken_on(workplace.store, run.id):
        QuickRequest.model_validate(run.request).workload()
        claimed = workplace.store.claim(run.id, this_process())
    return _measure(claimed, workplace)


def _measure(run: Run, workplace: Workplace) -> Outcome:
    store = workplace.store
    with (
        ended(store, run),
        told(store, run, workplace.progress) as progress,
        own_turn(workplace.cache_folder, run.id, progress),
    ):
        workplace = replace(workplace, progress=progress)
        session = _Session(_placed(run, workplace), workplace)
        failures = session.measure_all()
        recommendation = session.recommend()
        keep_recommendation(store, run.id, recommendation)
    return Outcome(run.id, recommendation, failures)


def _placed(run: Run, workplace: Workplace) -> Run:
    """With what the benchmarks of this machine are like, which may take some seconds to run."""
    if PLACEMENT in run.environment:
        return run
    workplace.progress("placing this machine", None)
    placement = placed_here(workplace.cache_folder, capture_environment(), utc_now().date())
    described = run.environment | {PLACEMENT: placement.model_dump(mode="json")}
    return workplace.store.describe(run.id, described)


class _Session:
    def __init__(self, run: Run, workplace: Workplace) -> None:
        self.run, self.workplace = run, workplace
        self.request = request = QuickRequest.model_validate(run.request)
        self.workload = request.workload()
        self.slo = slo_to_rank_by(request.slo)
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
            prepare(self.request.source, self.workplace.cache_folder)
            with Engine(folder / "engine", self.workplace.journal) as engine:
                for number, size in enumerate(todo):
                    place = _Place(folder / f"size-{number}", engine, len(todo) - number)
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

        def waiting(state: Waiting) -> None:
            progress(f"{label}: starting ({state.waited_s:.0f} s, /ping: {state.last})", left_s)

        def starting(step: Step) -> None:
            progress(f"{label}: {step.text}", self._left_s(place.sizes_left, step))

        def told(doing: str) -> None:
            progress(f"{label}: {doing}", left_s)

        site = Site(place.folder, self.workplace.cache_folder, self.workplace.journal, told)
        vcpus = self.request.vcpus if self.request.source.kind == "url" else size
        told("starting")
        with (
            deployed(self.request.source, Deployment(vcpus=vcpus), site) as target,
            running(target, waiting) as setup,
        ):
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
        stored = self.workplace.store.add_measurement(
            self.run.id,
            key,
            measured.measurement.model_dump(mode="json"),
            measured.samples.encode(),
            None if measured.resources is None else measured.resources.encode(),
        )
        keep_outline(self.workplace.store, stored, measured)

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
    sizes_left: int
