"""Each way to spoil a measurement is found, named and answered with advice; nothing else is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.host_change import LOOKS, HostChange, Slowdown, host_change, slowdown_seen
from loadtests.monitor import HostSpeed, Neighbours
from loadtests.samples import RECORD, Outcome, Samples
from loadtests.validity import (
    Fault,
    GeneratorFacts,
    OpenEvidence,
    Status,
    Validity,
    check_closed,
    check_open,
)

COUNT = 1000


def samples(*, late_us=50, latency_us=10_000, dropped=0, count=COUNT):
    """One request every 10 ms; the last ones dropped."""
    records = np.zeros(count, RECORD)
    records["due_us"] = 10_000 * np.arange(count)
    records["sent_us"] = records["due_us"] + late_us
    records["first_byte_us"] = records["done_us"] = records["due_us"] + latency_us
    records["status"] = 200
    if dropped:
        lost = records[-dropped:]
        lost["outcome"], lost["status"] = Outcome.DROPPED, 0
        for name in ("sent_us", "first_byte_us", "done_us"):
            lost[name] = lost["due_us"]
    return Samples(records)


def generator(taken=None, *, busy=0.2, counted=1.0):
    """counted: of the time in flight that the samples hold, what the engine counted itself."""
    records = (samples() if taken is None else taken).records
    in_flight_s = float(np.sum(records["done_us"] - records["sent_us"])) / 1e6
    return GeneratorFacts(busy * 10, 10.0, counted * in_flight_s)


def evidence(taken=None, **changes):
    taken = samples() if taken is None else taken
    usual = {
        "samples": taken,
        "steady": taken,
        "due": len(taken),
        "quantile": 0.95,
        "generator": generator(taken),
        "over_saturated": False,
        "stopped_early": False,
    }
    return OpenEvidence(**(usual | changes))


def others(share, stolen_share=0.0):
    """On one core over a second."""
    return Neighbours(share, 1, 1.0, stolen_share)


def faults(found):
    return {fault.check: fault.status for fault in found.faults}


def test_a_good_measurement_is_valid():
    found = check_open(evidence())
    assert found.status is Status.VALID
    assert not found.faults


SPOILT = [
    pytest.param(evidence(due=COUNT + 30), "offered", Status.INVALID, id="not all were sent"),
    pytest.param(evidence(samples(late_us=1500)), "lateness", Status.INVALID, id="late"),
    pytest.param(evidence(samples(dropped=1)), "dropped", Status.INVALID, id="one dropped"),
    pytest.param(
        evidence(generator=generator(busy=0.8)), "generator", Status.INVALID, id="generator busy"
    ),
    pytest.param(evidence(neighbours=others(0.2)), "neighbours", Status.INVALID, id="neighbours"),
    pytest.param(evidence(host=HostChange(1.2)), "host", Status.INVALID, id="a slower host"),
    pytest.param(evidence(host=HostChange(0.8)), "host", Status.INVALID, id="a faster host"),
    pytest.param(
        evidence(host=HostChange(1.5, 0.4)), "host", Status.INVALID, id="much slower, half felt"
    ),
    pytest.param(
        evidence(generator=generator(counted=1.1)), "little", Status.INVALID, id="samples lost"
    ),
    pytest.param(
        evidence(generator=generator(counted=0.9)), "little", Status.INVALID, id="samples twice"
    ),
    pytest.param(evidence(quantile=0.995), "samples", Status.INCONCLUSIVE, id="too few"),
    pytest.param(
        evidence(steady=Samples(samples().records[480:])),
        "steady",
        Status.INCONCLUSIVE,
        id="unsettled",
    ),
]


@pytest.mark.parametrize(("spoilt", "check", "status"), SPOILT)
def test_what_spoils_a_measurement_is_named_with_figures_and_advice(spoilt, check, status):
    found = check_open(spoilt)
    assert faults(found) == {check: status}
    assert found.status is status
    assert any(character.isdigit() for character in found.faults[0].found) or check == "steady"
    assert len(found.faults[0].advice) > 10


ALMOST_SPOILT = [
    pytest.param(evidence(due=COUNT + 10), id="1 % short"),
    pytest.param(evidence(samples(late_us=900)), id="0.9 ms late"),
    pytest.param(evidence(samples(late_us=9000, latency_us=100_000)), id="9 of 100 ms late"),
    pytest.param(evidence(generator=generator(busy=0.7)), id="generator at 70 %"),
    pytest.param(evidence(neighbours=others(0.05)), id="a quiet neighbour"),
    pytest.param(evidence(neighbours=None), id="neighbours not knowable"),
    pytest.param(evidence(host=HostChange(1.1)), id="10 % slower"),
    pytest.param(evidence(host=HostChange(1.5, 0.2)), id="half as slow again, hardly felt"),
    pytest.param(evidence(host=None), id="speed not knowable"),
    pytest.param(evidence(generator=generator(counted=1.03)), id="3 % off"),
    pytest.param(evidence(quantile=0.99), id="10 in the tail"),
    pytest.param(evidence(steady=Samples(samples().records[300:])), id="30 % cut"),
]


@pytest.mark.parametrize("almost", ALMOST_SPOILT)
def test_what_is_almost_spoilt_is_valid(almost):
    assert check_open(almost).status is Status.VALID


FAST, SLOW = HostSpeed(0.0075, 0.0), HostSpeed(0.0125, 0.0)


def looked_at(before, after, then):
    """And how often it was looked at again."""
    looks = iter(then)
    found = slowdown_seen(before, after, lambda: next(looks))
    return found, LOOKS - 1 - len(list(looks))


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr("loadtests.host_change.LOOK_APART_S", 0.0)


@pytest.mark.usefixtures("at_once")
def test_a_host_that_looks_as_before_is_looked_at_once():
    found, again = looked_at(FAST, FAST, [SLOW] * (LOOKS - 1))
    assert (found.nearest, found.swing, again) == (1, 1, 0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("before", "after"), [(FAST, SLOW), (SLOW, FAST)])
def test_a_host_that_changed_looks_changed_however_often_it_is_looked_at(before, after):
    found, again = looked_at(before, after, [after] * (LOOKS - 1))
    assert (found.nearest, again) == (after.seconds / before.seconds, LOOKS - 1)
    assert check_open(evidence(host=HostChange(found.nearest))).status is Status.INVALID


@given(st.lists(st.sampled_from([FAST, SLOW]), min_size=LOOKS - 1, max_size=LOOKS - 1))
def test_one_that_is_fast_and_slow_by_turns_has_not_changed(then):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loadtests.host_change.LOOK_APART_S", 0.0)
        found, again = looked_at(FAST, SLOW, then)
    if FAST in then:
        assert (found.nearest, again) == (1, then.index(FAST) + 1)
        assert found.swing == pytest.approx(SLOW.seconds / FAST.seconds)
    else:
        assert found.nearest == SLOW.seconds / FAST.seconds


SLOWED = 1.5


def felt(used_s, *, latency_us=10_000, rate_ratio=1.0):
    """Of 1,000 requests in 10 s, each of 10 ms, of a server that used so many CPU-seconds."""
    slower = Slowdown(SLOWED, 1.0)
    return host_change(slower, samples(latency_us=latency_us), used_s, 10 / rate_ratio).felt


def test_a_server_that_works_all_its_time_feels_all_of_it():
    assert felt(10.0) == felt(None) == SLOWED  # 10 ms of work in each request of 10 ms


def test_one_that_waits_feels_as_little_as_it_works():
    assert felt(0.5) == pytest.approx(1 + (SLOWED - 1) * 0.05, rel=0.01)


def test_one_at_its_end_feels_all_of_it_however_long_requests_wait_for_it():
    """1 CPU-second in one second, whatever share 1 ms is of a request's 10."""
    assert felt(1.0, rate_ratio=10) == SLOWED


