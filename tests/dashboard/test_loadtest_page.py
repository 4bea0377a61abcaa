"""A load test's page, from a real store."""

import json
import re
from dataclasses import replace

import pytest
from shown import shown
from simulated_loadtest import PLAN, keep_loadtest

from dashboard.data import StoreRepository
from recommender.store import RunStatus, this_process

SMALL = PLAN | {"scenarios": PLAN["scenarios"][2:3], "configurations": [{"vcpus": 1}]}


def latest(store):
    return shown(StoreRepository(store), "runs/latest")


def test_runs_of_both_kinds_are_listed_and_lead_to_their_pages(store, keep, environment):
    quick, load = keep(), keep_loadtest(store, environment, SMALL)
    listed = shown(StoreRepository(store), "/")
    for run, kind in ((quick, "recommendation"), (load, "load test")):
        assert f'"/runs/{run.id}"' in listed
        assert f'"{kind}"' in listed
    assert "for $73.00 a month" in shown(StoreRepository(store), f"/runs/{quick.id}")
    assert "At a glance" in shown(StoreRepository(store), f"/runs/{load.id}")


def test_the_page_tells_of_every_test_and_its_links_lead_somewhere(loadtests, tested):
    page = latest(loadtests)
    assert page.index("14 finished") < page.index("At a glance") < page.index('"Capacity"')
    for test in tested.report.tests:
        for sentence in test.findings:
            assert json.dumps(sentence, ensure_ascii=False) in page
    anchors = re.findall(r'"href": "#([^"]+)"', page)
    assert len(anchors) == len(tested.report.tests)
    assert set(anchors) == set(re.findall(r'"id": "(test-\d+)"', page))


def test_only_runs_under_traffic_of_the_plan_are_shown_as_they_went(tested):
    modes = {test.scenario: test.mode for test in tested.report.tests}
    followed = {modes[scenario] for _, scenario, _ in tested.courses}
    assert followed == {"fixed", "soak"}
    for (configuration, scenario, key), outline in tested.courses.items():
        windows = outline.windows
        run = next(
            run
            for test in tested.report.tests
            if test.scenario == scenario
            for run in test.runs
            if (run.configuration, run.key) == (configuration, key)
        )
        width_s = windows[0].end_s - windows[0].start_s
        offered = sum(each.offered_rps for each in windows) * width_s
        assert offered == pytest.approx(run.measurement.due, abs=1)


def test_a_run_whose_process_is_gone_says_what_goes_on_with_it(store, environment):
    gone = replace(this_process(), pid_started=0.0)
    run = keep_loadtest(store, environment, SMALL, owner=gone)
    assert store.run(run.id).status is RunStatus.INTERRUPTED
    page = latest(store)
    assert "Its process is gone" in page
    assert f"recommender loadtest --resume {run.id}" in page


def test_a_run_without_any_measurement_is_shown_as_not_run(store, environment):
    keep_loadtest(store, environment, SMALL, leave=("fixed burst",))
    page = latest(store)
    assert "It is being measured now" in page
    assert "1 not run" in page
    assert '"not run"' in page
    assert "--resume" not in page


def test_a_test_that_failed_shows_its_invalid_runs_and_what_to_do(store, environment):
    keep_loadtest(
        store, environment, SMALL | {"scenarios": PLAN["scenarios"][:1]}, invalid=("capacity",)
    )
    page = latest(store)
    assert "the measurement is INVALID: the load generator used 90% of its core" in page
    assert "What to do: what was measured is the generator: lower the rate." in page
    assert '"invalid"' in page


def test_a_load_test_of_another_version_is_refused_in_words(store, environment):
    document = environment.model_dump(mode="json")
    run = store.create_run("loadtest", "old", {"format": 7}, document, this_process())
    page = latest(store)
    assert f"run {run.id} was written by another version of this program" in page
