"""What the dashboard may ask for. It reads runs; it never measures, decides or writes."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pydantic import ValidationError

from dashboard.recorded import DEMO, Recorded
from loadtests.environment import utc_now
from pricing import Library, Shelf
from recommender.aggregates import outline_in, outline_kept
from recommender.comparison import read_side
from recommender.errors import StoreUnreadable
from recommender.kept_verdicts import kept_verdicts
from recommender.last_few import LastFew
from recommender.loadtest.building import build_report
from recommender.loadtest.kept import step_key
from recommender.performance.speed_prior import SpeedPrior
from recommender.recommendation import Recommendation
from recommender.repricing import repriced
from recommender.simulated import Scene, Simulated
from recommender.store import open_store
from recommender.stored_run import kept_measurements
from recommender.what_if import WhatIf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from loadtests.outline import Outline
    from recommender.comparison import Reference, Side
    from recommender.demand import Demand
    from recommender.loadtest.report import KeptRun, LoadTestReport, TestReport
    from recommender.measured import KeptMeasurement
    from recommender.repricing import Repriced
    from recommender.simulated import Simulation
    from recommender.simulation.served import Terms
    from recommender.store import Run, Store

__all__ = ["DEMO_RUN", "LoadTest", "Repository", "StoreRepository", "WithDemo"]

NEWEST, MOST_REPRICED, MOST_SIDES = 100, 20, 6  # runs
MOST_CHECKED = 8  # recommendations, each of which takes 0.1 s to check
DEMO_RUN = "demo"  # what addresses call it; no run's id begins so
FOLLOWED = ("fixed", "soak")  # modes of which a run is shown as it went
MOST_COURSES = 3  # of the repeats of a test


class LoadTest(NamedTuple):
    """courses: how runs under traffic of the plan went, by configuration, scenario and step."""

    report: LoadTestReport
    courses: Mapping[tuple[str, str, str], Outline]


class Repository(Protocol):
    """Used by several threads at once. Every call may raise RecommenderError."""

    def runs(self) -> tuple[Run, ...]:
        """The newest runs first, at most a hundred of them."""
        ...

    def verdicts(self, runs: Iterable[Run]) -> Mapping[str, str]:
        """In a sentence, by id, of those runs that have ended and kept one. Opens no run."""
        ...

    def run(self, reference: str) -> Run:
        """By id, by the start of one, or `latest`. Raises UnknownRun or AmbiguousRun."""
        ...

    def recommendation(self, run_id: str) -> Recommendation | None:
        """The newest of the run, or None when it has none yet. Takes the full id."""
        ...

    def finished_measurements(self, run_id: str) -> int: ...

    def loadtest(self, run: Run) -> LoadTest:
        """Of a run that is one: what it found so far, made anew from its measurements."""
        ...

    def measured(self, run: Run) -> tuple[KeptMeasurement, ...]:
        """Of a quick run, INVALID tries too, in the order they were finished."""
        ...

    def outline(self, run_id: str, key: str) -> Outline | None:
        """Of one measurement; None where it kept no samples. Raises BadRequest for another key."""
        ...

    def demand(self, run: Run) -> Demand:
        """What a recommendation's run was asked. Raises BadRequest for a run of another kind."""
        ...

    def what_if(self, run: Run, demand: Demand, book: str) -> Recommendation:
        """The run's evidence under another question. Raises PricingError, UsageError too."""
        ...

    def simulation(
        self, run: Run, demand: Demand, terms: Terms, book: str, platforms: tuple[str, ...] | None
    ) -> Simulation:
        """Of the run under traffic that comes and goes. platforms: None where none were named."""
        ...

    def books(self) -> tuple[str, ...]:
        """Names of the price books there are, the newest last."""
        ...

    def regions(self, book: str) -> tuple[str, ...]: ...

    def library(self) -> Library:
        """The price books themselves."""
        ...

    def repriced(self, before: str, after: str) -> tuple[Repriced, ...]:
        """The newest runs, ranked under both books. Takes seconds; raises PricingError."""
        ...

    def side(self, reference: Reference) -> Side:
        """A run as one side of a comparison. Raises what `read_side` does."""
        ...

    def demonstrates(self, run_id: str) -> datetime | None:
        """When it was measured, if it is the demonstration; None for a run of the user's."""
        ...


