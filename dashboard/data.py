"""What the dashboard may ask for. It reads runs; it never measures, ranks or writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from pydantic import ValidationError

from loadtests.samples import Samples
from loadtests.timeline import round_window_s, timeline
from pricing import load_book
from recommender.errors import StoreUnreadable
from recommender.loadtest.building import build_report
from recommender.loadtest.kept import step_key
from recommender.recommendation import Recommendation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.timeline import Window
    from recommender.loadtest.report import KeptRun, LoadTestReport, TestReport
    from recommender.store import Run, Store

__all__ = ["LoadTest", "Repository", "StoreRepository"]

NEWEST = 100
FOLLOWED = ("fixed", "soak")  # modes of which a run is shown as it went
MOST_COURSES = 3  # of the repeats of a test
MOST_WINDOWS, FEWEST_IN_WINDOW = 120, 20


class LoadTest(NamedTuple):
    """courses: how runs under traffic of the plan went, by configuration, scenario and step."""

    report: LoadTestReport
    courses: Mapping[tuple[str, str, str], tuple[Window, ...]]


class Repository(Protocol):
    """Used by several threads at once. Every call may raise RecommenderError."""

    def runs(self) -> tuple[Run, ...]:
        """The newest runs first, at most a hundred of them."""
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


class StoreRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def runs(self) -> tuple[Run, ...]:
        return self._store.runs(limit=NEWEST)

    def run(self, reference: str) -> Run:
        return self._store.run(reference)

    def recommendation(self, run_id: str) -> Recommendation | None:
        stored = self._store.recommendation(run_id)
        if stored is None:
            return None
        try:
            return Recommendation.model_validate(stored.document)
        except ValidationError as error:
            raise StoreUnreadable(
                _of_another_version(f"the recommendation of run {run_id}", error),
                hint=f"rank the run again with this version: recommender rank {run_id}",
            ) from error

    def finished_measurements(self, run_id: str) -> int:
        return len(self._store.measurements(run_id))

    def loadtest(self, run: Run) -> LoadTest:
        try:
            report = build_report(self._store, run, load_book())
        except ValidationError as error:
            raise StoreUnreadable(
                _of_another_version(f"run {run.id}", error),
                hint="look at it with the version that made it",
            ) from error
        return LoadTest(report, self._courses(report))

    def _courses(self, report: LoadTestReport) -> dict[tuple[str, str, str], tuple[Window, ...]]:
        ids = {each.key: each.id for each in self._store.measurements(report.run)}
        return {
            (run.configuration, test.scenario, run.key): self._course(
                ids[step_key(run.configuration, test.scenario, run.key)]
            )
            for test in report.tests
            for run in _followed(test)
        }

    def _course(self, measurement_id: int) -> tuple[Window, ...]:
        """In windows long enough that a quantile in them says something."""
        samples = Samples.decode(self._store.samples(measurement_id))
        if len(samples) == 0:
            return ()
        most = min(MOST_WINDOWS, max(len(samples) // FEWEST_IN_WINDOW, 1))
        return timeline(samples, window_s=round_window_s(float(samples.due_s[-1]), most))


def _followed(test: TestReport) -> tuple[KeptRun, ...]:
    return test.runs[:MOST_COURSES] if test.mode in FOLLOWED else ()


def _of_another_version(what: str, error: ValidationError) -> str:
    return (
        f"{what} was written by another version of this program: {len(error.errors())} of its "
        "fields are not as this one knows them"
    )
