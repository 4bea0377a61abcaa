"""What went on inside a target is told in sentences that hold its figures."""

from types import SimpleNamespace

import pytest

from loadtests.fleets.interruptions import Interruptions
from loadtests.fleets.pipeline import SHARED_CPU, Bottleneck, PipelineReport, StageFigures
from loadtests.fleets.replicas import ReplicaFigures, ReplicasReport
from loadtests.fleets.spot import InterruptionCost, Recovery, SpotReport
from loadtests.intervals import Interval, Quantile
from loadtests.serverless.report import (
    BilledTime,
    ColdStartFigures,
    InstanceFigures,
    RequestFigures,
    ServerlessMeasured,
)
from recommender.loadtest.inside import noted, said_inside

UNKNOWN = Interval(value=None)


def around(value, by=0.1):
    return Interval(value=value, low=value * (1 - by), high=value * (1 + by))


def service(median_s):
    return (Quantile(quantile=0.5, seconds=around(median_s)),)


def stage(name, median_s, share, limit_rps, **of_a_fan_out):
    return StageFigures(
        name=name, requests=100, failed=0, service=service(median_s), service_mean_s=median_s,
        time_share=share, busy_ratio=0.5, cpu_utilization=0.4, limited_by="cpu",
        utilization=around(0.4), limit_rps=around(limit_rps), **of_a_fan_out,
    )  # fmt: skip


def pipeline(shape, stages, **more):
    return PipelineReport(
        shape=shape, stages=stages, requests=100, failed=0, whole_s=0.012, stages_s=0.010,
        gateway_s=0.0015, residual_s=0.0005, residual_ratio=0.04,
        bottleneck=Bottleneck(
            stage="predict", sure_ratio=1.0, certainty="sure", slowest="predict"
        ),
        **{"limit_rps": around(125), "limited_by": "predict"} | more,
    )  # fmt: skip


def replicas(turned_away=0):
    members = tuple(
        ReplicaFigures(
            member=n, requests=50, failed=0, share=around(0.5), service=service(0.01 * (n + 1)),
            in_flight=0.5,
        )
        for n in range(2)
    )  # fmt: skip
    return ReplicasReport(
        members=members, requests=100, failed=0, turned_away=turned_away, imbalance_ratio=1.0,
        slowest_ratio=2.0,
    )  # fmt: skip


def run_of(inside, *, loop="open", due=100, notes=(), throttled_ratio=None):
    measurement = SimpleNamespace(
        inside=inside,
        tokens=None,
        due=due,
        load=SimpleNamespace(loop=loop),
        target=SimpleNamespace(notes=notes),
        throttled_ratio=throttled_ratio,
    )
    return SimpleNamespace(measurement=measurement)


def told(inside):
    return " ".join(said_inside([run_of(inside)]))


def test_a_line_names_its_bottleneck_and_adds_up():
    said = told(
        pipeline("line", (stage("centre", 0.002, 0.2, 900), stage("predict", 0.008, 0.8, 125)))
    )
    assert "predict gives out first (sure" in said
    assert "125 (112 to 138) req/s" in said
    assert "centre 2 ms (20% of the time); predict 8 ms (80% of the time)" in said
    assert "12 ms on average: stages 10 ms, gateway 1.5 ms, the way there and back 0.5 ms" in said


def test_a_cpu_that_all_stages_share_can_give_out_before_any_of_them():
    stages = (stage("centre", 0.002, 0.2, 900), stage("predict", 0.008, 0.8, 125))
    shared = {"limit_rps": around(100), "limited_by": SHARED_CPU}
    said = told(pipeline("line", stages, **shared))
    assert "The shared CPU gives out at about 100 (90 to 110) req/s, before any stage" in said
    assert "Of the stages predict gives out first (sure" in said


def test_a_fan_out_says_who_is_last_and_what_waiting_costs():
    stages = (
        stage("small", 0.002, None, 900, last_share=around(0.1)),
        stage("predict", 0.008, None, 125, last_share=around(0.9)),
    )
    said = told(pipeline("fan_out", stages, waiting_cost_s=0.001))
    assert "small in 10 %" in said
    assert "predict in 90 %" in said
    assert "costs 1 ms more" in said


