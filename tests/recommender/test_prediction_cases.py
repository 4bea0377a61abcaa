"""Predictions from one vCPU of a server that exists only here, whose truth is therefore known."""

from dataclasses import replace

import numpy as np
import pytest
from measured_runs import Server, _closed, _measurement, _records

from loadtests.probe import Measured
from loadtests.slo import parse_slo
from loadtests.steps import ClosedStep
from recommender.prediction_cases import (
    AT_A_TIME,
    Asked,
    Case,
    Expected,
    Reference,
    Scene,
    agreement,
)
from recommender.request import Source

FIXED_S, ROW_S, AWAY_S = 0.004, 0.0001, 0.0005
ROWS = (1, 50, 200)
USUAL = {0: 0.8, 2: 0.2}
SLO = parse_slo("p95<1s")


def mean_s(mix):
    return sum(share * (FIXED_S + ROW_S * ROWS[each]) for each, share in mix.items())


def measured(concurrency, seed):
    """Each answer is AWAY_S on its way, when the server already has the next."""
    step, rng = ClosedStep(concurrency, 3000, 60.0), np.random.default_rng(seed)
    asked = rng.permutation(np.repeat([0, 1], [2400, 600]))
    work_s = FIXED_S + ROW_S * np.array([ROWS[0], ROWS[2]])[asked]
    work_s *= rng.gamma(100, 0.01, 3000)
    if concurrency == 1:
        sent_s = np.cumsum(work_s + AWAY_S) - work_s - AWAY_S
        done_s = sent_s + work_s + AWAY_S
    else:
        sent_s, done_s = _closed(work_s, concurrency, 1)
    samples = _records(Server(), sent_s, sent_s, done_s)
    samples.records["payload"] = asked
    found = _measurement(Server(), 1.0, step, samples, SLO)
    found = found.model_copy(update={"cpu_s_per_request": float(work_s.mean())})
    return Measured(found, samples)


@pytest.fixture(scope="module")
def reference():
    scene = Scene(Source(kind="sample"), (b"a", b"b", b"c"), ROWS, USUAL, "text/plain")
    return Reference(scene, measured(1, 1), measured(AT_A_TIME, 2))


@pytest.fixture(scope="module")
def expected(reference, prior):
    return lambda **changes: Expected.of(Case("a case", **changes), reference, prior)


def test_the_way_to_the_server_is_told_from_its_work(reference):
    size = reference.size(None)
    assert size.delay_s == pytest.approx(AWAY_S, rel=0.2)
    assert size.service_mean_s == pytest.approx(mean_s(USUAL), rel=0.02)
    assert size.demand.bound_by == "CPU"


@pytest.mark.parametrize("mix", [{0: 0.2, 2: 0.8}, {0: 1.0}, {1: 1.0}, {0: 0.5, 1: 0.5}])
def test_another_mix_and_a_size_never_sent_have_the_throughput_of_their_work(expected, mix):
    assert expected(mix=mix).throughput_rps(1.0) == pytest.approx(1 / mean_s(mix), rel=0.03)


def test_half_a_vcpu_and_two_replicas_are_half_and_twice_as_much(expected):
    one = 1 / mean_s(USUAL)
    assert expected(vcpus=0.5).throughput_rps(1.0) == pytest.approx(one / 2, rel=0.03)
    assert expected(replicas=2).throughput_rps(1.0) == pytest.approx(2 * one, rel=0.03)
    assert expected(vcpus=2.0).throughput_rps(1.0) == pytest.approx(2 * one, rel=0.05)


def test_what_the_generator_took_is_not_promised(expected):
    alone, crowded = (expected(vcpus=2.0).throughput_rps(each) for each in (1.0, 0.9))
    assert crowded == pytest.approx(0.9 * alone)


def test_the_latency_of_another_mix_is_that_of_its_own_queue(expected):
    """M/G/1 of two sizes, simulated here request by request."""
    mix, rng = {0: 0.3, 2: 0.7}, np.random.default_rng(5)
    rate_rps = 0.6 / mean_s(mix)
    gaps, asked = rng.exponential(1 / rate_rps, 60_000), rng.choice([0, 1], 60_000, p=[0.3, 0.7])
    work_s = FIXED_S + ROW_S * np.array([ROWS[0], ROWS[2]])[asked]
    wait_s, waits = 0.0, []
    for gap, work in zip(gaps, np.append(0.0, work_s[:-1]), strict=True):
        wait_s = max(wait_s + work - gap, 0.0)
        waits.append(wait_s)
    truth = np.quantile(np.array(waits) + work_s, 0.95) + AWAY_S
    found = expected(mix=mix).p95_s(Asked(np.cumsum(gaps)[:6000], asked[:6000]), 1.0)
    assert found == pytest.approx(truth, rel=0.08)


def test_taking_turns_makes_arrivals_at_a_replica_smoother(expected):
    """So two replicas at twice the rate answer sooner than one at once the rate."""
    due_s = np.cumsum(np.random.default_rng(3).exponential(mean_s(USUAL) / 0.7, 4000))
    asked = np.random.default_rng(4).choice([0, 1], 4000, p=[0.8, 0.2])
    one, two = (
        expected(replicas=count).p95_s(Asked(due_s / count, asked), 1.0) for count in (1, 2)
    )
    assert two < 0.95 * one


@pytest.mark.parametrize("slower", [1.0, 1.2])
def test_how_much_slower_services_are_at_part_load_is_found_from_one_vcpu(expected, slower):
    """Of a queue of one size, simulated here request by request."""
    mix, rng = {0: 1.0}, np.random.default_rng(6)
    one, work_s = expected(mix=mix), slower * mean_s(mix) * rng.gamma(100, 0.01, 6000)
    gaps = rng.exponential(mean_s(mix) / 0.6, 6000)
    wait_s, taken = 0.0, []
    for gap, work, before in zip(gaps, work_s, np.append(0.0, work_s[:-1]), strict=True):
        wait_s = max(wait_s + before - gap, 0.0)
        taken.append(wait_s + work + AWAY_S)
    asked = Asked(np.cumsum(gaps), np.zeros(6000, dtype=np.uint16))
    assert one.stretch(asked, float(np.quantile(taken, 0.95)), 1.0) == pytest.approx(
        slower, rel=0.04
    )


def test_rounds_are_judged_one_by_one_and_told_by_their_median():
    pairs = [(100.0, 100.0), (210.0, 200.0), (50.0, 100.0)]
    found = agreement("a case", "throughput", pairs, [])
    assert (found.ratio, found.low, found.high) == (1.0, 0.5, 1.05)
    assert found.is_right
    assert not replace(found, ratio=1.11).is_right


def test_without_a_valid_round_nothing_is_right():
    found = agreement("a case", "throughput", [], ["a neighbour"])
    assert found.ratio is None
    assert not found.is_right
    assert found.faults == ("a neighbour",)