@given(st.floats(0.01, 20), st.floats(1, 1.9))
def test_more_work_never_feels_less(used_s, times):
    assert 1 <= felt(used_s) <= felt(used_s * times) <= SLOWED


def test_one_late_request_in_a_hundred_is_not_the_run():
    taken = samples()
    taken.records["sent_us"][::200] += 5_000
    assert check_open(evidence(taken)).status is Status.VALID
    taken = samples()
    taken.records["sent_us"][::15] += 5_000
    assert faults(check_open(evidence(taken))) == {"lateness": Status.INVALID}


def test_what_an_over_saturated_server_does_is_no_fault_of_the_measurement():
    taken = samples(dropped=300)
    spoilt = evidence(taken, steady=Samples(taken.records[500:]))
    assert {"offered", "dropped", "steady"} <= set(faults(check_open(spoilt)))
    finding = evidence(taken, steady=Samples(taken.records[500:]), over_saturated=True)
    assert check_open(finding).status is Status.VALID


def test_a_run_stopped_early_need_not_have_sent_the_rest():
    assert check_open(evidence(due=5 * COUNT, stopped_early=True)).status is Status.VALID


def test_failures_alone_do_not_spoil_a_measurement():
    """They are the server's: counted, infinitely late, and evidence."""
    taken = samples()
    taken.records["outcome"][::3] = Outcome.REFUSED
    assert check_open(evidence(taken)).status is Status.VALID
    taken.records["outcome"] = Outcome.TIMED_OUT
    assert check_open(evidence(taken)).status is Status.VALID


