"""A run's verdict is kept with it, renewed with its recommendation, and told once it has ended."""

import pytest

from recommender.errors import StoreFull
from recommender.kept_verdicts import keep_recommendation, keep_verdict, kept_verdicts
from recommender.recommendation import Recommendation
from recommender.store import RunStatus, open_store, this_process


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.sqlite3", default_folder=tmp_path) as opened:
        yield opened


@pytest.fixture
def stored(store):
    return store.create_run("quick", None, {}, {}, this_process())


def test_a_recommendation_is_kept_with_the_first_sentence_of_its_verdict(
    store, stored, whole_answer
):
    keep_recommendation(store, stored.id, whole_answer)
    store.finish(stored.id, RunStatus.FINISHED)
    kept = store.recommendation(stored.id).document
    assert Recommendation.model_validate(kept) == whole_answer
    said = kept_verdicts(store, store.runs())[stored.id]
    best = whole_answer.best
    assert best.option.text in said
    assert f"serves {whole_answer.demand.traffic.text} at {whole_answer.demand.slo}" in said
    assert said.count(". ") == 0


def test_a_newer_recommendation_has_the_last_word(store, stored, whole_answer):
    keep_recommendation(store, stored.id, whole_answer)
    store.finish(stored.id, RunStatus.FINISHED)
    nothing = whole_answer.model_copy(update={"ranked": (), "rejected": ()})
    keep_recommendation(store, stored.id, nothing)
    demand = whole_answer.demand
    said = kept_verdicts(store, store.runs())
    assert said == {stored.id: f"Nothing serves {demand.traffic.text} at {demand.slo}."}


def test_only_a_run_that_has_ended_says_it(store):
    runs = {
        status: store.create_run("loadtest", None, {}, {}, this_process())
        for status in (RunStatus.FINISHED, RunStatus.STOPPED, RunStatus.RUNNING)
    }
    runs[RunStatus.CREATED] = store.create_run("loadtest", None, {}, {}, None)
    for status, run in runs.items():
        keep_verdict(store, run.id, f"it was {status}")
        if not status.is_under_way:
            store.finish(run.id, status)
    ended = (RunStatus.FINISHED, RunStatus.STOPPED)
    said = {runs[status].id: f"it was {status}" for status in ended}
    assert kept_verdicts(store, store.runs()) == said


def test_a_store_without_room_for_it_loses_nothing_else(store, stored, whole_answer, monkeypatch):
    def full(*_):
        raise StoreFull("no space is left")

    monkeypatch.setattr(store, "keep_aggregate", full)
    keep_recommendation(store, stored.id, whole_answer)
    store.finish(stored.id, RunStatus.FINISHED)
    assert store.recommendation(stored.id) is not None
    assert kept_verdicts(store, store.runs()) == {}
