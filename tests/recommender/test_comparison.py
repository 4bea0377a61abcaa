"""Two stored runs held against each other: what is said, and how often it is right."""

import math
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from measured_runs import ENVIRONMENT, NOW, SLO, Server, demand, measure

from loadtests.measurement import Interval
from loadtests.queueing import sojourns
from loadtests.samples import RECORD, Samples
from loadtests.validity import Fault, Status, Validity
from recommender.comparison import (
    Reference,
    StoreMarket,
    Verdict,
    compare_runs,
    in_money,
    read_side,
)
from recommender.comparison.conditions import host_spread
from recommender.comparison.estimates import (
    Estimate,
    Evidence,
    of_bounds,
    of_means,
    of_pairs,
    of_quantiles,
    of_shares,
    of_throughputs,
)
from recommender.comparison.judging import verdict_of
from recommender.errors import BadRequest, NothingMeasured, StoreUnreadable
from recommender.request import QuickRequest, Source
from recommender.store import RunStatus, open_store, this_process
from recommender.what_if import WhatIf

FEW = ("c7i.large", "ml.c7i.large", "m6i.large")


@dataclass(frozen=True)
class Another(Server):
    """The same kind of server, with service times of its own."""

    draw: int = 100

    def service_s(self, count, seed):
        return super().service_s(count, seed + self.draw)


SERVERS = {
    "first": Server(),
    "again": Another(),
    "slower": Another(mean_s=0.010),
    "failing": Another(error_every=12),
}


