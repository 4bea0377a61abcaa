# ruff: noqa: RUF001 - options are written with a multiplication sign

from datetime import UTC, datetime

import pytest

from dashboard.components.ranked_table import Order, Turn, arrange, next_order, page_text, turned
from dashboard.evidence import SizeLine
from dashboard.views import (
    BillLine,
    Card,
    ObjectiveLine,
    RejectedLine,
    RunRow,
    recommendation_view,
    run_row,
    unfinished_view,
)
from recommender.recommendation import RejectReason
from recommender.store import Run, RunStatus

GROUPS = ("EC2 spot", "SageMaker real-time", "SageMaker serverless")


def run(status=RunStatus.FAILED, **other):
    began = datetime(2026, 11, 21, 6, 4, 22, tzinfo=UTC)
    given = {
        "id": "q1", "kind": "quick", "label": "a container", "status": status, "created_at": began,
        "finished_at": began.replace(minute=7), "request": {}, "environment": {}, "owner": None,
        "heartbeat_at": None, "error": "it broke", "tool_version": None,
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


def test_a_heading_sorts_and_the_same_again_turns_it_round(recommendation):
    rows = recommendation_view(recommendation).rows
    fastest = next_order(Order(), "latency_s")
    assert [row.rank for row in arrange(rows, GROUPS, fastest)] == [3, 1, 2]
    slowest = next_order(fastest, "latency_s")
    assert [row.rank for row in arrange(rows, GROUPS, slowest)] == [2, 1, 3]
    likeliest = next_order(slowest, "best_ratio")
    assert [row.rank for row in arrange(rows, GROUPS, likeliest)] == [1, 3, 2]


def test_equal_rows_stay_cheapest_first(recommendation):
    rows = recommendation_view(recommendation).rows
    for order in (Order("capacity_rps"), Order("capacity_rps", is_descending=True)):
        assert [row.rank for row in arrange(rows, GROUPS, order)] == [1, 2, 3]


def test_only_the_ways_to_buy_that_were_chosen_are_listed(recommendation):
    rows = recommendation_view(recommendation).rows
    assert [row.rank for row in arrange(rows, ["EC2 spot"], Order())] == [1]
    assert arrange(rows, [], Order()) == ()


def test_leafing_stays_within_the_rows():
    order = turned(Order(), Turn.ON, 45)
    assert page_text(order, 45) == "21 to 40 of 45"
    last = turned(turned(order, Turn.ON, 45), Turn.ON, 45)
    assert page_text(last, 45) == "41 to 45 of 45"
    assert turned(Order(), Turn.BACK, 45) == Order()
    assert page_text(turned(order, Turn.BACK, 45), 45) == "1 to 20 of 45"
    assert page_text(turned(Order(), Turn.ON, 0), 0) == "none"
