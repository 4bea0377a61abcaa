"""What every store promises, held against SQLite and against a real PostgreSQL server."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import recommender
from recommender.errors import (
    AmbiguousRun,
    MeasurementConflict,
    RecommenderError,
    RunEnded,
    RunInUse,
    StoreTooNew,
    StoreUnreachable,
    StoreUnreadable,
    UnknownMeasurement,
    UnknownRun,
)
from recommender.store import Owner, RunStatus, Store, open_store, this_process
from recommender.store.schema import SHIPPED
from recommender.store.sql import SqlStore

ELSEWHERE = Owner(host="elsewhere", boot_id="another boot", pid=7, pid_started=1.5)
DEAD = replace(this_process(), pid_started=-1.0)  # the number was given to another process since

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(), JSON, max_size=5)


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Iterator[Store]:
    with open_store(store_url, default_folder=tmp_path) as opened:
        yield opened


def new_run(
    store: Store, owner: Owner | None = None, kind: str = "quick", **request: object
) -> str:
    return store.create_run(kind, "a label", request, {}, owner or this_process()).id


def seen_later(store: Store, seconds: float) -> SqlStore:
    """The same store as another reader sees it that much later."""
    assert isinstance(store, SqlStore)
    later = timedelta(seconds=seconds)
    return SqlStore(store._engine, store._location, lambda: datetime.now(UTC) + later)


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process with the store's names at hand; it speaks by lines on stdout."""
    prelude = "import sys\nfrom pathlib import Path\nfrom recommender.store import *\n"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", prelude + textwrap.dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(recommender.__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


class TestRuns:
    def test_a_run_reads_back_as_it_was_created(self, store: Store) -> None:
        owner = this_process()
        before = datetime.now(UTC)
        run = store.create_run("quick", "mine", {"slo": "p95<0.1"}, {"cpus": 2}, owner)
        assert store.run(run.id) == run
        assert (run.kind, run.label, run.status) == ("quick", "mine", RunStatus.RUNNING)
        assert (run.request, run.environment) == ({"slo": "p95<0.1"}, {"cpus": 2})
        assert run.owner == owner
        assert before <= run.created_at <= datetime.now(UTC)
        assert run.created_at.tzinfo is UTC
        assert (run.finished_at, run.error) == (None, None)

    def test_an_id_tells_kind_and_time_and_is_short(self, store: Store) -> None:
        run = store.run(new_run(store, kind="loadtest"))
        assert run.id.startswith(f"l{run.created_at:%Y%m%d-%H%M%S}-")
        assert len(run.id) == 21

    def test_it_survives_closing_and_opening(self, store_url: str, tmp_path: Path) -> None:
        with open_store(store_url, default_folder=tmp_path) as store:
            run_id = new_run(store)
            added = store.add_measurement(run_id, "a", {"p95_s": 0.25}, b"samples", b"resources")
        with open_store(store_url, default_folder=tmp_path) as store:
            assert store.measurements(run_id) == (added,)
            assert store.samples(added.id) == b"samples"
            assert store.resources(added.id) == b"resources"

    def test_the_newest_runs_come_first(self, store: Store) -> None:
        ids = [new_run(store) for _ in range(5)]
        assert [run.id for run in store.runs(limit=3)] == ids[:1:-1]
        assert [run.id for run in store.runs()] == ids[::-1]
        assert store.runs(limit=0) == ()

    def test_runs_are_listed_by_kind_and_status(self, store: Store) -> None:
        quick, load = new_run(store), new_run(store, kind="loadtest")
        failed = new_run(store)
        store.finish(failed, RunStatus.FAILED, "no answer")

        def ids(**only: Any) -> list[str]:
            return [run.id for run in store.runs(**only)]

        assert ids(kind="loadtest") == [load]
        assert ids(status=RunStatus.FAILED) == [failed]
        assert ids(status=RunStatus.RUNNING) == [load, quick]
        assert ids(kind="quick", status=RunStatus.RUNNING) == [quick]
        assert ids(status=RunStatus.FINISHED) == []

    def test_interrupted_and_running_runs_are_told_apart_in_lists(self, store: Store) -> None:
        gone = [new_run(store, DEAD), new_run(store, DEAD)]
        alive = new_run(store)
        gone.append(new_run(store, DEAD))
        interrupted = store.runs(status=RunStatus.INTERRUPTED)
        assert [run.id for run in interrupted] == gone[::-1]
        assert [run.id for run in store.runs(limit=1, status=RunStatus.RUNNING)] == [alive]
        assert [run.id for run in store.runs(limit=1, status=RunStatus.INTERRUPTED)] == gone[2:]

    def test_a_run_needs_a_kind(self, store: Store) -> None:
        with pytest.raises(ValueError, match="kind"):
            store.create_run("", None, {}, {}, None)

    def test_deleting_a_run_deletes_all_it_holds_and_nothing_else(self, store: Store) -> None:
        first, second = new_run(store), new_run(store)
        of_first = store.add_measurement(first, "a", {"n": 1}, b"1", b"r1")
        of_second = store.add_measurement(second, "a", {"n": 2}, b"2", b"r2")
        store.add_recommendation(first, {"rank": 1})
        store.finish(first, RunStatus.FINISHED)
        store.delete_run(first)
        with pytest.raises(UnknownRun):
            store.run(first)
        with pytest.raises(UnknownMeasurement):
            store.samples(of_first.id)
        assert store.resources(of_first.id) is None
        assert store.measurements(second) == (of_second,)
        assert store.samples(of_second.id) == b"2"
        assert store.resources(of_second.id) == b"r2"
        assert store.add_measurement(second, "b", {}).id > of_second.id

    def test_the_id_of_a_deleted_measurement_is_not_used_again(self, store: Store) -> None:
        first, second = new_run(store), new_run(store)
        gone = store.add_measurement(first, "a", {}, b"gone").id
        store.finish(first, RunStatus.STOPPED)
        store.delete_run(first)
        assert store.add_measurement(second, "a", {}, b"new").id != gone

    def test_a_run_at_work_is_not_deleted(self, store: Store) -> None:
        run_id = new_run(store)
        with pytest.raises(RunInUse):
            store.delete_run(run_id)
        assert store.run(run_id).id == run_id