@pytest.fixture(scope="module")
def measured():
    return {name: measure(server) for name, server in SERVERS.items()}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    with open_store(f"sqlite:///{folder}/store.sqlite3", default_folder=folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def keep(store, measured):
    def add(name, *, spoil=(), environment=ENVIRONMENT, **changes):
        """spoil: keys of steps that are INVALID."""
        asked = demand(instance_types=FEW)
        given = {"source": Source(kind="sample"), "traffic": asked.traffic, "slo": SLO,
                 "constraints": asked.constraints} | changes  # fmt: skip
        run = store.create_run(
            "quick", name, QuickRequest(**given).model_dump(mode="json"),
            environment.model_dump(mode="json"), this_process(),
        )  # fmt: skip
        for key, (measurement, samples) in measured[name].documents.items():
            found = invalid(measurement) if spoil == "all" or key in spoil else measurement
            store.add_measurement(run.id, key, found.model_dump(mode="json"), samples.encode())
        return store.finish(run.id, RunStatus.FINISHED)

    return add


@pytest.fixture(scope="module")
def side(store, keep):
    """Kept once; what is asked for later is the newer run."""
    read = {}

    def one(name, **changes):
        key = f"{name} {changes}"
        if key not in read:
            read[key] = read_side(store, Reference(keep(name, **changes).id))
        return read[key]

    return one


def invalid(measurement):
    fault = Fault(check="neighbours", status=Status.INVALID, found="others computed", advice="no")
    return measurement.model_copy(
        update={"validity": Validity(status=Status.INVALID, faults=(fault,))}
    )


def by_name(found):
    return {(each.name, each.where): each for each in found.differences}


def test_a_planted_difference_is_found_with_the_truth_in_its_interval(side):
    found = compare_runs(side("first"), side("slower"))
    assert found.verdict is Verdict.WORSE
    assert found.said[0].startswith("Worse after than before: capacity at the SLO -")
    truths = {"saturated throughput": 0.8, "mean service time alone": 1.25}
    for (name, _), each in by_name(found).items():
        if name in truths:
            assert each.verdict is Verdict.WORSE
            assert each.change.low <= truths[name] <= each.change.high


def test_two_runs_of_the_same_show_no_difference(side):
    found = compare_runs(side("first"), side("again"), threshold_ratio=0.2)
    verdicts = {each.verdict for each in found.differences}
    assert not verdicts & {Verdict.WORSE, Verdict.BETTER}
    assert by_name(found)["saturated throughput", "1 vCPU"].verdict is Verdict.SAME
    assert found.conditions == ()


def test_a_run_against_itself_is_as_much_in_all_figures(side):
    one = side("first")
    found = compare_runs(one, one)
    assert found.said[0] == "Both are the same run."
    assert all(each.change.value == (1.0 if each.is_ratio else 0.0) for each in found.differences)
    assert not {each.verdict for each in found.differences} & {Verdict.WORSE, Verdict.BETTER}


def test_exchanged_runs_say_the_inverse(side):
    one, other = side("first"), side("slower")
    there, back = by_name(compare_runs(one, other)), by_name(compare_runs(other, one))
    assert there.keys() == back.keys()
    opposite = {Verdict.WORSE: Verdict.BETTER, Verdict.BETTER: Verdict.WORSE}
    for name, each in there.items():
        again = back[name]
        assert again.verdict is opposite.get(each.verdict, each.verdict)
        if each.is_ratio:
            inverse = (1 / each.change.value, 1 / each.change.high, 1 / each.change.low)
            found = (again.change.value, again.change.low, again.change.high)
            assert found == pytest.approx(inverse, rel=1e-6)
        else:
            assert again.change.value == pytest.approx(-each.change.value)


def test_a_larger_threshold_makes_no_difference_of_what_was_one(side):
    one, other = side("first"), side("slower")
    found = by_name(compare_runs(one, other, threshold_ratio=0.6))
    assert found["saturated throughput", "1 vCPU"].verdict is Verdict.SAME


def test_errors_are_told_in_points_and_can_be_worse(side):
    found = by_name(compare_runs(side("again"), side("failing")))
    errors = found["errors", "1 vCPU"]
    assert errors.verdict is Verdict.WORSE
    assert errors.change.low > 0.01
    assert errors.change.low < 1 / 12 < errors.change.high


def test_an_invalid_measurement_is_never_compared_but_named(side):
    keys = [f"1 vCPU/closed-{n}" for n in (1, 2, 4)]
    found = compare_runs(side("first"), side("again", spoil=keys))
    assert not [each for each in found.differences if each.name == "saturated throughput"
                and each.where == "1 vCPU"]  # fmt: skip
    told = [each for each in found.not_compared if "in the second run" in each.what]
    assert "INVALID: others computed" in {each.why for each in told}


def test_a_run_of_invalid_measurements_alone_is_refused(side):
    with pytest.raises(NothingMeasured, match="no measurement fit to be evidence"):
        side("first", spoil="all")


def test_another_machine_is_said_first_and_decides_nothing(side):
    elsewhere = ENVIRONMENT.model_copy(update={"cpu_name": "AMD EPYC", "cores": 4})
    found = compare_runs(side("first"), side("slower", environment=elsewhere))
    assert found.verdict is Verdict.UNKNOWN
    assert found.said[0].startswith("Not measured alike: CPU Intel")
    assert found.said[2].startswith("Cannot be told what made the difference. As measured: Worse")
    assert [each.what for each in found.conditions[:2]] == ["CPU", "cores"]
    assert {each.weight for each in found.conditions[:2]} == {"unsound"}


def test_what_was_changed_is_told_and_makes_nothing_unsound(side):
    image = Source(kind="image", where="mine:2", environment={"THREADS": "2"})
    found = compare_runs(side("first"), side("slower", source=image, measure_s=20.0))
    weights = {each.what: each.weight for each in found.conditions}
    assert weights["what serves"] == weights["environment of the server"] == "changed"
    assert weights["longest open-loop run"] == "noted"
    assert found.verdict is Verdict.WORSE


def test_both_are_judged_by_the_newer_runs_objective(side):
    old, new = side("first"), side("again", slo="p95<40ms, error_rate<1%")
    both = [by_name(compare_runs(*pair))["capacity at the SLO", "1 vCPU"]
            for pair in ((old, new), (new, old))]  # fmt: skip
    assert both[0].before == both[1].after
    by_old = by_name(compare_runs(old, side("first")))["capacity at the SLO", "1 vCPU"]
    assert both[0].before < by_old.before


def test_sizes_of_one_run_alone_are_named_with_the_reason(side, measured):
    small = replace(
        measured["again"],
        documents={k: v for k, v in measured["again"].documents.items() if k.startswith("1 ")},
    )
    measured["small"] = small
    found = compare_runs(side("first"), side("small"))
    alone = {each.what: each.why for each in found.not_compared}
    assert alone["2 vCPU"] == "the second run has nothing like it"


def test_money_is_of_the_same_question_and_its_interval_holds_the_change(side, store, book, prior):
    one, other = side("first"), side("slower")
    market = StoreMarket(WhatIf(store, prior), book, NOW)
    (line,) = in_money(compare_runs(one, other), one, other, market).money
    assert line.question == "100rps at p95<100ms, error_rate<1%"
    assert line.change.value == pytest.approx(line.after_usd / line.before_usd)
    assert line.change.low <= line.change.value <= line.change.high
    (same,) = in_money(compare_runs(one, one), one, one, market).money
    assert same.change.value == 1
    assert same.verdict is not Verdict.WORSE
    assert "instead of" in same.said


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.5])
def test_a_threshold_that_is_none_is_refused(side, threshold):
    one = side("first")
    with pytest.raises(BadRequest, match="at most 100 %"):
        compare_runs(one, one, threshold)


