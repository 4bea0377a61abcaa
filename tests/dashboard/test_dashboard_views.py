# ruff: noqa: RUF001 - options are written with a multiplication sign

from datetime import UTC, datetime

import pytest

from dashboard.bill import BillLine
from dashboard.components.ranked_grid import COLUMNS, ranked_grid, row_data
from dashboard.evidence import SizeLine
from dashboard.views import (
    Card,
    NextStep,
    ObjectiveLine,
    RejectedLine,
    RunRow,
    recommendation_view,
    run_row,
    unfinished_view,
)
from recommender.recommendation import NextMeasurement, RejectReason, ValueOfMeasuring
from recommender.store import Run, RunStatus


def run(status=RunStatus.FAILED, **other):
    began = datetime(2026, 11, 21, 6, 4, 22, tzinfo=UTC)
    given = {
        "id": "q1", "kind": "quick", "label": "a container", "status": status, "created_at": began,
        "finished_at": began.replace(minute=7), "request": {}, "environment": {}, "owner": None,
        "heartbeat_at": None, "error": "it broke", "tool_version": None, "progress": None,
    }  # fmt: skip
    return Run(**(given | other))


def test_the_verdict_comes_first_and_names_the_cheapest(recommendation):
    first = recommendation_view(recommendation).verdict[0]
    assert first.startswith("2 × c7g.large (EC2 spot, us-east-1)")
    assert "$73.00 a month" in first


def test_each_card_says_how_sure_its_figure_is(recommendation):
    interval = "80% interval"
    assert recommendation_view(recommendation).cards == (
        Card(
            "Cost per month",
            "$73.00",
            "$0.1 an hour",
            "$0.555 a million requests, estimated price",
        ),
        Card("p95 latency at peak", "14 ms", "4.6 to 73 ms", f"{interval}, transferred"),
        Card(
            "Capacity of the fleet",
            "300 req/s",
            "110 to 740 req/s",
            f"{interval}; peak traffic is 50 req/s",
        ),
        Card(
            "Sure it is the cheapest",
            "60%",
            "in 400 draws",
            "share in which it costs least and meets the SLO",
        ),
    )


def test_a_derived_price_is_marked_and_a_reported_one_is_not(recommendation):
    rows = recommendation_view(recommendation).rows
    assert [row.usd_per_month for row in rows] == ["~$73.00", "$81.76", "$1,096"]


def test_the_bill_is_opened_as_line_items_with_the_source_of_its_price(recommendation):
    bill = recommendation_view(recommendation).bill
    assert bill.lines == (BillLine("machine", "1,460", "instance-hour", "$0.05", "$73.00"),)
    assert bill.total == "$73.00"
    assert bill.note == ("Main price derived (high confidence) on 2026-08-18; source: price list.")


def test_what_is_not_known_is_said_with_its_reason(recommendation):
    view = recommendation_view(recommendation)
    unseen = "not measured: the server's processes could not be seen"
    assert view.evidence.sizes == (
        SizeLine(
            size="1 vCPU",
            capacity="220 req/s (210 to 230 req/s)",
            basis="model",
            saturation="240 req/s",
            service_mean="4.2 ms",
            cpu=unseen,
            memory=unseen,
            setup="not measured: it was running already",
        ),
    )
    assert [each.latency_p95 for each in view.evidence.measurements] == [
        "not measured: a closed loop has no due times",
        "120 ms",
        "not measured: too few requests were answered",
    ]
    facts = dict(view.evidence.facts)
    assert facts["its error"] == "not measured: nobody has tested it on machines held out"
    assert facts["its intervals"] == "79% of them inside the 80% interval"
    assert view.objectives[1] == ObjectiveLine(
        "error_rate<1%", "met", "not estimated", "not known"
    )


def test_faults_of_an_invalid_measurement_are_shown(recommendation):
    evidence = recommendation_view(recommendation).evidence
    assert evidence.counts == "2 valid, 1 invalid"
    assert evidence.measurements[2].faults == ("late: stop other work",)
    assert evidence.measurements[2].key == "1 vCPU/open-180"


def test_rejected_options_alike_are_told_together_with_what_would_change_it(recommendation):
    most, other = recommendation_view(recommendation).rejected
    assert most.title == "2 need a measurement"
    assert most.lines == (
        RejectedLine("not on a CPU", "SageMaker real-time", "ml.g5.xlarge, ml.g6.xlarge"),
    )
    assert most.remedies == ("recommender quick --url http://HOST:8080",)
    assert other.title == "1 have no price"
    assert other.remedies == ()