class TestProgress:
    def test_what_a_run_reports_is_read_with_it(self, store: Store) -> None:
        before, run_id = datetime.now(UTC), new_run(store)
        assert store.run(run_id).progress is None
        store.report(run_id, "2 vCPU: 4 at a time", 12.5)
        store.report(run_id, "ranking", None)
        store.report(new_run(store), "another's", 1.0)
        run = store.run(run_id)
        assert run.progress is not None
        assert (run.progress.doing, run.progress.left_s) == ("ranking", None)
        assert before <= run.progress.told_at <= datetime.now(UTC)
        assert run.progress.told_at.tzinfo is UTC
        assert store.runs()[1] == run

    def test_a_report_is_a_heartbeat(self, store: Store) -> None:
        run_id = new_run(store, ELSEWHERE)
        seen_later(store, 50).report(run_id, "ranking", None)
        assert seen_later(store, 100).run(run_id).status is RunStatus.RUNNING

    def test_an_ended_run_keeps_its_last_report_and_takes_no_other(self, store: Store) -> None:
        run_id = new_run(store)
        store.report(run_id, "the last", 1.5)
        ended = store.finish(run_id, RunStatus.FAILED, "why")
        store.report(run_id, "too late", None)
        assert store.run(run_id) == ended
        assert ended.progress is not None
        assert (ended.progress.doing, ended.progress.left_s) == ("the last", 1.5)

    def test_who_takes_a_run_on_has_told_nothing_yet(self, store: Store) -> None:
        run_id = new_run(store, DEAD)
        store.report(run_id, "of another", None)
        assert store.claim(run_id, this_process()).progress is None

    def test_an_environment_can_be_told_later(self, store: Store) -> None:
        run_id = new_run(store)
        described = store.describe(run_id, {"cpus": 2, "placement": {"unseen": 0.1}})
        assert described == store.run(run_id)
        assert described.environment == {"cpus": 2, "placement": {"unseen": 0.1}}


