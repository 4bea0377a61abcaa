from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from loadtests.errors import LoadTestError
from loadtests.samples import RECORD, Outcome, Samples, quantile_bound, ratio_bound

DATA = Path(__file__).parents[1] / "data"
OUTCOMES = list(Outcome)
instants_us = st.integers(-(2**62), 2**62)


def rows():
    return st.tuples(
        instants_us,
        instants_us,
        instants_us,
        instants_us,
        st.integers(0, 2**16 - 1),
        st.integers(0, 2**16 - 1),
        st.sampled_from([int(outcome) for outcome in OUTCOMES]),
        st.integers(0, 2**16 - 1),
        st.integers(0, 2**64 - 1),
    )


def sequence(*outcomes, latency_us=1000, late_us=10):
    """One request every 10 ms, each with the outcome given."""
    records = np.zeros(len(outcomes), RECORD)
    records["due_us"] = 10_000 * np.arange(len(outcomes))
    records["outcome"] = outcomes
    sent = records["outcome"] != Outcome.DROPPED
    records["sent_us"] = records["due_us"] + np.where(sent, late_us, 0)
    records["first_byte_us"] = records["done_us"] = records["due_us"] + np.where(
        sent, latency_us, 0
    )
    records["status"] = np.where(records["outcome"] == Outcome.SUCCEEDED, 200, 0)
    return Samples(records)


@given(st.lists(rows(), max_size=30))
def test_samples_survive_being_written_and_read(values):
    samples = Samples(np.array(values, RECORD))
    again = Samples.decode(samples.encode())
    assert np.array_equal(again.records, samples.records)


def test_a_sample_takes_few_bytes():
    rng = np.random.default_rng(1)
    samples = sequence(*[Outcome.SUCCEEDED] * 5000)
    samples.records["done_us"] += rng.integers(0, 3000, 5000)
    samples.records["first_byte_us"] = samples.records["done_us"]
    assert len(samples.encode()) < 12 * 5000
    assert RECORD.itemsize == 48


def test_the_samples_of_version_0_1_0_are_still_read():
    """Written by the first release's encoder and never again; one sample of each outcome."""
    found = Samples.decode((DATA / "samples-format-1.bin").read_bytes())
    assert found.records.tolist() == [
        (1_000, 1_040, 6_100, 6_180, 200, 0, Outcome.SUCCEEDED, 0, 19),
        (3_500, 3_555, 9_000, 9_010, 500, 1, Outcome.REFUSED, 0, 21),
        (4_000, 4_031, 4_031, 4_900, 0, 2, Outcome.BROKEN, 0, 0),
        (8_000, 8_060, 8_060, 60_008_060, 0, 0, Outcome.TIMED_OUT, 0, 0),
        (9_000, 9_000, 9_000, 9_000, 0, 1, Outcome.DROPPED, 0, 0),
        (12_345, 12_400, 12_400, 99_999, 0, 2, Outcome.UNFINISHED, 0, 0),
        (2**40, 2**40 + 50, 2**40 + 900, 2**40 + 950, 200, 65_535, Outcome.SUCCEEDED, 0, 2**40),
    ]


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: data[:10], lambda _: b""])
def test_damaged_samples_are_refused(damage):
    with pytest.raises(LoadTestError):
        Samples.decode(damage(sequence(*OUTCOMES).encode()))


def test_a_count_that_does_not_fit_is_refused():
    data = sequence(*OUTCOMES).encode()
    with pytest.raises(LoadTestError, match="damaged"):
        Samples.decode(data[:6] + b"\x09" + data[7:])


def test_samples_of_a_newer_version_are_refused_with_the_way_out():
    data = bytearray(sequence(*OUTCOMES).encode())
    data[4] = 4
    with pytest.raises(LoadTestError, match="format 4") as caught:
        Samples.decode(bytes(data))
    assert "upgrade" in (caught.value.hint or "")


def test_other_bytes_are_no_samples():
    with pytest.raises(LoadTestError, match="not samples"):
        Samples.decode(b"PK\x03\x04 and so on and so forth")


def test_records_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="RECORD"):
        Samples(np.zeros(3, [("due_us", "<i8")]))


@given(st.lists(st.integers(0, 3), max_size=40))
def test_every_sample_is_of_one_variant(variants):
    samples = sequence(*[Outcome.SUCCEEDED] * len(variants))
    samples.records["variant"] = variants
    parts = [samples.of_variant(variant) for variant in range(4)]
    assert [len(part) for part in parts] == [variants.count(variant) for variant in range(4)]
    together = np.concatenate([part.records for part in parts])
    assert np.array_equal(np.sort(together, order="due_us"), samples.records)


