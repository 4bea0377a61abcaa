"""What is worked out of a run's measurements is kept beside it, and goes with it."""

import pytest

from recommender.errors import UnknownRun
from recommender.store import RunStatus, open_store, this_process


@pytest.fixture
def store(store_url, tmp_path):
    with open_store(store_url, default_folder=tmp_path) as opened:
        yield opened


@pytest.fixture
def run(store):
    return store.create_run("quick", None, {}, {}, this_process())


def test_it_is_found_by_what_it_was_made_from(store, run):
    store.keep_aggregate(run.id, "outline/a", "measurement 1", {"p95_s": 0.1})
    assert store.aggregate(run.id, "outline/a", "measurement 1") == {"p95_s": 0.1}
    assert store.aggregate(run.id, "outline/a", "measurement 2") is None
    assert store.aggregate(run.id, "outline/b", "measurement 1") is None


def test_a_newer_one_takes_the_place_of_the_older(store, run):
    for number in (1, 2):
        store.keep_aggregate(run.id, "answer", f"measurement {number}", {"n": number})
    assert store.aggregate(run.id, "answer", "measurement 1") is None
    assert store.aggregate(run.id, "answer", "measurement 2") == {"n": 2}


def test_it_is_no_heartbeat_and_may_be_kept_of_a_run_that_has_ended(store, run):
    before = store.finish(run.id, RunStatus.FINISHED)
    store.keep_aggregate(run.id, "answer", "x", {})
    assert store.run(run.id) == before


def test_those_of_several_runs_are_found_at_once(store):
    first, second, other = (
        store.create_run("quick", None, {}, {}, this_process()).id for _ in range(3)
    )
    store.keep_aggregate(first, "verdict", "format 1", {"n": 1})
    store.keep_aggregate(second, "verdict", "format 1", {"n": 2})
    store.keep_aggregate(second, "outline/a", "format 1", {"n": 3})
    store.keep_aggregate(other, "verdict", "format 2", {"n": 4})
    asked = (first, second, other, "q20000101-000000-none")
    assert store.aggregates(asked, "verdict", "format 1") == {first: {"n": 1}, second: {"n": 2}}
    assert store.aggregates((first,), "verdict", "format 1") == {first: {"n": 1}}
    assert store.aggregates((), "verdict", "format 1") == {}
    many = (*(f"q20000101-000000-{number}" for number in range(40_000)), second)
    assert store.aggregates(many, "verdict", "format 1") == {second: {"n": 2}}


def test_it_goes_with_its_run(store, run):
    store.keep_aggregate(run.id, "answer", "x", {"n": 1})
    store.finish(run.id, RunStatus.FINISHED)
    store.delete_run(run.id)
    assert store.aggregate(run.id, "answer", "x") is None
    with pytest.raises(UnknownRun):
        store.keep_aggregate(run.id, "answer", "x", {"n": 1})


def test_measurements_are_counted_without_being_read(store, run):
    assert store.count_measurements(run.id) == 0
    for key in ("a", "b"):
        store.add_measurement(run.id, key, {})
    assert store.count_measurements(run.id) == 2
    with pytest.raises(UnknownRun):
        store.count_measurements("q20000101-000000-none")
