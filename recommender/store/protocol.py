from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recommender.store.records import (
        Owner,
        Run,
        RunStatus,
        StoredMeasurement,
        StoredRecommendation,
    )

__all__ = ["Store"]


class Store(Protocol):
    """Where runs, their measurements and their recommendations outlive the process.

    Each call is one transaction: done entirely, and safe from `kill -9` once it returned, or not
    done at all. A store may be used by several threads at once and by several processes, each of
    which opens its own; it must not be carried over a fork. Writers wait for one another.

    A run belongs to its owner. Only the owner is expected to add to it, send heartbeats for it
    and finish it; `claim` hands it on. Readers own nothing and may look at any time.

    Documents are what `json.dumps` takes, with text for keys. Floats come back exactly as they
    were; NaN and infinities are refused with ValueError, since what is not known is None; other
    things JSON does not know are a TypeError. Tuples come back as lists.

    Every call may raise StoreFull, StoreUnreachable or StoreUnreadable, and every call that names
    a run raises UnknownRun when it is not there. Apart from `run`, they take the full id.
    """

    def create_run(
        self,
        kind: str,
        label: str | None,
        request: Mapping[str, Any],
        environment: Mapping[str, Any],
        owner: Owner | None,
    ) -> Run:
        """Record a new run: RUNNING under its owner, or CREATED and waiting for a `claim`."""
        ...

    def run(self, reference: str) -> Run:
        """The run of that id, the only one whose id begins so, or the newest for `latest`.

        Raises AmbiguousRun when several begin so. UnknownRun names the ids that come close.
        """
        ...

    def runs(
        self, limit: int = 20, kind: str | None = None, status: RunStatus | None = None
    ) -> tuple[Run, ...]:
        """The newest runs first, at most `limit` of them."""
        ...

    def claim(self, run_id: str, owner: Owner) -> Run:
        """Take over a run that nobody works on, to go on with it. Of two claims one succeeds.

        Raises RunInUse when its owner lives, and RunEnded when it has finished.
        """
        ...

    def leave_to(self, run_id: str, owner: Owner) -> Run:
        """Leave a run that nobody works on to a process that will `claim` it: CREATED till then.

        Nobody else may claim it meanwhile. When that process is gone without having claimed it,
        the run is INTERRUPTED. Raises what `claim` does.
        """
        ...

    def describe(self, run_id: str, environment: Mapping[str, Any]) -> Run:
        """Put this environment in place of the run's."""
        ...

    def report(self, run_id: str, doing: str, left_s: float | None) -> None:
        """Say what the run does and how long it may still take, and count it as a heartbeat.

        A run that has ended stays as it is.
        """
        ...

    def heartbeat(self, run_id: str) -> None:
        """Say that the owner lives. Machines that cannot see it believe so for 60 seconds."""
        ...

    def finish(self, run_id: str, status: RunStatus, error: str | None = None) -> Run:
        """End the run as FINISHED, FAILED or STOPPED; another status is a ValueError.

        A run ends once: ending it again in the same way changes nothing, in another way raises
        RunEnded.
        """
        ...

    def add_measurement(
        self,
        run_id: str,
        key: str,
        document: Mapping[str, Any],
        samples: bytes | None = None,
        resources: bytes | None = None,
    ) -> StoredMeasurement:
        """Keep a finished measurement, and count it as a heartbeat.

        `samples` are those of its requests, `resources` the series of what the machines used
        meanwhile. Both are kept byte for byte; the store does not look into them.

        The same key with the same content again changes nothing, so that a resumed run may
        repeat its last step; with other content it raises MeasurementConflict.
        """
        ...

    def measurements(self, run_id: str) -> tuple[StoredMeasurement, ...]:
        """All measurements of the run, in the order they were finished.

        Their samples and resources are not read: `has_samples` and `has_resources` say whether
        there are any.
        """
        ...

    def samples(self, measurement_id: int) -> bytes:
        """The samples kept with a measurement. Raises UnknownMeasurement if there are none."""
        ...

    def resources(self, measurement_id: int) -> bytes | None:
        """The resource series kept with a measurement, or None if there is none."""
        ...

    def count_measurements(self, run_id: str) -> int:
        """So many `measurements` would read."""
        ...

    def keep_aggregate(
        self, run_id: str, name: str, made_from: str, document: Mapping[str, Any]
    ) -> None:
        """Keep what was worked out of the run's measurements, in place of what had that name.

        It is nobody's evidence: whoever has read the run may keep it, no heartbeat comes of it,
        and it can be made again at any time. `made_from` tells of what, and by which version.
        """
        ...

    def aggregate(self, run_id: str, name: str, made_from: str) -> dict[str, Any] | None:
        """What was kept under that name, or None if there is none that was made from this."""
        ...

    def aggregates(
        self, run_ids: Sequence[str], name: str, made_from: str
    ) -> dict[str, dict[str, Any]]:
        """The same of several runs at once, by run. Those that have none are left out."""
        ...

    def add_recommendation(
        self, run_id: str, document: Mapping[str, Any]
    ) -> StoredRecommendation: ...

    def recommendation(self, run_id: str) -> StoredRecommendation | None:
        """The newest recommendation of the run, or None when it has none yet."""
        ...

    def newest_recommendation(self, run_id: str) -> int | None:
        """Its id alone, which tells whether there is another since: nothing of it is read."""
        ...

    def delete_run(self, run_id: str) -> None:
        """Remove the run with all it holds. Raises RunInUse when its owner lives."""
        ...

    def close(self) -> None:
        """Let go of files and connections. Closing again does nothing; other calls then raise."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