class TestReferences:
    def test_latest_is_the_newest_run(self, store: Store) -> None:
        new_run(store)
        newest = new_run(store)
        assert store.run("latest").id == newest

    def test_a_unique_beginning_is_enough(self, store: Store) -> None:
        quick, load = new_run(store), new_run(store, kind="loadtest")
        assert store.run(quick[:1]).id == quick
        assert store.run(load[:-1]).id == load

    def test_an_ambiguous_beginning_is_refused_with_the_choices(self, store: Store) -> None:
        ids = [new_run(store), new_run(store)]
        with pytest.raises(AmbiguousRun) as caught:
            store.run("q2")
        assert all(run_id in str(caught.value) for run_id in ids)
        assert caught.value.exit_code == 2

    def test_an_unknown_run_gets_close_matches(self, store: Store) -> None:
        run_id = new_run(store)
        with pytest.raises(UnknownRun) as caught:
            store.run(run_id[:-1] + ("0" if run_id[-1] != "0" else "1"))
        assert f"did you mean {run_id}?" in str(caught.value.hint)
        assert caught.value.exit_code == 2

    def test_a_name_like_no_run_gets_the_newest(self, store: Store) -> None:
        run_id = new_run(store)
        with pytest.raises(UnknownRun) as caught:
            store.run("nothing like it")
        assert f"the newest runs are {run_id}" in str(caught.value.hint)

    @pytest.mark.parametrize("reference", ["latest", "", "q"])
    def test_an_empty_store_says_that_it_is_empty(self, store: Store, reference: str) -> None:
        with pytest.raises(UnknownRun, match="holds no runs"):
            store.run(reference)

    @pytest.mark.parametrize("reference", ["", "%", "_", "q%", "'"])
    def test_a_reference_is_no_pattern(self, store: Store, reference: str) -> None:
        new_run(store)
        with pytest.raises(UnknownRun):
            store.run(reference)

    def test_every_call_refuses_an_unknown_run(self, store: Store) -> None:
        calls = [
            lambda: store.claim("q0", this_process()),
            lambda: store.leave_to("q0", this_process()),
            lambda: store.describe("q0", {}),
            lambda: store.report("q0", "ranking", None),
            lambda: store.heartbeat("q0"),
            lambda: store.finish("q0", RunStatus.FINISHED),
            lambda: store.add_measurement("q0", "a", {}),
            lambda: store.measurements("q0"),
            lambda: store.add_recommendation("q0", {}),
            lambda: store.recommendation("q0"),
            lambda: store.delete_run("q0"),
        ]
        for call in calls:
            with pytest.raises(UnknownRun):
                call()