class StoreRepository:
    """prior: speeds to rank by, None: the shipped ones. shelf: None has the bundled books."""

    def __init__(
        self, store: Store, prior: SpeedPrior | None = None, shelf: Shelf | None = None
    ) -> None:
        self._store, self._library = store, Library(shelf or Shelf())
        self._prior = prior or SpeedPrior.bundled()
        self._what_if = WhatIf(store, self._prior)
        self._simulated = Simulated(self._what_if)
        self._sides: LastFew[Side] = LastFew(MOST_SIDES)
        self._checked: LastFew[Recommendation | None] = LastFew(MOST_CHECKED)

    def runs(self) -> tuple[Run, ...]:
        return self._store.runs(limit=NEWEST)

    def verdicts(self, runs: Iterable[Run]) -> Mapping[str, str]:
        return kept_verdicts(self._store, runs)

    def run(self, reference: str) -> Run:
        return self._store.run(reference)

    def recommendation(self, run_id: str) -> Recommendation | None:
        newest = self._store.newest_recommendation(run_id)
        try:
            return self._checked.get((run_id, newest), lambda: self._read(run_id))
        except ValidationError as error:
            raise StoreUnreadable(
                _of_another_version(f"the recommendation of run {run_id}", error),
                hint=f"rank the run again with this version: recommender rank {run_id}",
            ) from error

    def _read(self, run_id: str) -> Recommendation | None:
        stored = self._store.recommendation(run_id)
        return None if stored is None else Recommendation.model_validate(stored.document)

    def finished_measurements(self, run_id: str) -> int:
        return self._store.count_measurements(run_id)

    def loadtest(self, run: Run) -> LoadTest:
        try:
            report = build_report(self._store, run, self._library.book(self.books()[-1]))
        except ValidationError as error:
            raise _unreadable(run, error) from error
        return LoadTest(report, self._courses(report))

    def demand(self, run: Run) -> Demand:
        return self._what_if.demand(run)

    def what_if(self, run: Run, demand: Demand, book: str) -> Recommendation:
        return self._what_if.answer(run, demand, self._library.book(book), utc_now())

    def simulation(
        self, run: Run, demand: Demand, terms: Terms, book: str, platforms: tuple[str, ...] | None
    ) -> Simulation:
        scene = Scene(run, demand, terms, self._library.book(book), platforms)
        return self._simulated.of(scene, utc_now())

    def books(self) -> tuple[str, ...]:
        """Up to the newest that can be trusted, which is told anew when another comes."""
        return self._library.names()

    def regions(self, book: str) -> tuple[str, ...]:
        return self._library.book(book).regions

    def library(self) -> Library:
        return self._library

    def repriced(self, before: str, after: str) -> tuple[Repriced, ...]:
        books = self._library.book(before), self._library.book(after)
        runs = self._store.runs(limit=MOST_REPRICED)
        return tuple(repriced(self._store, runs, books, self._prior, utc_now()))

    def side(self, reference: Reference) -> Side:
        run = self._store.run(reference.run)
        named = reference._replace(run=run.id)
        key = *named, run.status, self._store.count_measurements(run.id)
        return self._sides.get(key, lambda: read_side(self._store, named))

    def demonstrates(self, run_id: str) -> datetime | None:  # noqa: ARG002 - has none
        return None

    def measured(self, run: Run) -> tuple[KeptMeasurement, ...]:
        try:
            return kept_measurements(self._store, run)
        except ValidationError as error:
            raise _unreadable(run, error) from error

    def outline(self, run_id: str, key: str) -> Outline | None:
        return outline_in(self._store, run_id, key)

    def _courses(self, report: LoadTestReport) -> dict[tuple[str, str, str], Outline]:
        stored = {each.key: each for each in self._store.measurements(report.run)}
        found = {
            key: outline_kept(self._store, stored[step_key(*key)])
            for test in report.tests
            for run in _followed(test)
            for key in [(run.configuration, test.scenario, run.key)]
        }
        return {key: outline for key, outline in found.items() if outline is not None}


