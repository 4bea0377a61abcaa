"""What is kept of streamed answers: all that was said of each, and enough of the gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamed import Written, answered, answered_whole, as_if_answered, one_each, samples_of

from loadtests.errors import LoadTestError
from loadtests.generator.recording import Outcome
from loadtests.generator.streamed import StreamRecorder
from loadtests.samples import Samples
from loadtests.streaming.answer import CountedBy, Flaw
from loadtests.streaming.streams import NONE, StreamLog, Streams

gaps_s = st.lists(st.integers(0, 5000).map(lambda us: us / 1e6), max_size=8)
answers = st.lists(
    st.one_of(
        st.none(),  # dropped
        st.tuples(gaps_s, st.none() | st.integers(0, 500), st.booleans()),
    ),
    max_size=25,
)


def instants(begin_s, gaps):
    return list(np.cumsum([begin_s, *gaps]))


@given(answers, st.integers(1, 6))
def test_what_was_heard_is_what_is_read_back(given_answers, flush_every):
    written = Written()
    recorder = StreamRecorder(100.0, written)
    expected = []
    for number, given_one in enumerate(given_answers):
        due_s = 100.0 + number
        if given_one is None:
            recorder.add((due_s,) * 4, 0, 0, Outcome.DROPPED, 0, 0)
            expected.append((NONE, NONE, 0, 0, []))
        else:
            gaps, usage, cut = given_one
            came_s = instants(due_s + 0.25, gaps)
            answer = answered(came_s, usage=usage, cut=cut)
            recorder.add_streamed((due_s, due_s, came_s[-1]), (0, Outcome.SUCCEEDED, 0), answer)
            tokens = len(came_s) if usage is None or cut else usage
            ends_us = [round((each - 100.0) * 1e6) for each in (came_s[0], came_s[-1])]
            expected.append((*ends_us, tokens, len(came_s), [round(gap * 1e6) for gap in gaps]))
        if number % flush_every == 0:
            recorder.flush()
    recorder.flush()
    if not given_answers:
        return
    samples = written.samples()
    again = Samples.decode(samples.encode())
    for found in (samples, again):
        rows = found.streams.rows[["first_token_us", "last_token_us", "tokens", "chunks"]]
        assert rows.tolist() == [each[:4] for each in expected]
        gaps_us = found.streams.gaps_in_order().astype(int)
        assert gaps_us == pytest.approx([gap for each in expected for gap in each[4]], abs=1)
    assert np.array_equal(again.records, samples.records)
    assert np.array_equal(again.streams.rows, samples.streams.rows)


def test_an_answer_says_who_counted_and_what_was_wrong():
    found = samples_of(
        [
            (0.0, 0.0, 1.0, Outcome.SUCCEEDED, answered([0.5, 1.0], usage=7)),
            (1.0, 1.0, 2.0, Outcome.BROKEN, answered([1.5, 2.0], cut=True)),
            (2.0, 2.0, 3.0, Outcome.SUCCEEDED, answered_whole(3.0, 9)),
        ]
    ).streams.rows
    assert found["counted_by"].tolist() == [CountedBy.USAGE, CountedBy.CHUNKS, CountedBy.USAGE]
    assert found["flaw"].tolist() == [Flaw.NONE, Flaw.CUT, Flaw.WHOLE]
    assert found["tokens"].tolist() == [7, 2, 9]
    assert found["first_token_us"].tolist() == [500_000, 1_500_000, NONE]


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_samples_taken_keep_their_own_gaps(chosen):
    gap_s = [(number + 1) / 1e6 for number in range(len(chosen))]
    samples = one_each(1.0, [instants(0.1, [each] * 3) for each in gap_s])
    taken = samples.take(np.array(chosen))
    kept = [round(each * 1e6) for each, is_chosen in zip(gap_s, chosen, strict=True) if is_chosen]
    assert taken.streams.gaps_in_order().astype(int) == pytest.approx(np.repeat(kept, 3), abs=1)
    assert len(Samples.decode(taken.encode())) == len(kept)


def logged(lengths, enough, processes=1):
    """Answers of so many gaps, each gap its answer's number in µs, divided among processes."""
    blocks = []
    for process in range(processes):
        log = StreamLog(0.0, enough)
        for number in range(process, len(lengths), processes):
            log.add(as_if_answered(instants(0.0, [number / 1e6] * lengths[number])))
            if number % 7 == 0:
                blocks.append(log.block())
        blocks.append(log.block())
    return Streams.read(b"".join(blocks))


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=120), st.integers(5, 60), st.integers(1, 3)
)
def test_gaps_are_thinned_evenly_and_rows_never(lengths, enough, processes):
    streams = logged(lengths, enough, processes)
    assert len(streams) == len(lengths)
    assert sorted(streams.rows["chunks"].tolist()) == sorted(each + 1 for each in lengths)
    kept = streams.is_kept
    turns = np.sort(streams.rows["turn"][kept])
    every = int(turns[turns > 0][0]) if np.any(turns > 0) else len(lengths)
    assert np.all(turns % every == 0), "every so many answers, from the first to the last"
    assert np.array_equal(streams.rows["gaps"][kept], streams.rows["chunks"][kept] - 1)
    assert np.all(streams.rows["gaps"][~kept] == 0)
    if sum(lengths) < enough:
        assert kept.all(), "few gaps are all kept"
    counted = np.unique(streams.gaps_in_order(), return_counts=True)
    by_answer = dict(zip(*(each.tolist() for each in counted), strict=True))
    assert set(by_answer.values()) <= set(lengths)


def test_memory_stays_flat_however_many_answers_there_are():
    """20,000 answers of 50 gaps: a fiftieth of them is kept, and nothing of it twice."""
    enough = 2_000
    streams = logged([50] * 20_000, enough)
    assert len(streams) == 20_000
    assert enough / 4 < len(streams.gaps_us) < 4 * enough
    answers_kept = np.unique(streams.gaps_in_order())
    assert np.ptp(np.diff(answers_kept.astype(int))) <= 1
    assert answers_kept[-1] > 19_000, "of the end of the run too"


def test_the_last_block_may_still_be_on_its_way():
    written = Written()
    recorder = StreamRecorder(0.0, written)
    for number in range(4):
        recorder.add_streamed((0.0, 0.0, 1.0), (0, 0, 0), answered([0.25, 0.5]))
        recorder.flush()
        whole = written.streams
        for cut in (1, 7, 20, 40):
            assert len(Streams.read(whole[:-cut])) == number
        assert len(Streams.read(whole)) == number + 1


def test_samples_of_which_streams_are_missing_are_refused():
    samples = one_each(1.0, [[0.1, 0.2]] * 3)
    with pytest.raises(ValueError, match="2 streams of 3"):
        Samples(samples.records, samples.streams.take(slice(2)))


@pytest.mark.parametrize("cut", [1, 10, 60, 100])
def test_damaged_streams_are_refused(cut):
    data = one_each(1.0, [[0.1, 0.2, 0.5]] * 20).encode()
    with pytest.raises(LoadTestError):
        Samples.decode(data[:-cut])


def test_gaps_take_few_bytes():
    rng = np.random.default_rng(1)
    streams = [instants(0.1, rng.exponential(0.02, 100)) for _ in range(200)]
    assert len(one_each(1.0, streams).encode()) < 2.3 * 200 * 100