class TestOwnership:
    def test_a_run_without_owner_waits_to_be_claimed(self, store: Store) -> None:
        run = store.create_run("quick", None, {}, {}, None)
        assert (run.status, run.owner, run.heartbeat_at) == (RunStatus.CREATED, None, None)
        claimed = store.claim(run.id, this_process())
        assert (claimed.status, claimed.owner) == (RunStatus.RUNNING, this_process())

    def test_a_run_whose_process_is_gone_is_interrupted(self, store: Store) -> None:
        assert store.run(new_run(store, DEAD)).status is RunStatus.INTERRUPTED

    def test_an_interrupted_run_goes_on_under_a_new_owner(self, store: Store) -> None:
        run_id = new_run(store, DEAD)
        claimed = store.claim(run_id, this_process())
        assert claimed == store.run(run_id)
        assert (claimed.status, claimed.owner) == (RunStatus.RUNNING, this_process())

    def test_a_run_whose_owner_lives_cannot_be_claimed(self, store: Store) -> None:
        run_id = new_run(store)
        with pytest.raises(RunInUse, match=f"process {os.getpid()} on "):
            store.claim(run_id, ELSEWHERE)
        assert store.run(run_id).owner == this_process()

    def test_claiming_ones_own_run_changes_no_owner(self, store: Store) -> None:
        run_id = new_run(store)
        assert store.claim(run_id, this_process()).owner == this_process()

    def test_a_stopped_or_failed_run_can_be_resumed(self, store: Store) -> None:
        for status in (RunStatus.STOPPED, RunStatus.FAILED):
            run_id = new_run(store)
            store.finish(run_id, status, "why")
            run = store.claim(run_id, this_process())
            assert (run.status, run.error, run.finished_at) == (RunStatus.RUNNING, None, None)

    def test_a_finished_run_cannot_be_claimed(self, store: Store) -> None:
        run_id = new_run(store)
        store.finish(run_id, RunStatus.FINISHED)
        with pytest.raises(RunEnded):
            store.claim(run_id, this_process())

    def test_an_owner_elsewhere_is_believed_for_a_minute(self, store: Store) -> None:
        run_id = new_run(store, ELSEWHERE)
        assert seen_later(store, 50).run(run_id).status is RunStatus.RUNNING
        assert seen_later(store, 70).run(run_id).status is RunStatus.INTERRUPTED

    def test_a_heartbeat_renews_the_minute(self, store: Store) -> None:
        run_id = new_run(store, ELSEWHERE)
        seen_later(store, 50).heartbeat(run_id)
        assert seen_later(store, 100).run(run_id).status is RunStatus.RUNNING

    def test_a_measurement_is_a_heartbeat(self, store: Store) -> None:
        run_id = new_run(store, ELSEWHERE)
        seen_later(store, 50).add_measurement(run_id, "a", {})
        assert seen_later(store, 100).run(run_id).status is RunStatus.RUNNING

    def test_a_run_left_to_a_process_is_for_nobody_else(self, store: Store) -> None:
        run_id = store.create_run("quick", None, {}, {}, None).id
        left = store.leave_to(run_id, this_process())
        assert (left.status, left.owner) == (RunStatus.CREATED, this_process())
        for take in (store.claim, store.leave_to):
            with pytest.raises(RunInUse):
                take(run_id, ELSEWHERE)
        with pytest.raises(RunInUse):
            store.delete_run(run_id)
        assert store.claim(run_id, this_process()).status is RunStatus.RUNNING

    def test_a_run_left_to_a_process_that_is_gone_is_interrupted(self, store: Store) -> None:
        waiting = store.create_run("quick", None, {}, {}, None).id
        run_id = store.create_run("quick", None, {}, {}, None).id
        assert store.leave_to(run_id, DEAD).status is RunStatus.INTERRUPTED
        assert [run.id for run in store.runs(status=RunStatus.INTERRUPTED)] == [run_id]
        assert [run.id for run in store.runs(status=RunStatus.CREATED)] == [waiting]
        assert store.claim(run_id, this_process()).status is RunStatus.RUNNING

    def test_only_a_run_that_may_be_claimed_is_left_to_a_process(self, store: Store) -> None:
        run_id = new_run(store)
        with pytest.raises(RunInUse):
            store.leave_to(run_id, ELSEWHERE)
        store.finish(run_id, RunStatus.STOPPED, "why")
        left = store.leave_to(run_id, this_process())
        assert (left.status, left.error, left.finished_at) == (RunStatus.CREATED, None, None)
        store.finish(run_id, RunStatus.FINISHED)
        with pytest.raises(RunEnded):
            store.leave_to(run_id, this_process())

    def test_of_many_claims_at_once_one_succeeds(self, store: Store) -> None:
        run_id = new_run(store, DEAD)
        outcomes: list[object] = []

        def claim(pid: int) -> None:
            try:
                outcomes.append(store.claim(run_id, replace(ELSEWHERE, pid=pid)).owner)
            except RunInUse as error:
                outcomes.append(error)

        in_threads(claim, range(4))
        owners = [outcome for outcome in outcomes if isinstance(outcome, Owner)]
        assert len(outcomes) == 4
        assert owners == [store.run(run_id).owner]


class TestEnding:
    @pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.STOPPED])
    def test_a_run_ends_with_its_status_time_and_error(
        self, store: Store, status: RunStatus
    ) -> None:
        run = store.finish(new_run(store), status, "because")
        assert run == store.run(run.id)
        assert (run.status, run.error) == (status, "because")
        assert run.finished_at is not None
        assert run.created_at <= run.finished_at <= datetime.now(UTC)

    @pytest.mark.parametrize(
        "status", [RunStatus.CREATED, RunStatus.RUNNING, RunStatus.INTERRUPTED]
    )
    def test_a_run_cannot_end_in_any_other_way(self, store: Store, status: RunStatus) -> None:
        with pytest.raises(ValueError, match="ends as"):
            store.finish(new_run(store), status)

    def test_ending_in_the_same_way_again_changes_nothing(self, store: Store) -> None:
        run_id = new_run(store)
        ended = store.finish(run_id, RunStatus.FAILED, "why")
        assert store.finish(run_id, RunStatus.FAILED, "why") == ended

    def test_an_end_is_not_rewritten(self, store: Store) -> None:
        run_id = new_run(store)
        store.finish(run_id, RunStatus.FINISHED)
        with pytest.raises(RunEnded):
            store.finish(run_id, RunStatus.FAILED, "late")
        assert store.run(run_id).status is RunStatus.FINISHED