class WithDemo:
    """A repository, and beside it a recorded run that is not among its own."""

    def __init__(
        self, own: StoreRepository, prior: SpeedPrior | None = None, shelf: Shelf | None = None
    ) -> None:
        self._own, self._prior, self._shelf = own, prior, shelf
        self._making = Lock()

    def runs(self) -> tuple[Run, ...]:
        return self._own.runs()

    def verdicts(self, runs: Iterable[Run]) -> Mapping[str, str]:
        return self._own.verdicts(runs)

    def run(self, reference: str) -> Run:
        return self._demo.run if self._is_demo(reference) else self._own.run(reference)

    def recommendation(self, run_id: str) -> Recommendation | None:
        return self._of(run_id).recommendation(run_id)

    def finished_measurements(self, run_id: str) -> int:
        return self._of(run_id).finished_measurements(run_id)

    def measured(self, run: Run) -> tuple[KeptMeasurement, ...]:
        return self._of(run.id).measured(run)

    def outline(self, run_id: str, key: str) -> Outline | None:
        return self._of(run_id).outline(run_id, key)

    def loadtest(self, run: Run) -> LoadTest:
        return self._of(run.id).loadtest(run)

    def demand(self, run: Run) -> Demand:
        return self._of(run.id).demand(run)

    def what_if(self, run: Run, demand: Demand, book: str) -> Recommendation:
        return self._of(run.id).what_if(run, demand, book)

    def simulation(
        self, run: Run, demand: Demand, terms: Terms, book: str, platforms: tuple[str, ...] | None
    ) -> Simulation:
        return self._of(run.id).simulation(run, demand, terms, book, platforms)

    def books(self) -> tuple[str, ...]:
        return self._own.books()

    def regions(self, book: str) -> tuple[str, ...]:
        return self._own.regions(book)

    def library(self) -> Library:
        return self._own.library()

    def repriced(self, before: str, after: str) -> tuple[Repriced, ...]:
        return self._own.repriced(before, after)

    def side(self, reference: Reference) -> Side:
        run = self.run(reference.run)
        return self._of(run.id).side(reference._replace(run=run.id))

    def demonstrates(self, run_id: str) -> datetime | None:
        return self._demo.recorded_at if self._is_demo(run_id) else None

    def make_ready(self) -> None:
        """The demonstration, where it will be looked at first."""
        if not self._own.runs():
            self.run(DEMO_RUN)

    def close(self) -> None:
        """Takes the demonstration away; the user's store is not this one's to close."""
        with self._making:
            if "_made" in vars(self):
                made = vars(self).pop("_made")
                made.store.close()
                made.folder.cleanup()

    def _is_demo(self, run_id: str) -> bool:
        return run_id == DEMO_RUN or ("_made" in vars(self) and run_id == self._made.run.id)

    def _of(self, run_id: str) -> StoreRepository:
        return self._demo.repository if self._is_demo(run_id) else self._own

    @property
    def _demo(self) -> _Demo:
        with self._making:  # Alembic upgrades one store at a time
            return self._made

    @cached_property
    def _made(self) -> _Demo:
        folder = tempfile.TemporaryDirectory(prefix="recommender-demo-")
        file = Path(folder.name, "store.sqlite3")
        store = open_store(file, default_folder=file.parent)
        recorded = Recorded.read(DEMO)
        run = recorded.keep_in(store)
        repository = StoreRepository(store, self._prior, self._shelf)
        found = repository.what_if(run, repository.demand(run), repository.books()[-1])
        store.add_recommendation(run.id, found.model_dump(mode="json"))
        return _Demo(run, recorded.recorded_at, repository, store, folder)


class _Demo(NamedTuple):
    run: Run
    recorded_at: datetime
    repository: StoreRepository
    store: Store
    folder: tempfile.TemporaryDirectory[str]


def _followed(test: TestReport) -> tuple[KeptRun, ...]:
    return test.runs[:MOST_COURSES] if test.mode in FOLLOWED else ()


def _unreadable(run: Run, error: ValidationError) -> StoreUnreadable:
    return StoreUnreadable(
        _of_another_version(f"run {run.id}", error),
        hint="look at it with the version that made it",
    )


def _of_another_version(what: str, error: ValidationError) -> str:
    return (
        f"{what} was written by another version of this program: {len(error.errors())} of its "
        "fields are not as this one knows them"
    )