def stopped(ends_us, latency_us):
    """A request a millisecond until the end; then what is unanswered is left so."""
    samples = sequence(*[Outcome.SUCCEEDED] * (ends_us // 1000))
    records = samples.records
    records["due_us"] = records["sent_us"] = 1000 * np.arange(len(records))
    records["done_us"] = records["due_us"] + latency_us[: len(records)]
    late = records["done_us"] > ends_us
    records["outcome"][late] = Outcome.UNFINISHED
    records["done_us"][late] = ends_us
    return samples


def test_what_a_stop_cut_off_does_not_count_for_or_against_anyone():
    """Half the answers take 1 ms, half 20 ms; the last of the slow ones are cut off."""
    samples = stopped(1_000_000, np.where(np.arange(1000) % 2, 1_000, 20_000))
    assert samples.unfinished > 5
    kept = samples.not_cut_off()
    assert kept.unfinished == 0
    assert len(samples) - 25 < len(kept) < len(samples)
    assert np.mean(kept.latency_s > 0.01) == pytest.approx(0.5, abs=0.001)
    assert kept.not_cut_off() is kept


def test_a_request_that_hung_all_along_still_counts():
    samples = stopped(1_000_000, np.where(np.arange(1000) == 10, 10**9, 1_000))
    kept = samples.not_cut_off()
    assert kept.unfinished == 1
    assert len(kept) >= 998


@given(st.lists(st.sampled_from(OUTCOMES), max_size=40))
def test_every_request_due_is_counted_once(outcomes):
    samples = sequence(*outcomes)
    sent = int(samples.is_sent.sum())
    assert len(samples) == sent + samples.dropped
    assert sent == samples.succeeded + samples.failed + samples.unfinished
    assert samples.failed == sum(
        outcome in (Outcome.REFUSED, Outcome.BROKEN, Outcome.TIMED_OUT) for outcome in outcomes
    )
    assert sum(samples.status_counts().values()) == sent


@pytest.mark.parametrize("outcome", OUTCOMES[1:])
def test_a_request_without_a_good_answer_is_infinitely_late(outcome):
    samples = sequence(Outcome.SUCCEEDED, outcome)
    assert samples.latency_s.tolist() == [0.001, np.inf]
    assert len(samples.service_s) == 1


def test_latency_counts_from_due_and_service_from_sent():
    samples = sequence(Outcome.SUCCEEDED, latency_us=5000, late_us=2000)
    assert samples.latency_s == pytest.approx([0.005])
    assert samples.service_s == pytest.approx([0.003])
    assert samples.lateness_s == pytest.approx([0.002])


def test_a_dropped_request_has_no_lateness():
    assert len(sequence(Outcome.DROPPED, Outcome.SUCCEEDED).lateness_s) == 1


def test_failures_reach_into_the_quantiles_they_fill():
    """Three of 100 failed: the 97th is a latency, the 98th is not."""
    values = sequence(*[Outcome.SUCCEEDED] * 97, *[Outcome.REFUSED] * 3).latency_s
    assert quantile_bound(values, 0.97).value == pytest.approx(0.001)
    assert quantile_bound(values, 0.98).value == np.inf


@given(
    arrays.arrays(float, st.integers(1, 300), elements=st.floats(0, 100)),
    st.floats(0.01, 0.99),
    st.floats(1, 50),
)
def test_an_interval_holds_its_estimate_and_widens_with_correlation(values, quantile, inflation):
    plain = quantile_bound(values, quantile)
    wide = quantile_bound(values, quantile, inflation=inflation)
    assert wide.value == plain.value
    assert plain.low is None or plain.low <= plain.value
    assert plain.high is None or plain.high >= plain.value
    assert wide.low is None or (plain.low is not None and wide.low <= plain.low)
    assert wide.high is None or (plain.high is not None and wide.high >= plain.high)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=100), st.integers(1, 99))
def test_a_quantile_is_the_smallest_value_with_that_share_at_or_below(values, percent):
    ordered = sorted(values)
    found = quantile_bound(np.array(values, float), percent / 100).value
    assert sum(value <= found for value in ordered) * 100 >= percent * len(values)
    assert sum(value < found for value in ordered) * 100 < percent * len(values)


@pytest.mark.parametrize("quantile", [0.5, 0.95])
@pytest.mark.parametrize("count", [100, 1000])
def test_intervals_of_a_quantile_cover_the_truth_in_95_of_100_repetitions(quantile, count):
    """Order statistics only cover a little more than promised, never less; whatever the law."""
    rng = np.random.default_rng(17)
    truth = -np.log(1 - quantile)
    repetitions = 1500
    held = 0
    for _ in range(repetitions):
        bound = quantile_bound(rng.exponential(size=count), quantile)
        low = -np.inf if bound.low is None else bound.low
        held += low <= truth <= (np.inf if bound.high is None else bound.high)
    error = np.sqrt(0.95 * 0.05 / repetitions)
    assert 0.95 - 3 * error < held / repetitions < 0.98 + 3 * error


def test_an_end_that_few_values_cannot_bound_is_not_known():
    values = np.arange(30.0)
    assert quantile_bound(values, 0.95).high is None
    assert quantile_bound(values, 0.05).low is None
    assert quantile_bound(np.arange(72.0), 0.95).high is not None
    assert quantile_bound(np.zeros(0), 0.5).value is None


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (1, 10, 0.0179, 0.4042),
        (81, 263, 0.2553, 0.3662),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_wilsons_intervals_are_those_of_the_tables(hits, count, low, high):
    """81 of 263 is Newcombe's example (1998, table I)."""
    bound = ratio_bound(hits, count)
    assert bound.value == hits / count
    assert (bound.low, bound.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@given(st.integers(1, 10_000), st.data())
def test_a_ratio_lies_in_its_interval_and_more_confidence_widens_it(count, data):
    hits = data.draw(st.integers(0, count))
    usual, sure = ratio_bound(hits, count), ratio_bound(hits, count, confidence=0.99)
    slack = 1e-12
    assert 0 <= sure.low <= usual.low + slack <= hits / count + 2 * slack
    assert hits / count - 2 * slack <= usual.high - slack <= sure.high <= 1


def test_of_nothing_no_ratio_is_known():
    assert ratio_bound(0, 0).value is None
