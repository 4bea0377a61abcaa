"""A run that is still measured: what changed is replaced, and nothing else."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from dash import no_update
from shown import shown, spelled
from simulated_loadtest import PLAN, Bench, keep_loadtest

from dashboard.app import page_at
from dashboard.components.progress import progress_block, progress_view
from dashboard.data import StoreRepository
from dashboard.pages import loadtest, recommendation
from dashboard.pages.live import CLOCK, LIVE, ticked
from recommender.loadtest.agenda import agenda
from recommender.loadtest.plan import Plan
from recommender.store import Progress, Run, RunStatus, this_process

NOW = datetime(2026, 11, 21, 6, 4, 22, tzinfo=UTC)
RUN = Run(
    id="l1", kind="loadtest", label=None, status=RunStatus.RUNNING,
    created_at=NOW - timedelta(seconds=60), finished_at=None, request={}, environment={},
    owner=None, heartbeat_at=None, error=None, tool_version=None,
    progress=Progress("1 vCPU: open loop", 50.0, NOW - timedelta(seconds=10)),
)  # fmt: skip
GIVEN = PLAN | {
    "scenarios": [PLAN["scenarios"][0], PLAN["scenarios"][2]],
    "configurations": [{"vcpus": 1}],
}


@pytest.fixture
def begun(store, environment):
    """A load test with nothing measured yet: its id, and what carries its two tests out."""
    run = keep_loadtest(store, environment, GIVEN, leave=("capacity", "fixed burst"))
    plan = Plan.model_validate(GIVEN)
    bench = Bench(store, run.id, plan)
    first, second = agenda(plan, environment.cores)
    return run.id, (lambda: bench.carry_out(first)), (lambda: bench.carry_out(second))


@pytest.fixture
def repository(store):
    return StoreRepository(store)


def parts_of(component):
    """Every component of the tree that has an id, by it."""
    found = {}

    def walk(each):
        if isinstance(each, list | tuple):
            for one in each:
                walk(one)
        elif hasattr(each, "to_plotly_json"):
            props = each.to_plotly_json()["props"]
            if "id" in props:
                found[json.dumps(props["id"], sort_keys=True)] = each
            walk(props.get("children"))

    walk(component)
    return found


def opened(repository, run_id):
    """What a browser holds after it opened the page: its store, the names of its parts."""
    parts = parts_of(page_at(repository, f"runs/{run_id}").content)
    names = [json.loads(key)["part"] for key in parts if '"live-part"' in key]
    return parts, parts[json.dumps(LIVE)].data, names


def tick(repository, held, names):
    makers = {
        loadtest.PAGE: lambda run: loadtest.live(repository, run, jobs_allowed=False),
        recommendation.PAGE: lambda run: recommendation.live(repository, run, jobs_allowed=False),
    }
    return ticked(repository, makers, held, names, 1)


def test_a_tick_without_news_changes_the_progress_alone(store, repository, begun):
    run_id, *_ = begun
    _, held, names = opened(repository, run_id)
    store.report(run_id, "1 vCPU: open loop", 41.0)
    progress, parts, options, now, has_ended = tick(repository, held, names)
    assert "1 vCPU: open loop" in spelled(progress)
    assert parts == [no_update] * len(names)
    assert (options, now, has_ended) == ([no_update], no_update, False)


def test_what_is_finished_appears_and_the_rest_is_left_alone(repository, begun):
    run_id, first, second = begun
    _, held, names = opened(repository, run_id)
    first()
    _, parts, options, held, has_ended = tick(repository, held, names)
    changed = {name for name, part in zip(names, parts, strict=True) if part is not no_update}
    assert changed == {"head", "glance", "limits", "test 0"}
    assert "holds" in spelled(parts[names.index("head")])
    assert [each["group"] for each in options[0]] == ["1 vCPU: capacity"]
    assert not has_ended
    second()
    _, parts, _, _, _ = tick(repository, held, names)
    changed = {name for name, part in zip(names, parts, strict=True) if part is not no_update}
    assert "test 1" in changed
    assert "test 0" not in changed


def test_the_clock_stops_when_the_run_has_ended(store, repository, begun):
    run_id, first, _ = begun
    first()
    parts, held, names = opened(repository, run_id)
    assert not parts[json.dumps(CLOCK)].disabled
    store.finish(run_id, RunStatus.STOPPED, "stopped by the user")
    progress, parts, _, _, has_ended = tick(repository, held, names)
    assert has_ended
    assert "progress-said" not in spelled(progress)
    assert "stopped by the user" in spelled(parts[names.index("head")])
    parts, *_ = opened(repository, run_id)
    assert parts[json.dumps(CLOCK)].disabled


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, "Nothing has been measured yet."),
        (RunStatus.FAILED, "Nothing was measured."),
        (RunStatus.STOPPED, "Nothing was measured."),
    ],
    ids=["under way", "failed", "stopped"],
)
def test_a_run_without_a_measurement_says_so_and_has_a_place_for_the_first(
    store, repository, begun, status, said
):
    run_id, *_ = begun
    if status is not None:
        store.finish(run_id, status, "it did not start")
    page = shown(repository, f"runs/{run_id}")
    assert said in page
    assert "Nothing has been measured yet." in page
    assert ("it did not start" in page) is (status is not None)


def test_half_a_load_test_says_what_is_left(store, repository, begun):
    run_id, first, _ = begun
    first()
    page = shown(repository, f"runs/{run_id}")
    assert "So far: 1 vCPU holds" in page
    assert "its turn has not come yet" in page
    store.finish(run_id, RunStatus.STOPPED, "stopped by the user")
    page = shown(repository, f"runs/{run_id}")
    assert "So far" not in page
    assert "the run ended before it" in page


def test_where_every_run_is_invalid_nothing_is_concluded(store, environment, repository):
    run = keep_loadtest(
        store, environment, GIVEN | {"scenarios": GIVEN["scenarios"][:1]}, invalid=("capacity",)
    )
    page = shown(repository, f"runs/{run.id}")
    assert "every run is INVALID" in page
    assert "a try that was INVALID" in page
    assert "holds" not in page


def test_an_unfinished_run_turns_into_its_recommendation(store, repository, recommendation):
    run = store.create_run("quick", "a container", {}, {}, this_process())
    store.report(run.id, "1 vCPU: closed loop", 20.0)
    parts, held, names = opened(repository, run.id)
    assert "No recommendation yet" in spelled(list(parts.values()))
    document = recommendation.model_copy(update={"run": run.id}).model_dump(mode="json")
    store.add_recommendation(run.id, document)
    store.finish(run.id, RunStatus.FINISHED)
    progress, parts, _, _, has_ended = tick(repository, held, names)
    assert has_ended
    assert "progress-said" not in spelled(progress)
    assert "for $73.00 a month" in spelled(parts[names.index("head")])
    assert parts[names.index("measured")] in ([], no_update)


def test_what_is_left_runs_on_between_two_words_of_the_process():
    view = progress_view(RUN, NOW)
    assert (view.doing, view.left, view.stale) == ("1 vCPU: open loop", "about 40 s left", None)
    assert view.done_ratio == pytest.approx(0.6)


def test_a_process_that_is_silent_is_told_of():
    view = progress_view(RUN, NOW + timedelta(seconds=110))
    assert view.left == "a few seconds left"
    assert view.stale == "Nothing was told for 2 min 0 s."


@pytest.mark.parametrize(
    ("seconds", "left"),
    [(3, "a few seconds left"), (87, "about 90 s left"), (600, "about 10 min left"),
     (9000, "about 2.5 h left")],
)  # fmt: skip
def test_what_is_left_is_said_no_finer_than_it_is_known(seconds, left):
    told = Progress("x", float(seconds), NOW)
    assert progress_view(replace(RUN, progress=told), NOW).left == left


def test_where_nothing_was_told_there_is_no_share_of_it():
    view = progress_view(replace(RUN, progress=None), NOW)
    assert view.done_ratio is None
    assert "has told nothing yet" in view.doing
    waiting = replace(RUN, progress=None, status=RunStatus.CREATED)
    assert "waiting for its process" in progress_view(waiting, NOW).doing
    unknown = replace(RUN, progress=Progress("x", None, NOW))
    assert progress_view(unknown, NOW).done_ratio is None


@pytest.mark.parametrize("status", list(RunStatus))
def test_only_a_run_under_way_has_progress(status):
    is_shown = "progress-said" in spelled(progress_block(replace(RUN, status=status)))
    assert is_shown is (status in (RunStatus.CREATED, RunStatus.RUNNING))


def test_words_of_a_process_cannot_become_markup():
    told = Progress("<b>x</b>", None, NOW)
    block = progress_block(replace(RUN, progress=told))
    assert "dangerously" not in spelled(block)
    assert "<b>x</b>" in spelled(block)  # as text: Dash makes no markup of it