class TestMeasurements:
    def test_they_come_in_the_order_they_were_finished(self, store: Store) -> None:
        run_id, other = new_run(store), new_run(store)
        for key in ("z", "a", "m"):
            store.add_measurement(run_id, key, {"key": key})
            store.add_measurement(other, key, {})
        found = store.measurements(run_id)
        assert [(each.sequence, each.key) for each in found] == [(1, "z"), (2, "a"), (3, "m")]
        assert found[1].document == {"key": "a"}

    def test_a_million_samples_come_back_byte_for_byte(self, store: Store) -> None:
        samples = os.urandom(15_000_000)
        added = store.add_measurement(new_run(store), "a", {}, samples)
        assert added.has_samples
        assert store.samples(added.id) == samples

    def test_no_samples_is_not_the_same_as_empty_samples(self, store: Store) -> None:
        run_id = new_run(store)
        none, empty = (
            store.add_measurement(run_id, key, {}, samples)
            for key, samples in (("none", None), ("empty", b""))
        )
        assert (none.has_samples, empty.has_samples) == (False, True)
        assert store.samples(empty.id) == b""
        with pytest.raises(UnknownMeasurement):
            store.samples(none.id)

    @pytest.mark.parametrize(
        ("samples", "resources"),
        [(None, b"r"), (b"s", None), (None, b""), (b"s", bytes(range(247, 256)))],
    )
    def test_resources_are_kept_beside_samples_and_without_them(
        self, store: Store, samples: bytes | None, resources: bytes | None
    ) -> None:
        run_id = new_run(store)
        added = store.add_measurement(run_id, "a", {}, samples, resources)
        assert store.measurements(run_id) == (added,)
        assert added.has_samples is (samples is not None)
        assert added.has_resources is (resources is not None)
        assert store.resources(added.id) == resources

    @pytest.mark.parametrize("resources", [None, b"r"])
    def test_the_same_measurement_again_changes_nothing(
        self, store: Store, resources: bytes | None
    ) -> None:
        run_id = new_run(store)
        added = store.add_measurement(run_id, "a", {"y": (2,), "x": 1}, b"s", resources)
        again = store.add_measurement(run_id, "a", {"x": 1, "y": [2]}, b"s", resources)
        assert again == added
        assert store.measurements(run_id) == (added,)
        assert store.resources(added.id) == resources

    @pytest.mark.parametrize(
        ("document", "samples", "resources"),
        [
            ({"x": 2}, b"s", b"r"),
            ({"x": 1.0}, b"s", b"r"),
            ({"x": True}, b"s", b"r"),
            ({}, b"s", b"r"),
            ({"x": 1}, b"t", b"r"),
            ({"x": 1}, None, b"r"),
            ({"x": 1}, b"s", b"q"),
            ({"x": 1}, b"s", None),
            ({"x": 1}, b"r", b"s"),
        ],
    )
    def test_another_measurement_under_the_same_key_is_refused(
        self,
        store: Store,
        document: dict[str, Any],
        samples: bytes | None,
        resources: bytes | None,
    ) -> None:
        run_id = new_run(store)
        added = store.add_measurement(run_id, "a", {"x": 1}, b"s", b"r")
        with pytest.raises(MeasurementConflict, match="'a'"):
            store.add_measurement(run_id, "a", document, samples, resources)
        assert store.measurements(run_id) == (added,)
        assert (store.samples(added.id), store.resources(added.id)) == (b"s", b"r")

    @settings(
        deadline=None,
        max_examples=60,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(document=DOCUMENTS)
    def test_a_document_reads_back_exactly(self, store: Store, document: dict[str, Any]) -> None:
        run_id = store.create_run("quick", None, document, document, None).id
        store.add_measurement(run_id, "a", document)
        store.add_recommendation(run_id, document)
        run, recommended = store.run(run_id), store.recommendation(run_id)
        assert recommended is not None
        back = [run.request, run.environment, recommended.document]
        back += [each.document for each in store.measurements(run_id)]
        # The text of it tells 0.0 from -0.0 and 1 from 1.0, which == does not.
        assert [repr(each) for each in back] == [repr(document)] * 4

    @pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
    def test_what_is_no_number_is_refused(self, store: Store, number: float) -> None:
        run_id = new_run(store)
        bad = {"latency": [{"p95_s": number}]}
        for call in (
            lambda: store.add_measurement(run_id, "a", bad),
            lambda: store.add_recommendation(run_id, bad),
            lambda: store.create_run("quick", None, bad, {}, None),
            lambda: store.create_run("quick", None, {}, bad, None),
        ):
            with pytest.raises(ValueError, match="not known is None"):
                call()
        assert store.measurements(run_id) == ()
        assert len(store.runs()) == 1

    def test_what_json_does_not_know_is_refused(self, store: Store) -> None:
        with pytest.raises(TypeError):
            store.add_measurement(new_run(store), "a", {"when": datetime.now(UTC)})


class TestRecommendations:
    def test_the_newest_one_counts(self, store: Store) -> None:
        run_id, other = new_run(store), new_run(store)
        assert store.recommendation(run_id) is None
        store.add_recommendation(run_id, {"rank": 1})
        second = store.add_recommendation(run_id, {"rank": 2})
        store.add_recommendation(other, {"rank": 3})
        assert store.recommendation(run_id) == second
        assert second.document == {"rank": 2}
        assert second.run_id == run_id


class TestCompany:
    def test_threads_may_share_a_store(self, store: Store) -> None:
        run_id = new_run(store)

        def add(number: int) -> None:
            for step in range(10):
                store.add_measurement(run_id, f"{number}.{step}", {"n": step}, b"s")
                store.runs()

        in_threads(add, range(4))
        assert [each.sequence for each in store.measurements(run_id)] == list(range(1, 41))

    def test_threads_may_make_a_store_at_once(self, store_url: str, tmp_path: Path) -> None:
        all_ready = threading.Barrier(6)

        def make(_number: int) -> None:
            all_ready.wait()
            with open_store(store_url, default_folder=tmp_path) as store:
                new_run(store)

        in_threads(make, range(6))
        with open_store(store_url, default_folder=tmp_path) as store:
            assert len(store.runs()) == 6

    def test_processes_may_make_and_fill_one_store_at_once(
        self, store_url: str, tmp_path: Path
    ) -> None:
        processes = [
            python(
                """
                with open_store(sys.argv[1], default_folder=Path(sys.argv[2])) as store:
                    run = store.create_run("quick", None, {}, {}, this_process())
                    for step in range(25):
                        store.add_measurement(run.id, str(step), {"step": step}, bytes(20_000))
                        store.runs()
                    store.finish(run.id, RunStatus.FINISHED)
                """,
                store_url,
                str(tmp_path),
            )
            for _ in range(4)
        ]
        for process in processes:
            said(process)
        with open_store(store_url, default_folder=tmp_path) as store:
            runs = store.runs(status=RunStatus.FINISHED)
            assert len(runs) == 4
            for run in runs:
                assert [each.key for each in store.measurements(run.id)] == [
                    str(step) for step in range(25)
                ]

    def test_kill_9_keeps_every_finished_measurement(self, store_url: str, tmp_path: Path) -> None:
        writer = python(
            """
            store = open_store(sys.argv[1], default_folder=Path(sys.argv[2]))
            run = store.create_run("quick", None, {}, {}, this_process())
            print(run.id, flush=True)
            step = 0
            while True:
                step += 1
                samples = str(step).encode() * 50_000
                resources = str(step).encode() * 500
                store.add_measurement(run.id, str(step), {"step": step}, samples, resources)
                print(step, flush=True)
            """,
            store_url,
            str(tmp_path),
        )
        assert writer.stdout is not None
        run_id = writer.stdout.readline().strip()
        finished = [writer.stdout.readline().strip() for _ in range(8)]
        with open_store(store_url, default_folder=tmp_path) as store:
            assert store.run(run_id).status is RunStatus.RUNNING
            writer.send_signal(signal.SIGKILL)
            finished += writer.communicate()[0].split()
            kept = store.measurements(run_id)
            # One more may have been kept whose line was never printed.
            assert [each.key for each in kept][: len(finished)] == finished
            assert len(kept) <= len(finished) + 1
            for each in kept:
                assert each.document == {"step": int(each.key)}
                assert store.samples(each.id) == each.key.encode() * 50_000
                assert store.resources(each.id) == each.key.encode() * 500
            assert store.run(run_id).status is RunStatus.INTERRUPTED
            assert store.claim(run_id, this_process()).status is RunStatus.RUNNING
            store.add_measurement(run_id, "the next", {})
            assert store.measurements(run_id)[-1].sequence == len(kept) + 1


class TestOpening:
    def test_a_store_of_a_newer_version_is_refused_and_left_alone(
        self, store_url: str, tmp_path: Path
    ) -> None:
        with open_store(store_url, default_folder=tmp_path) as store:
            run_id = new_run(store)
            sql(store, "UPDATE store_revision SET version_num = '9999'")
            with pytest.raises(StoreTooNew) as caught:
                open_store(store_url, default_folder=tmp_path)
            assert "schema 9999" in str(caught.value)
            assert f"up to {SHIPPED.newest}" in str(caught.value)
            assert "--upgrade" in str(caught.value.hint)
            assert caught.value.exit_code == 1
            assert store.run(run_id).id == run_id

    def test_another_programs_database_is_refused_and_left_alone(
        self, store_url: str, tmp_path: Path
    ) -> None:
        with open_store(store_url, default_folder=tmp_path) as store:
            sql(store, "DROP TABLE store_revision")
        with pytest.raises(StoreUnreadable, match="program: it holds aggregates, measurements"):
            open_store(store_url, default_folder=tmp_path)

    def test_a_closed_store_says_so(self, store: Store) -> None:
        store.close()
        store.close()
        with pytest.raises(StoreUnreachable, match="closed"):
            store.runs()

    @pytest.mark.postgres
    def test_a_server_that_is_not_there_is_named_without_its_password(
        self, tmp_path: Path
    ) -> None:
        url = f"postgresql://me:secret@localhost/none?host={tmp_path}"
        with pytest.raises(StoreUnreachable) as caught:
            open_store(url, default_folder=tmp_path)
        told = f"{caught.value} {caught.value.hint}"
        assert "me:***@" in told
        assert "secret" not in told

    @pytest.mark.postgres
    def test_a_database_that_is_not_there_is_named(
        self, postgres_folder: Path, tmp_path: Path
    ) -> None:
        url = f"postgres://tester@/missing?host={postgres_folder}"
        with pytest.raises(StoreUnreachable, match='"missing" does not exist'):
            open_store(url, default_folder=tmp_path)

    @pytest.mark.postgres
    def test_a_server_that_dropped_the_connection_is_connected_to_again(
        self, postgres_folder: Path, tmp_path: Path
    ) -> None:
        psycopg = pytest.importorskip("psycopg")
        at = f"host={postgres_folder} user=tester dbname=postgres"
        name = f"t{uuid4().hex}"
        with psycopg.connect(at, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
            url = f"postgresql://tester@/{name}?host={postgres_folder}"
            with open_store(url, default_folder=tmp_path) as store:
                run_id = new_run(store)
                server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [name],
                )
                assert store.run(run_id).id == run_id

    def test_only_errors_of_ours_leave_the_store(self, store: Store) -> None:
        sql(store, "DROP TABLE samples")
        with pytest.raises(RecommenderError, match="failed") as caught:
            store.add_measurement(new_run(store), "a", {}, b"s")
        assert type(caught.value).__module__ == "recommender.errors"
        assert store.measurements(store.run("latest").id) == ()


def in_threads(work: Any, numbers: range) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def sql(store: Store, statement: str) -> None:
    assert isinstance(store, SqlStore)
    with store._writing() as connection:
        connection.exec_driver_sql(statement)
