"""Stages and the whole: what adds up, which stage gives out first, and what waiting costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_fleet import HOP_S, fan_out, line, queued, seen

from loadtests.fleets.pipeline import StageUse, pipeline_report

THREE = tuple(StageUse(name) for name in ("prepare", "predict", "finish"))
TWO = tuple(StageUse(name) for name in ("left", "right"))


def seen_whole(passages):
    """What a generator saw: of each request its first stage's record, the worst status."""
    first = passages[passages["stage"] == 0].copy()
    for number in np.unique(passages["request"][passages["status"] >= 300]):
        first["status"][first["request"] == number] = 500
    return seen(first)


def report_of(passages, used=THREE, shape="line", **more):
    return pipeline_report(seen_whole(passages), passages, used, shape, **more)


@given(
    st.lists(st.tuples(*[st.floats(1e-4, 0.5)] * 3), min_size=1, max_size=30),
    st.floats(0, 0.01),
)
@settings(max_examples=25)
def test_the_stages_the_gateway_and_the_residual_are_the_whole(took_s, gap_s):
    report = report_of(line(np.arange(len(took_s)), took_s, gap_s))
    parts = report.stages_s + report.gateway_s + report.residual_s
    assert parts == pytest.approx(report.whole_s, abs=1e-9)
    assert report.stages_s == pytest.approx(np.sum(took_s, axis=1).mean(), abs=1e-6)
    assert report.gateway_s == pytest.approx(4 * gap_s, abs=1e-6)
    assert report.residual_s == pytest.approx(2 * HOP_S, abs=3e-6)  # samples are in microseconds
    assert sum(each.time_share for each in report.stages) == pytest.approx(1)


def loaded_line(means_s, rate_rps=20.0, duration_s=60.0, seed=1):
    """Each stage one at a time, exponential; the next one's arrivals are this one's answers."""
    rng = np.random.default_rng(seed)
    due_s = np.sort(rng.uniform(0, duration_s, int(rate_rps * duration_s)))
    at_s, took = due_s.copy(), []
    for mean_s in means_s:
        order = np.argsort(at_s)
        own = np.empty_like(at_s)
        own[order] = queued(at_s[order], rng.exponential(mean_s, len(at_s)))
        took.append(own)
        at_s = at_s + own
    return line(due_s, np.stack(took, axis=1), gap_s=0.0)


@given(st.permutations([0.004, 0.03, 0.01]), st.integers(0, 100))
@settings(max_examples=8)
def test_the_slowest_stage_is_the_bottleneck_wherever_it_stands(means_s, seed):
    report = report_of(loaded_line(means_s, seed=seed))
    slowest = THREE[means_s.index(0.03)].name
    assert report.bottleneck.stage == report.bottleneck.slowest == slowest
    assert report.bottleneck.certainty == "sure"


def test_a_stage_that_does_one_at_a_time_is_as_busy_as_theory_says():
    """Utilisation is rate times mean service; the limit is one over the mean."""
    report = report_of(loaded_line([0.004, 0.03, 0.01], duration_s=300))
    for stage, mean_s in zip(report.stages, [0.004, 0.03, 0.01], strict=True):
        assert stage.busy_ratio == pytest.approx(20 * mean_s, rel=0.1)
        assert stage.limit_rps.value == pytest.approx(1 / mean_s, rel=0.1)
        assert stage.limited_by == "its requests"


def test_two_stages_alike_leave_open_which_gives_out_first():
    report = report_of(loaded_line([0.02, 0.02, 0.002], duration_s=20))
    assert report.bottleneck.certainty == "likely"
    assert report.bottleneck.sure_ratio < 0.95


