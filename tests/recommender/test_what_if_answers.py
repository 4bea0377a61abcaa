"""A run asked again and again, on the recorded run that the dashboard demonstrates."""

from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import pytest

from dashboard.recorded import DEMO, Recorded
from pricing import load_book
from recommender.cost import requests_per_month
from recommender.cost_curves import cheapest_of_each_way, cost_curves
from recommender.performance.speed_prior import SpeedPrior
from recommender.request import traffic_facts
from recommender.rerank import Changes, rerank
from recommender.store import open_store
from recommender.what_if import WhatIf

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A store with the run, the run, and what answers for it."""
    folder = tmp_path_factory.mktemp("recorded")
    with open_store(folder / "store.sqlite3", default_folder=folder) as store:
        run = Recorded.read(DEMO).keep_in(store)
        yield store, run, WhatIf(store, SpeedPrior.bundled())


def demand(what_if, run, rate, **constraints):
    before = what_if.demand(run)
    changed = before.constraints.model_copy(update=constraints)
    return before.model_copy(update={"traffic": traffic_facts(rate), "constraints": changed})


def test_what_was_kept_from_one_question_changes_no_other_answer(asked):
    store, run, what_if = asked
    what_if.answer(run, demand(what_if, run, "700rps"), load_book(), NOW)
    question = demand(what_if, run, "20rps", zones=2)
    changes = Changes(traffic="20rps", constraints={"zones": 2})
    anew = rerank(store, run, changes, (load_book(), SpeedPrior.bundled()), NOW)
    assert what_if.answer(run, question, load_book(), NOW) == anew


def test_the_winner_depends_on_the_traffic(asked):
    _, run, what_if = asked
    few, many = (
        what_if.answer(run, demand(what_if, run, rate), load_book(), NOW).best.option
        for rate in ("1rps", "500rps")
    )
    assert few.platform == "serverless"
    assert many.platform == "ec2"


@pytest.mark.parametrize("rate", ["3rps", "80rps", "2500rps"])
def test_at_the_traffic_asked_for_a_curve_is_at_its_bill(asked, rate):
    _, run, what_if = asked
    found = what_if.answer(run, demand(what_if, run, rate, zones=3), load_book(), NOW)
    requests = np.array(float(requests_per_month(found.demand.traffic)))
    chosen = cheapest_of_each_way(found)
    curves = cost_curves(found).curves
    assert len(curves) == len(chosen) >= 3
    for curve, candidate in zip(curves, chosen, strict=True):
        billed = float(candidate.cost.usd_per_month)
        assert float(curve.usd(requests)) == pytest.approx(billed, rel=1e-6)


def test_a_recorded_run_is_the_same_when_it_was_written_and_read(asked, tmp_path):
    store, run, _ = asked
    recorded = Recorded.of(store, run)
    recorded.write(tmp_path / "again.json.gz")
    again = Recorded.read(tmp_path / "again.json.gz")
    assert again == Recorded.model_validate(recorded.model_dump())
    assert [each.samples for each in again.measurements] == [
        store.samples(each.id) for each in store.measurements(run.id)
    ]
    assert asdict(run)["kind"] == again.kind


def test_a_run_that_was_ranked_again_is_asked_as_it_was_then(asked):
    store, run, what_if = asked
    before = store.newest_recommendation(run.id)
    question = demand(what_if, run, "33rps")
    ranked = what_if.answer(run, question, load_book(), NOW)
    kept = store.add_recommendation(run.id, ranked.model_dump(mode="json"))
    assert before is None
    assert store.newest_recommendation(run.id) == kept.id
    assert what_if.demand(run) == question