def test_replicas_say_how_the_requests_fell():
    said = told(replicas(turned_away=3))
    assert "2 replicas had 50%, 50% of the requests; the slowest takes 2 times" in said
    assert "3 requests met no replica" in said


@pytest.mark.parametrize("count", [0, 1, 2])
def test_every_interruption_is_told_and_the_mean_of_several(count):
    cost = InterruptionCost(
        member=0, replacement=2, noticed_s=4.0, lost=3, missing_s=1.9, missing_full_s=62.0,
        recovered_s=around(2.1),
    )  # fmt: skip
    said = told(
        SpotReport(
            asked=Interruptions(at_s=(4.0,)), judged_by=Recovery(), interruptions=(cost,) * count,
            lost_each=around(3.0), goodput_lost_each=UNKNOWN, missing_full_each_s=UNKNOWN,
            recovered_each_s=around(2.1), turned_away=0, replicas=replicas(),
        )
    )  # fmt: skip
    assert said.count("Interrupted at 4.0 s: 3 requests lost") == count
    assert said.count("missing for 1.9 s (62 s at the platform's own pace)") == count
    assert ("No interruption fell into the run" in said) == (count == 0)
    assert ("On average an interruption costs" in said) == (count == 2)


def test_serverless_says_cold_warm_throttled_and_billed():
    starts = ColdStartFigures(
        count=3, setup_s=around(2.0), setup_longest_s=2.2, first_service_s=around(0.1),
        first_answer_s=around(2.1), waited_s=around(2.0),
    )  # fmt: skip
    requests = RequestFigures(
        count=100, throttled=5, throttled_ratio=around(0.05), failed=0, cold=3,
        cold_ratio=around(0.03), warm_service=service(0.005), warm_service_mean_s=0.005,
    )  # fmt: skip
    instances = InstanceFigures(
        ready=((0.0, 0), (2.0, 1)), peak=2, mean=1.5, failed_starts=1,
        memory_peak_bytes=512 * 2**20, memory_ratio=0.25, cpu_s=1.0,
    )  # fmt: skip
    said = told(
        ServerlessMeasured(
            memory_gib=2, vcpus=1.16, max_concurrency=2, provisioned_concurrency=0, idle_s=300.0,
            elapsed_s=10.0, requests=requests, starts=starts, instances=instances,
            billed=BilledTime(on_demand_s=1.5, provisioned_duration_s=0.0, provisioned_s=0.0),
            notes=("the run began from zero",),
        )
    )  # fmt: skip
    assert "Cold start: 2 (1.8 to 2.2) s to /ping, 2.1" in said
    assert "throttled (429): 5 % (4.5 to 5.5)" in said
    assert "Warm: p50 5 ms." in said
    assert "512 MiB, 25% of its memory" in said
    assert "1 instances failed to start." in said
    assert "Billed: 3 GB-seconds on demand." in said
    assert "The run began from zero." in said


def test_the_open_loop_with_most_requests_speaks_for_the_test():
    runs = [
        run_of(replicas(turned_away=1), loop="closed", due=900),
        run_of(replicas(turned_away=2), due=100),
        run_of(replicas(turned_away=3), due=300),
    ]
    assert "3 requests met no replica" in " ".join(said_inside(runs))
    assert said_inside([run_of(None)]) == ()


def test_what_the_targets_note_is_told_once():
    runs = [run_of(None, notes=("its GPU is shared",)), run_of(None, notes=("its GPU is shared",))]
    assert noted(runs) == ("Note: its GPU is shared.",)


@pytest.mark.parametrize(("ratio", "count"), [(None, 0), (0.0, 0), (0.004, 0), (0.23, 1)])
def test_a_tail_that_the_cpu_quota_made_is_flagged(ratio, count):
    said = noted(
        [run_of(None, throttled_ratio=0.01 * (ratio or 0)), run_of(None, throttled_ratio=ratio)]
    )
    assert len(said) == count
    assert all("held it back for up to 23% of a run" in each for each in said)
