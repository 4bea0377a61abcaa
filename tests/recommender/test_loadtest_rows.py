"""A plan whose scenario sends records from a file: read, estimated, run and told."""

import json
from pathlib import Path

import pytest

from loadtests.errors import UsageError
from loadtests.measurement import Interval
from loadtests.modes.batching import BatchLimit, BatchRung, BatchSizes
from loadtests.modes.offline import OfflineResult
from loadtests.steps import ClosedStep
from recommender.errors import BadRequest
from recommender.loadtest import agenda
from recommender.loadtest.course import course_of
from recommender.loadtest.explanation import explain
from recommender.loadtest.plan import Plan
from recommender.loadtest.reading import read_plan
from recommender.loadtest.report import OfflineAnswer
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.scenario import records_of
from recommender.loadtest.words import findings


@pytest.fixture
def plan_of(tmp_path):
    (tmp_path / "records.csv").write_text("x,y\n" + "".join(f"{n},{n}\n" for n in range(1000)))

    def read(scenario):
        file = tmp_path / "plan.yaml"
        file.write_text(
            "model: http://127.0.0.1:9\n"
            f"scenarios:\n  - {json.dumps({'mode': 'offline', 'rung': 2} | scenario)}\n"
        )
        return read_plan(file)

    return read


def test_the_file_is_read_once_and_the_plan_stands_by_itself(plan_of):
    plan = plan_of({"rows": {"file": "records.csv", "header": True}})
    (scenario,) = plan.scenarios
    assert scenario.rows.count == 1000
    assert scenario.rows.longest_bytes == len("999,999")
    assert scenario.rows.content_type == "text/csv"
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert len(records_of(scenario).rows) == 1000


def test_records_that_changed_since_are_refused(plan_of, tmp_path):
    (scenario,) = plan_of({"rows": "records.csv"}).scenarios
    (tmp_path / "records.csv").write_text("1,2\n")
    with pytest.raises(BadRequest, match="not those the run began with"):
        records_of(scenario)


def test_without_payloads_one_record_is_what_is_tried(plan_of, tmp_path):
    plan = plan_of({"rows": "records.csv"})
    workload = LoadTestRequest.of(plan, tmp_path).workload()
    assert workload.content_type == "text/csv"
    assert workload.payloads[0].body == b"x,y"


def test_the_sample_has_records_of_its_own():
    plan = Plan.model_validate({"model": "sample", "mode": "offline", "rows": "sample"})
    (scenario,) = plan.with_files_read(Path()).scenarios
    body = json.loads(records_of(scenario).batched(3).payloads[0].body)
    assert [len(row) for row in body["instances"]] == [64, 64, 64]


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ({"rows": "nowhere.csv"}, "nowhere.csv does not exist"),
        ({"rows": "records.csv", "rows_per_request": 5}, "batch_size"),
        ({"batch_size": 5}, "goes with `rows`"),
        ({"rows": "records.csv", "batch_size": 0}, "greater than or equal to 1"),
        ({"rows": "records.csv", "max_payload_mb": 0.000001}, "does not fit"),
        ({"rows": "records.csv", "batch_size": 20_000, "max_payload_mb": 0.1}, "12500 always fit"),
        ({"rows": {"file": "records.csv", "heading": True}}, "did you mean `header`"),
        ({"rows": {"file": "records.csv", "content_type": "application/json"}}, "is not JSON"),
    ],
)
def test_what_cannot_be_sent_is_told(plan_of, scenario, said):
    with pytest.raises(BadRequest) as refused:
        plan_of(scenario)
    assert said in f"{refused.value} {refused.value.hint}"


def test_a_scenario_that_was_not_read_is_not_run():
    plan = Plan.model_validate({"model": "sample", "mode": "offline", "rows": "sample"})
    with pytest.raises(TypeError, match="was not read"):
        records_of(plan.scenarios[0])


def first_step(plan):
    return course_of(agenda.Test((), plan.scenarios[0]), plan)(())


def test_the_search_begins_with_one_record_or_with_the_size_that_was_given(plan_of):
    assert first_step(plan_of({"rows": "records.csv"})) == ClosedStep(1, 10**7, 2.0, 1)
    assert first_step(plan_of({"rows": "records.csv", "batch_size": 32})).rows == 32
    assert first_step(plan_of({})).rows is None


def test_a_search_for_a_size_takes_longer_than_a_size_that_was_given(plan_of):
    sought, given = (
        agenda.estimate_of(agenda.Test((), plan_of({"rows": "records.csv"} | size).scenarios[0]))
        for size in ({}, {"batch_size": 32})
    )
    assert given.seconds < sought.seconds <= sought.high_s
    assert given.low_s <= sought.low_s <= sought.seconds


@pytest.mark.parametrize(
    ("scenario", "does"),
    [
        ({}, "the highest throughput, for 30 s"),
        ({"rows": "records.csv", "batch_size": 8}, "at 8 of 1,001 records a request, for 30 s"),
        ({"rows": "records.csv", "max_payload_mb": 1}, "at the best of 1 to 125,000 records"),
    ],
)
def test_the_explanation_says_how_many_go_into_a_request(plan_of, scenario, does):
    assert does in explain(plan_of(scenario), 2, {}).lines[0].does


def rung(rows, rows_per_s):
    nothing = Interval(value=0.0, low=0.0, high=0.01)
    return BatchRung(
        rows=rows,
        rows_per_s=rows_per_s,
        service_mean_s=0.1,
        failed_ratio=nothing,
        error_ratio=0.02,
    )


def answer(limit, *, rows=64, low=32, high=128, refused=None):
    sizes = BatchSizes(
        rows=rows,
        low_rows=low,
        high_rows=high,
        limited_by=limit,
        refused_rows=refused,
        rungs=(rung(1, 100.0), rung(rows, 850.0)),
    )
    return OfflineAnswer(
        offline=OfflineResult(
            concurrency=2,
            rungs=(),
            rows_per_request=rows,
            batches=sizes,
            requests_per_s=Interval(value=13.0, low=12.0, high=14.0),
            rows_per_s=Interval(value=850.0, low=800.0, high=900.0),
            s_per_million_rows=Interval(value=1176.0, low=1111.0, high=1250.0),
            failed_ratio=0.0,
        ),
        usd_per_million_rows=None,
    )


@pytest.mark.parametrize(
    ("limit", "ending"),
    [
        (BatchLimit.FLAT, "larger ones gain nothing."),
        (BatchLimit.REFUSED, "requests of 150 rows fail."),
        (BatchLimit.TIMEOUT, "larger requests would run into the time-out."),
        (BatchLimit.PAYLOAD, "no more fit into a request."),
    ],
)
def test_the_best_size_is_told_with_its_range_and_what_ended_the_search(limit, ending):
    rate, size = findings(answer(limit, refused=150))
    assert rate == (
        "850 (800 to 900) rows/s at 2 at a time, 64 rows each; a million rows take 20 min."
    )
    assert size.startswith(
        "The best batch size is 64 rows (32 to 128 may do as well), 8.5 times as many rows/s as "
        "one by one"
    )
    assert size.endswith(ending)


def test_a_size_that_was_given_is_not_called_the_best():
    (said,) = findings(answer(BatchLimit.GIVEN))
    assert "64 rows each" in said


def test_a_request_too_large_for_any_record_is_a_question_that_makes_no_sense():
    with pytest.raises(UsageError, match="does not fit"):
        Plan.model_validate(
            {"model": "sample", "mode": "offline", "rows": "sample", "max_payload_mb": 1e-5}
        ).with_files_read(Path())