def test_where_the_cpu_explains_the_time_the_cpu_is_the_limit():
    """20 requests a second of 30 ms on two vCPUs: 30 % busy, good for 66.7 a second."""
    passages = loaded_line([0.004, 0.03, 0.01])
    span_s = passages["left_s"].max() - passages["arrived_s"].min()
    used = (THREE[0], StageUse("predict", cpu_s=0.3 * 2 * span_s, vcpus=2), THREE[2])
    predict = report_of(passages, used).stages[1]
    assert predict.limited_by == "cpu"
    assert predict.utilization.value == pytest.approx(0.3, rel=0.01)
    assert predict.limit_rps.value == pytest.approx(66.7, rel=0.05)
    assert predict.limit_rps.low < predict.limit_rps.value == predict.limit_rps.high


def test_stages_that_share_an_instance_are_limited_by_the_sum_of_their_work():
    """10 + 20 + 10 ms of CPU each on one vCPU: 25 a second, though each alone could do 50."""
    passages = loaded_line([0.01, 0.02, 0.01], rate_rps=10.0)
    count = len(np.unique(passages["request"]))
    used = [
        StageUse(each.name, cpu_s * count, 1.0)
        for each, cpu_s in zip(THREE, (0.01, 0.02, 0.01), strict=True)
    ]
    together = report_of(passages, used, shared_vcpus=1.0)
    assert together.limited_by == "the shared CPU"
    assert together.limit_rps.value == pytest.approx(25)
    apart = report_of(passages, used)
    assert apart.limited_by == apart.bottleneck.stage == "predict"
    assert apart.limit_rps.value == pytest.approx(50, rel=0.05)


def test_a_failure_belongs_to_the_stage_that_failed_and_stops_there():
    took_s = np.full((100, 3), 0.01)
    failed_at = np.where(np.arange(100) % 10 == 3, 1, -1)
    report = report_of(line(np.arange(100), took_s, failed_at=failed_at))
    assert [each.requests for each in report.stages] == [100, 100, 90]
    assert [each.failed for each in report.stages] == [0, 10, 0]
    assert report.failed == 10
    assert report.stages_s == pytest.approx(0.03)


@given(st.lists(st.tuples(st.floats(1e-3, 1), st.floats(1e-3, 1)), min_size=1, max_size=40))
@settings(max_examples=25)
def test_a_fan_out_takes_as_long_as_its_last_branch(took_s):
    report = report_of(fan_out(2 * np.arange(len(took_s)), took_s), TWO, "fan_out")
    both = np.array(took_s)
    assert report.stages_s == pytest.approx(both.max(axis=1).mean(), abs=1e-6)
    assert report.gateway_s == pytest.approx(0, abs=1e-6)
    assert report.waiting_cost_s == pytest.approx(
        both.max(axis=1).mean() - both.mean(axis=0).max(), abs=1e-6
    )
    waited = both.max(axis=1)[:, None] - both
    assert [each.waited_s for each in report.stages] == pytest.approx(
        waited.mean(axis=0).tolist(), abs=1e-6
    )
    assert sum(each.last_share.value for each in report.stages) == pytest.approx(1)


def test_of_two_exponential_branches_the_slower_is_last_as_often_as_theory_says():
    """P(last is the one of mean b) = b / (a + b); E max = a + b - ab / (a + b)."""
    rng = np.random.default_rng(3)
    took_s = np.stack([rng.exponential(0.01, 4000), rng.exponential(0.03, 4000)], axis=1)
    report = report_of(fan_out(np.arange(4000.0), took_s), TWO, "fan_out")
    last = report.stages[1].last_share
    assert last.low <= 0.75 <= last.high
    assert report.stages_s == pytest.approx(0.0325, rel=0.05)
    assert report.waiting_cost_s == pytest.approx(0.0025, rel=0.3)


def test_of_nothing_nothing_is_known():
    report = report_of(line([], np.zeros((0, 3))))
    assert report.requests == 0
    assert report.whole_s is None
    assert report.bottleneck is None


def test_it_is_the_same_after_a_round_trip():
    report = report_of(loaded_line([0.004, 0.03, 0.01], duration_s=5))
    assert type(report).model_validate_json(report.model_dump_json()) == report