@pytest.mark.parametrize("reason", list(RejectReason))
def test_every_reason_for_rejecting_can_be_shown(recommendation, reason):
    rejected = recommendation.rejected[0].model_copy(update={"reason": reason})
    view = recommendation_view(recommendation.model_copy(update={"rejected": (rejected,)}))
    assert view.rejected[0].title.startswith("1 ")


def test_nothing_ranked_shows_no_card_and_no_bill(recommendation):
    view = recommendation_view(recommendation.model_copy(update={"ranked": ()}))
    assert view.verdict[0].startswith("Nothing serves 50rps")
    assert (view.cards, view.bill, view.objectives, view.rows) == ((), None, (), ())


def test_a_run_is_a_row_with_its_error():
    assert run_row(run()) == RunRow(
        id="q1", kind="recommendation", status="failed", created="2026-11-21 06:04 UTC",
        took="3 min 0 s",
        measured="a container", error="it broke",
    )  # fmt: skip


def test_a_run_that_has_not_ended_took_no_time_yet():
    assert run_row(run(finished_at=None)).took == "not measured: it has not ended"


@pytest.mark.parametrize("status", list(RunStatus))
def test_a_run_without_a_recommendation_says_how_to_go_on_where_one_can(status):
    view = unfinished_view(run(status), kept=3)
    assert view.said
    assert view.kept == "3 finished measurements are kept."
    can_go_on = status not in (RunStatus.RUNNING, RunStatus.FINISHED)
    assert view.command == ("recommender quick --resume q1" if can_go_on else None)


def test_the_second_best_is_held_against_the_best(recommendation):
    verdict = recommendation_view(recommendation).verdict
    assert verdict[1] == "Second best costs 12% more: 1 × ml.c7g.large (SageMaker real-time)."
    alone = recommendation.model_copy(update={"ranked": recommendation.ranked[:1]})
    assert "Second best" not in " ".join(recommendation_view(alone).verdict)


def test_what_would_make_it_surer_comes_with_the_command(recommendation):
    step = NextMeasurement(
        instance_type="c7g.large", minutes=12.4, usd="0.0149", probability_changes_answer=0.31,
        expected_saving_usd_per_month="4.2", command="recommender quick --measured-on c7g.large",
    )  # fmt: skip
    worth = ValueOfMeasuring(best=step, others=(step,))
    view = recommendation_view(recommendation.model_copy(update={"value_of_measuring": worth}))
    shown = NextStep(
        "c7g.large: about 12 minutes, $0.0149; 31% likely to change the answer",
        "recommender quick --measured-on c7g.large",
    )
    assert view.surer == (shown, shown)
    nothing = ValueOfMeasuring(best=None)
    view = recommendation_view(recommendation.model_copy(update={"value_of_measuring": nothing}))
    assert view.surer == ()


def test_a_row_of_the_table_has_the_figure_it_sorts_by_beside_the_text_it_shows(recommendation):
    first, second, _ = row_data(recommendation_view(recommendation).rows)
    assert first == {
        "id": "1", "rank": 1, "option": "2 × c7g.large", "group": "EC2 spot", "color": "#cc79a7",
        "month_usd": 73.0, "usd_per_month": "~$73.00",
        "latency_ms": 13.6, "latency": "14 ms", "latency_interval": "4.6 to 73 ms",
        "best_percent": 60.0, "probability_best": "60%",
        "million_usd": 0.555, "usd_per_million": "~$0.555",
        "capacity_rps": 303.5, "capacity": "300 req/s", "capacity_interval": "110 to 740 req/s",
        "busy_percent": 30.0, "utilization": "30%",
        "basis": "transferred", "is_on_frontier": True, "notes": "spot: <5% reclaimed",
    }  # fmt: skip
    assert second["capacity_interval"] == "110 req/s or more"


def test_every_column_shows_something_that_a_row_has(recommendation):
    view = recommendation_view(recommendation)
    row = row_data(view.rows)[0]
    for column in COLUMNS:
        assert {column.key, column.text or column.key, column.under or column.key} <= set(row)
    titles = str(ranked_grid(view.rows, ["EC2 spot"], "p99.9").to_plotly_json())
    assert "p99.9 latency" in titles
