"""Predictions from one vCPU of a server that exists only here, whose truth is therefore known."""

from dataclasses import replace

import numpy as np
import pytest
from measured_runs import Server, _closed, _measurement, _records

from loadtests.pace import Pace
from loadtests.probe import Measured
from loadtests.slo import parse_slo
from loadtests.steps import ClosedStep
from recommender.prediction_cases import Case, Scene, agreement
from recommender.prediction_model import AT_A_TIME, Asked, Expected, Met, Reference
from recommender.request import Source

FIXED_S, ROW_S, AWAY_S = 0.004, 0.0001, 0.0005
ROWS = (1, 50, 200)
USUAL = {0: 0.8, 2: 0.2}
SLO = parse_slo("p95<1s")
PACE_S = 2e-4


def mean_s(mix):
    return sum(share * (FIXED_S + ROW_S * ROWS[each]) for each, share in mix.items())


def paced(slowness, until_s):
    """On one core, of one pace after another for as long as each other."""
    each_s = PACE_S * np.repeat(slowness, 200)
    times_s = np.linspace(0, until_s, len(each_s))
    return Pace(times_s, each_s, np.zeros(len(each_s), int), 1)


def measured(concurrency, seed, slowness=1.0):
    """Each answer is AWAY_S on its way, when the server already has the next."""
    step, rng = ClosedStep(concurrency, 3000, 60.0), np.random.default_rng(seed)
    asked = rng.permutation(np.repeat([0, 1], [2400, 600]))
    work_s = FIXED_S + ROW_S * np.array([ROWS[0], ROWS[2]])[asked]
    work_s *= rng.gamma(100, 0.01, 3000) * slowness
    if concurrency == 1:
        sent_s = np.cumsum(work_s + AWAY_S) - work_s - AWAY_S
        done_s = sent_s + work_s + AWAY_S
    else:
        sent_s, done_s = _closed(work_s, concurrency, 1)
    samples = _records(Server(), sent_s, sent_s, done_s)
    samples.records["payload"] = asked
    found = _measurement(Server(), 1.0, step, samples, SLO)
    pace = paced([slowness], done_s.max())
    update = {
        "cpu_s_per_request": float(work_s.mean()),
        "cpu_busy_vcpus": 1.0,
        "host_work_s": pace.mean_s,
    }
    return Measured(found.model_copy(update=update), samples, pace=pace)


SCENE = Scene(Source(kind="sample"), (b"a", b"b", b"c"), ROWS, USUAL, "text/plain")


@pytest.fixture(scope="module")
def reference():
    return Reference(SCENE, (measured(1, 1),), (measured(AT_A_TIME, 2),))


def asked(due_s, payloads, *, slowness=1.0, p95_s=np.nan):
    """slowness: of one core, or of each at every request."""
    return Asked(due_s, payloads, np.broadcast_to(slowness, (1, len(due_s))), 1.0, p95_s)


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
    assert expected(mix=mix).throughput_rps(Met()) == pytest.approx(1 / mean_s(mix), rel=0.03)


def test_half_a_vcpu_and_two_replicas_are_half_and_twice_as_much(expected):
    one = 1 / mean_s(USUAL)
    assert expected(vcpus=0.5).throughput_rps(Met()) == pytest.approx(one / 2, rel=0.03)
    assert expected(replicas=2).throughput_rps(Met()) == pytest.approx(2 * one, rel=0.03)
    assert expected(vcpus=2.0).throughput_rps(Met()) == pytest.approx(2 * one, rel=0.05)


def test_what_the_generator_took_is_not_promised(expected):
    alone, crowded = (expected(vcpus=2.0).throughput_rps(Met(each)) for each in (1.0, 0.9))
    assert crowded == pytest.approx(0.9 * alone)


def test_the_latency_of_another_mix_is_that_of_its_own_queue(expected):
    """M/G/1 of two sizes, simulated here request by request."""
    mix, rng = {0: 0.3, 2: 0.7}, np.random.default_rng(5)
    rate_rps = 0.6 / mean_s(mix)
    gaps, sizes = rng.exponential(1 / rate_rps, 60_000), rng.choice([0, 1], 60_000, p=[0.3, 0.7])
    work_s = FIXED_S + ROW_S * np.array([ROWS[0], ROWS[2]])[sizes]
    wait_s, waits = 0.0, []
    for gap, work in zip(gaps, np.append(0.0, work_s[:-1]), strict=True):
        wait_s = max(wait_s + work - gap, 0.0)
        waits.append(wait_s)
    truth = np.quantile(np.array(waits) + work_s, 0.95) + AWAY_S
    found = expected(mix=mix).p95_s(asked(np.cumsum(gaps)[:6000], sizes[:6000]))
    assert found == pytest.approx(truth, rel=0.08)


