import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.generator.crew import Clock, Intake
from loadtests.generator.recording import RECORD, LatenessCounts, Outcome, Recorder
from loadtests.samples import Samples
from loadtests.validity import (
    GeneratorFacts,
    Status,
    WorkerFacts,
    check_closed,
)

delays_s = st.floats(1e-5, 0.5)


@given(st.floats(-1e6, 1e6), st.lists(st.tuples(delays_s, delays_s), min_size=1, max_size=20))
def test_a_clock_is_known_within_half_the_shortest_round_trip(ahead_s, trips):
    clock, now_s = Clock(), 100.0
    for there_s, back_s in trips:
        clock.hear(now_s, now_s + there_s + ahead_s, now_s + there_s + back_s)
        now_s += 1
    shortest_s = min(there_s + back_s for there_s, back_s in trips)
    assert abs(clock.ahead_s - ahead_s) <= shortest_s / 2 + 1e-9 * max(abs(ahead_s), 1)
    assert clock.heard == len(trips)


def test_blocks_that_come_in_turn_leave_nothing_missing():
    intake = Intake(100)
    for sequence in range(4):
        intake.take(sequence, 25, {"sent": 25 * (sequence + 1)})
    assert not intake.is_over
    intake.finish(4, 100, {"sent": 100})
    facts = WorkerFacts(name="one", **intake.as_facts())
    assert (facts.samples_missing, facts.blocks_missing, facts.sent) == (0, 0, 100)
    assert intake.is_over


@pytest.mark.parametrize(
    ("came", "blocks", "samples"), [((0, 2), 1, 10), ((1, 2), 1, 10), ((0, 1), 1, 10), ((), 3, 30)]
)
def test_a_block_that_does_not_come_is_missed_wherever_it_was(came, blocks, samples):
    intake = Intake(30)
    for sequence in came:
        intake.take(sequence, 10, {})
    intake.finish(3, 30, {})
    facts = WorkerFacts(name="one", **intake.as_facts())
    assert (facts.blocks_missing, facts.samples_missing) == (blocks, samples)


def answered(count):
    records = np.zeros(count, RECORD)
    records["outcome"] = Outcome.SUCCEEDED
    return Samples(records)


def worker(name, busy=0.1, **changed):
    return WorkerFacts(name, 100, changed.pop("sent", 100), 10 * busy, 10.0, **changed)


def faults(*workers):
    validity = check_closed(answered(50), GeneratorFacts(2.0, 10.0, 1.0, workers))
    return {fault.check: fault for fault in validity.faults}


def test_workers_that_stayed_are_no_fault():
    assert faults(worker("one"), worker("two")) == {}


def test_a_lost_worker_is_named_with_what_it_did_not_send():
    found = faults(worker("one"), worker("two", sent=30, lost_after_s=3.2))
    assert set(found) == {"workers"}
    assert found["workers"].status is Status.INVALID
    assert "two" in found["workers"].found
    assert "3.2 s" in found["workers"].found
    assert "70 of its 100 requests were not sent" in found["workers"].found


def test_samples_that_did_not_arrive_are_a_fault():
    found = faults(worker("one", samples_missing=12, blocks_missing=1))
    assert found["gaps"].status is Status.INVALID
    assert "12 samples of worker one" in found["gaps"].found


def test_the_busiest_worker_decides_not_the_average():
    assert "generator" not in faults(worker("one", busy=0.5), worker("two", busy=0.5))
    assert "generator" in faults(worker("one", busy=0.2), worker("two", busy=0.8))


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=300))
def test_a_lateness_quantile_is_right_within_a_class(late_us):
    counts = LatenessCounts()
    counts.add(np.array(late_us))
    true_s = float(np.quantile(late_us, 0.99, method="inverted_cdf")) / 1e6
    assert true_s <= counts.quantile_s(0.99) * (1 + 1e-9)
    assert counts.quantile_s(0.99) <= true_s * 2 ** (1 / LatenessCounts.PER_DOUBLING) * (1 + 1e-9)


def test_of_nothing_there_is_no_lateness():
    assert LatenessCounts().quantile_s(0.99) is None


instants_s = st.floats(0, 1e5)


@given(
    st.lists(
        st.tuples(
            st.tuples(instants_s, instants_s, instants_s, instants_s),
            st.tuples(
                st.integers(0, 599),
                st.integers(0, 2**16 - 1),
                st.sampled_from([int(each) for each in Outcome]),
                st.integers(0, 2**16 - 1),
                st.integers(0, 2**40),
            ),
        ),
        max_size=30,
    ),
    st.integers(1, 10),
)
def test_what_is_recorded_is_what_is_handed_on(samples, flush_every):
    start_s, blocks = 1000.0, []
    recorder = Recorder(start_s, blocks.append)
    for number, (instants, figures) in enumerate(samples):
        recorder.add(tuple(start_s + each for each in instants), *figures)
        if number % flush_every == 0:
            recorder.flush()
    recorder.flush()
    records = np.frombuffer(b"".join(blocks), RECORD)
    expected = [
        (*(round((start_s + each - start_s) * 1e6) for each in instants), *figures)
        for instants, figures in samples
    ]
    assert [tuple(record) for record in records.tolist()] == expected
    assert recorder.recorded == len(samples)


def test_time_in_flight_is_the_area_under_the_count():
    recorder = Recorder(10.0, lambda _: None)
    for now_s, change in ((11.0, 1), (12.0, 1), (15.0, -1), (15.5, -1)):
        recorder.change_in_flight(now_s, change)
    assert recorder.in_flight_s == pytest.approx(1 + 2 * 3 + 0.5)
    assert recorder.in_flight == 0