def test_a_configuration_of_a_quick_run_is_refused(store, keep):
    run = keep("first")
    with pytest.raises(BadRequest, match="has no configuration 'small'"):
        read_side(store, Reference.parse(f"{run.id}:small"))


def test_a_run_of_another_version_is_refused_in_words(store):
    run = store.create_run("quick", None, {"format": 9}, {}, this_process())
    with pytest.raises(StoreUnreadable, match="another version"):
        read_side(store, Reference(run.id))


# How often the intervals hold the truth.

REQUESTS, TIMES = 2400, 80


def queued(mean_s, seed, times=TIMES):
    """Latencies of M/M/1 at 70 % load, which depend on one another; shape (REQUESTS, times)."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(mean_s / 0.7, (REQUESTS, times))
    return sojourns(gaps, rng.exponential(mean_s, gaps.shape), 1), gaps.cumsum(axis=0)


def samples(latency_s, due_s):
    records = np.zeros(len(due_s), RECORD)
    records["due_us"] = records["sent_us"] = np.round(due_s * 1e6)
    records["first_byte_us"] = records["done_us"] = np.round((due_s + latency_s) * 1e6)
    return Samples(records)


def covered(estimate, truth):
    return estimate.low <= np.log(truth) <= estimate.high


@pytest.mark.parametrize("what", ["mean", "median"])
def test_intervals_of_dependent_latencies_hold_the_truth_as_often_as_they_say(what):
    (slow, slow_due), (fast, fast_due) = queued(0.010, 1), queued(0.008, 2)
    held = 0
    for n in range(TIMES):
        found = Evidence(samples(slow[:, n], slow_due[:, n]), samples(fast[:, n], fast_due[:, n]))
        estimate = (
            of_means(found) if what == "mean" else of_quantiles(found, 0.5, is_service=False)
        )
        held += covered(estimate, 0.8)
    assert held >= 0.88 * TIMES  # 95 % less three standard errors, and what dependence costs


def test_intervals_of_throughputs_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(50):
        both = []
        for mean_s in (0.010, 0.009):
            service_s = rng.gamma(4.0, mean_s / 4, 800)
            both.append(samples(service_s, np.concatenate([[0.0], service_s.cumsum()[:-1]])))
        rates = tuple(800 / (float(each.records["done_us"].max()) / 1e6) for each in both)
        held += covered(of_throughputs(Evidence(*both), rates), 10 / 9)
    assert held >= 43


def test_shares_that_are_alike_hold_zero():
    rng = np.random.default_rng(4)
    held = sum(
        found.low <= 0 <= found.high
        for _ in range(100)
        for found in [of_shares(rng.random(500) < 0.02, rng.random(800) < 0.02)]
    )
    assert held >= 90


def test_one_pair_has_no_spread_and_several_have_students():
    assert of_pairs(np.array([0.1])) is None
    found = of_pairs(np.array([0.1, 0.2, 0.3]))
    assert found.value == pytest.approx(0.2)
    assert found.high - found.value == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)


def test_an_open_end_stays_open():
    known = Interval(value=100.0, low=90.0, high=110.0)
    unknown = Interval(value=100.0, low=0.0, high=None)
    found = of_bounds(known, unknown, 0.95)
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert of_bounds(known, known, 0.8).high > of_bounds(known, known, 0.95).high


def test_the_hosts_own_speed_widens_and_no_number_of_requests_takes_it_away():
    found = Estimate(0.1, 0.0, 0.2)
    wider = found.on_host(0.05)
    assert wider.high - wider.value == pytest.approx(np.hypot(0.1, 1.96 * 0.05), rel=1e-3)
    assert wider.on_host(0).value == found.value
    assert Estimate(0.02, -0.08, 0.12).on_host(0.05).times_as_many(0.05, 1) is None
    assert Estimate(0.02, -0.08, 0.12).times_as_many(0.05, 1) == pytest.approx((0.1 / 0.03) ** 2)


def side_on(*speeds):
    names = ("host_slowdown", "host_swing", "host_work_s")
    measured = [SimpleNamespace(**dict(zip(names, each, strict=True))) for each in speeds]
    return SimpleNamespace(measurements=measured)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(
            [(1.1, 1.0, None)], [(1 / 1.1, None, None)], math.log(1.1), id="faster and slower"
        ),
        pytest.param([(1.0, 1.7, None)], [(1.0, 1.7, None)], math.log(1.7) / 2, id="by turns"),
        pytest.param([(1.0, 1.7, 2e-4)], [(1.0, 1.7, 2.2e-4)], math.log(1.1), id="by its pace"),
        pytest.param([(1.0, 1.7, 2e-4)], [(1.0, 1.7, 2e-4)], 0.0, id="kept its pace"),
        pytest.param(
            [(1.0, 1.7, 2e-4)], [(1.0, 1.0, None)], math.log(1.7) / 2 / 2**0.5, id="once"
        ),
        pytest.param([(None, None, None)], [], None, id="not timed"),
    ],
)
def test_how_far_a_host_is_off_is_told_by_its_pace_or_by_its_changes(before, after, expected):
    found = host_spread(side_on(*before), side_on(*after))
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("found", "is_shown", "verdict"),
    [
        (Estimate(0.2, 0.1, 0.3), True, Verdict.WORSE),
        (Estimate(-0.2, -0.3, -0.1), True, Verdict.BETTER),
        (Estimate(0.2, -0.1, 0.5), False, Verdict.UNKNOWN),
        (Estimate(0.01, -0.02, 0.03), False, Verdict.SAME),
        (Estimate(0.03, 0.02, 0.04), True, Verdict.SAME),
        (Estimate(0.03, 0.01, 0.09), True, Verdict.UNKNOWN),
    ],
)
def test_a_verdict_takes_surety_and_size(found, is_shown, verdict):
    assert verdict_of(found, 0.05, higher_is_better=False, is_shown=is_shown) is verdict
    other = verdict_of(found, 0.05, higher_is_better=True, is_shown=is_shown)
    opposite = {Verdict.WORSE: Verdict.BETTER, Verdict.BETTER: Verdict.WORSE}
    assert other is opposite.get(verdict, verdict)