def test_nothing_measured_is_inconclusive():
    nothing = samples(count=0)
    found = check_open(evidence(nothing))
    assert found.status is Status.INCONCLUSIVE
    assert "samples" in faults(found)


@pytest.mark.parametrize(
    ("found", "said", "advice"),
    [
        pytest.param(
            others(0.2), "programs used 20% of the target's cores", "stop", id="programs"
        ),
        pytest.param(others(0.2, 0.15), "the hypervisor kept 15% of them", "again", id="guests"),
        pytest.param(others(0.2, 0.9), "kept 20% of them", "again", id="no more than was busy"),
    ],
)
def test_whoever_took_the_cores_is_named(found, said, advice):
    (fault,) = check_open(evidence(neighbours=found)).faults
    assert said in fault.found
    assert advice in fault.advice


def test_several_faults_are_all_told_and_the_worst_counts():
    spoilt = evidence(samples(dropped=50), neighbours=others(0.5), quantile=0.999)
    found = check_open(spoilt)
    assert faults(found) == {
        "offered": Status.INVALID,
        "dropped": Status.INVALID,
        "neighbours": Status.INVALID,
        "samples": Status.INCONCLUSIVE,
    }
    assert found.status is Status.INVALID


statuses = st.lists(st.sampled_from([Status.INVALID, Status.INCONCLUSIVE]), max_size=4)


@given(statuses)
def test_the_status_is_the_worst_of_the_faults(found):
    made = [Fault(check="any", status=each, found="1", advice="none") for each in found]
    validity = Validity.of(made)
    order = [Status.VALID, Status.INCONCLUSIVE, Status.INVALID]
    assert order.index(validity.status) == max((order.index(each) for each in found), default=0)
    assert Validity.model_validate_json(validity.model_dump_json()) == validity


def test_a_closed_loop_needs_answers_a_free_generator_and_no_neighbours():
    taken = samples()
    assert check_closed(taken, generator(taken)).status is Status.VALID
    few = samples(count=9)
    assert faults(check_closed(few, generator(few))) == {"samples": Status.INCONCLUSIVE}
    assert faults(check_closed(taken, generator(taken, busy=0.9))) == {"generator": Status.INVALID}
    found = check_closed(taken, generator(taken), others(0.3))
    assert faults(found) == {"neighbours": Status.INVALID}


def test_a_server_that_refuses_all_claims_no_speed_that_a_busy_generator_could_spoil():
    refused = samples()
    refused.records["outcome"], refused.records["status"] = Outcome.REFUSED, 400
    found = check_closed(refused, generator(refused, busy=0.9), others(0.3), HostChange(1.5))
    assert faults(found) == {"samples": Status.INCONCLUSIVE}


def test_a_generator_that_ran_for_no_time_was_not_busy():
    assert GeneratorFacts(0.0, 0.0, 0.0).busy == 0