def test_taking_turns_makes_arrivals_at_a_replica_smoother(expected):
    """So two replicas at twice the rate answer sooner than one at once the rate."""
    due_s = np.cumsum(np.random.default_rng(3).exponential(mean_s(USUAL) / 0.7, 4000))
    sizes = np.random.default_rng(4).choice([0, 1], 4000, p=[0.8, 0.2])
    one, two = (expected(replicas=count).p95_s(asked(due_s / count, sizes)) for count in (1, 2))
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
    payloads, p95_s = np.zeros(6000, dtype=np.uint16), float(np.quantile(taken, 0.95))
    runs = [asked(np.cumsum(gaps), payloads, p95_s=p95_s)]
    assert one.stretch(runs) == pytest.approx(slower, rel=0.04)


@pytest.mark.parametrize("slowness", [(1.0, 1.6), (1.6, 1.0), (0.8, 1.2, 1.0)])
def test_rounds_on_a_slow_and_on_a_fast_host_count_as_of_one(slowness, prior):
    """The last round is of the usual pace, and the middle one is that of all."""
    both = [
        (measured(1, number, each), measured(AT_A_TIME, 10 + number, each))
        for number, each in enumerate(slowness)
    ]
    found = Reference(SCENE, *zip(*both, strict=True))
    middle = float(np.median(slowness))
    assert found.pace_s == pytest.approx(PACE_S * middle)
    expected = Expected.of(Case("as it is"), found, prior)
    usual_rps = 1 / mean_s(USUAL)
    assert expected.throughput_rps(Met()) == pytest.approx(usual_rps / middle, rel=0.02)
    slow = Met(slowness=1.6 / middle)
    assert expected.throughput_rps(slow) == pytest.approx(usual_rps / 1.6, rel=0.02)


def test_a_host_slow_for_a_while_makes_a_queue_then(expected):
    """Of one size, simulated here request by request; the mean pace alone says too little."""
    mix, rng, count = {0: 1.0}, np.random.default_rng(7), 6000
    gaps = rng.exponential(mean_s(mix) / 0.6, count)
    slowness = np.where(np.arange(count) // 500 % 2, 1.4, 0.8)
    wait_s, taken = 0.0, []
    work_s = mean_s(mix) * slowness
    for gap, work, before in zip(gaps, work_s, np.append(0.0, work_s[:-1]), strict=True):
        wait_s = max(wait_s + before - gap, 0.0)
        taken.append(wait_s + work + AWAY_S)
    payloads, due_s = np.zeros(count, dtype=np.uint16), np.cumsum(gaps)
    one, truth = expected(mix=mix), np.quantile(taken, 0.95)
    assert one.p95_s(asked(due_s, payloads, slowness=slowness)) == pytest.approx(truth, rel=0.08)
    steady = one.p95_s(asked(due_s, payloads, slowness=slowness.mean()))
    assert steady < 0.8 * truth


def test_a_replica_keeps_its_core_and_workers_share_theirs(expected):
    """One of two cores is slow. A replica on it is, for good; two workers are now and then."""
    rng, count = np.random.default_rng(8), 6000
    due_s = np.cumsum(rng.exponential(mean_s(USUAL) / 2 / 0.6, count))
    sizes = rng.choice([0, 1], count, p=[0.8, 0.2])
    uneven = Asked(due_s, sizes, np.repeat([[1.0], [1.5]], count, axis=1), 1.0, np.nan)
    even = replace(uneven, slowness=np.ones((2, count)))
    replicas, workers = (
        one.p95_s(uneven) / one.p95_s(even) for one in (expected(replicas=2), expected(vcpus=2.0))
    )
    assert replicas > 1.2 * workers > 1.2 * 1.2


def test_a_figure_is_judged_by_the_median_of_its_rounds():
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
