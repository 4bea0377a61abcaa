"""TTFT, TPOT, ITL, tokens per second and goodput of samples whose truth is written beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamed import answered, answered_whole, one_each, samples_of

from loadtests.generator.recording import Outcome
from loadtests.goodput import goodput
from loadtests.judging import judge_measurement
from loadtests.measurement import (
    Load,
    Measurement,
    RunFacts,
    TargetRecord,
    TargetUse,
    summarise_closed,
    summarise_open,
    with_objectives,
)
from loadtests.slo import Limit, Verdict, parse_slo
from loadtests.streaming.figures import token_figures
from loadtests.streaming.taken import taken_s
from loadtests.validity import GeneratorFacts

RATE_RPS = 50.0
GOOD = Outcome.SUCCEEDED


def measured(samples, slo_text=None, *, loop="open", traffic="as written", **changes):
    """Not steady, so that nothing is cut off as warm-up."""
    sent = samples.records[samples.is_sent]
    elapsed_s = float(samples.records["done_us"].max()) / 1e6
    in_flight_s = float(np.sum(sent["done_us"] - sent["sent_us"])) / 1e6
    facts = RunFacts(
        target=TargetRecord(
            kind="process", label="a", started_from="a", vcpus=None, memory_gib=None, limits=None,
            shares_cores=False, setup_s=None,
        ),
        use=TargetUse(),
        workload="0",
        load=Load(loop=loop, rate_rps=RATE_RPS, traffic=traffic, duration_s=elapsed_s, seed=1),
        started_at="2026-01-01T00:00:00+00:00",
        elapsed_s=elapsed_s,
        generator=GeneratorFacts(0.1 * elapsed_s, elapsed_s, in_flight_s),
        due=len(samples),
        **changes,
    )  # fmt: skip
    if loop == "closed":
        return summarise_closed(samples, facts)
    objectives = () if slo_text is None else parse_slo(slo_text).objectives
    return summarise_open(samples, facts, objectives)


@pytest.fixture(scope="module")
def thousand():
    """Exponential: p95 of the first token 150 ms, p99 of a gap 46 ms; 10 ms a token."""
    return one_each(RATE_RPS, drawn(1000))


def figures(samples):
    return token_figures(samples, samples, ())


def value(quantiles, quantile):
    return next(each.seconds.value for each in quantiles if each.quantile == quantile)


def drawn(count, tokens=20, ttft_s=0.05, itl_s=0.01, seed=1):
    rng = np.random.default_rng(seed)
    first_s = rng.exponential(ttft_s, count)
    gaps_s = rng.exponential(itl_s, (count, tokens - 1))
    return np.column_stack([first_s, first_s[:, None] + np.cumsum(gaps_s, axis=1)])


def test_each_figure_is_what_it_is_defined_as():
    """Sent 10 ms late, first token 40 ms after that, then 3 more in 90 ms, done 30 ms later."""
    came_s = [0.05, 0.08, 0.11, 0.14]
    samples = samples_of([(0.0, 0.01, 0.17, GOOD, answered(came_s, usage=4))] * 2)
    found = figures(samples)
    assert value(found.due_to_first, 0.5) == pytest.approx(0.05)
    assert value(found.ttft, 0.5) == pytest.approx(0.04)
    assert value(found.tpot, 0.5) == pytest.approx((0.17 - 0.05) / 3)
    assert value(found.itl, 0.5) == pytest.approx(0.03)
    assert found.tokens_per_s_each.value == pytest.approx(3 / 0.12)
    assert (found.answers, found.output_tokens, found.tokens_per_answer) == (2, 8, 4.0)


def test_time_per_token_is_by_tokens_and_gaps_are_by_chunks():
    """Four chunks of five tokens each, as the server's usage says."""
    samples = samples_of([(0.0, 0.0, 0.19, GOOD, answered([0.1, 0.13, 0.16, 0.19], usage=20))])
    found = figures(samples)
    assert value(found.tpot, 0.5) == pytest.approx(0.09 / 19)
    assert value(found.itl, 0.5) == pytest.approx(0.03)
    assert found.tokens_per_chunk == 5.0
    assert found.counted_by == "usage"
    assert any("chunks, of 5 tokens" in note for note in found.notes)


def test_without_usage_chunks_are_counted_and_that_is_said():
    found = figures(one_each(RATE_RPS, [[0.1, 0.2]] * 5))
    assert (found.output_tokens, found.counted_by) == (10, "chunks")
    assert any("each chunk counts as one" in note for note in found.notes)
    both = samples_of(
        [(0.0, 0.0, 1.0, GOOD, answered([0.5, 1.0], usage=usage)) for usage in (None, 9)]
    )
    assert figures(both).counted_by == "both"


def test_answers_that_were_not_streamed_have_no_first_token():
    samples = samples_of(
        [(n / 10, n / 10, n / 10 + 1, GOOD, answered_whole(n / 10 + 1, 12)) for n in range(40)]
    )
    found = measured(samples, "p95_ttft<10s, p95_tpot<10s, p99_itl<10s, goodput>1%")
    assert found.tokens.ttft == found.tokens.tpot == found.tokens.itl == ()
    assert found.tokens.flaws == {"whole": 40}
    assert found.tokens.output_tokens == 480
    assert any("came whole" in note for note in found.tokens.notes)
    for objective in parse_slo("p95_ttft<10s, p95_tpot<10s, p99_itl<10s, goodput>1%").objectives:
        assert judge_measurement(found, objective) is Verdict.UNKNOWN


def test_one_token_has_no_time_per_token():
    samples = one_each(RATE_RPS, [[0.1]] * 10 + [[0.1, 0.3]] * 10)
    assert len(taken_s(samples, "tpot").known_s) == 10
    single = figures(one_each(RATE_RPS, [[0.1]] * 10))
    assert single.tpot == single.itl == ()
    assert single.tokens_per_s_each.value is None
    assert len(single.notes) == 3


def test_plain_answers_have_no_figures_of_tokens_and_a_reason():
    streamed = one_each(RATE_RPS, [[0.1, 0.2]] * 20)
    plain = type(streamed)(streamed.records)
    found = measured(plain, "p95<10s, p95_ttft<10s")
    assert found.tokens is None
    assert found.no_tokens == "the answers were not streamed"
    assert judge_measurement(found, parse_slo("p95_ttft<10s").objectives[0]) is Verdict.UNKNOWN
    assert found.goodput[0].rate_rps is found.goodput[0].ratio.value is None
    assert measured(streamed).no_tokens is None


def test_a_failed_stream_is_infinitely_late_and_slow_and_its_last_gap_never_ends():
    rows = []
    for number, after_s in enumerate(drawn(400)):
        due_s, fails = number / RATE_RPS, number % 10 == 0
        came_s = due_s + after_s[:4] if fails else due_s + after_s
        outcome = Outcome.BROKEN if fails else GOOD
        rows.append((due_s, due_s, came_s[-1], outcome, answered(list(came_s), cut=fails)))
    samples = samples_of(rows)
    found = measured(samples, "p95_ttft<10s, p95_tpot<10s, p99_itl<10s")
    for figure in ("ttft", "tpot"):
        assert found.tokens.at(figure, 0.5).value is not None
        assert found.tokens.at(figure, 0.95).value is None, "a tenth has failed"
    assert value(found.tokens.ttft, 0.95) < 1, "of those that did not"
    gaps = 360 * 19 + 40 * 3
    infinite = 40 / (gaps + 40)
    assert found.tokens.at("itl", 0.99).value is not None
    assert 1 - infinite > 0.99
    assert found.tokens.flaws == {"cut": 40}
    verdicts = [judge_measurement(found, each) for each in parse_slo("p95_ttft<10s").objectives]
    assert verdicts == [Verdict.MISSED]


def test_gaps_that_never_end_reach_into_the_quantile_they_fill():
    """Every second stream stops after its third token: of seven gaps one never ends."""
    rows = []
    for number in range(100):
        due_s, fails = number / RATE_RPS, number % 2 == 0
        came_s = [due_s + 0.1 * step for step in range(1, 4 if fails else 6)]
        outcome = Outcome.TIMED_OUT if fails else GOOD
        rows.append((due_s, due_s, came_s[-1], outcome, answered(came_s, cut=fails)))
    found = figures(samples_of(rows))
    assert value(found.itl, 0.5) == pytest.approx(0.1, abs=1e-5)
    assert value(found.itl, 0.9) is None


def test_users_that_wait_for_their_answers_have_figures_of_tokens_and_no_goodput():
    found = measured(one_each(RATE_RPS, drawn(200)), loop="closed")
    assert (found.latency, found.goodput) == ((), ())
    assert found.tokens.due_to_first == found.tokens.ttft, "due is sent, and all went well"
    assert judge_measurement(found, parse_slo("p95_itl<1s").objectives[0]) is Verdict.MET


def test_tokens_per_second_are_those_that_came_while_requests_were_sent():
    """Each answer's 41 tokens take 4 s at 10 a second; 20 requests a second, for 30 s."""
    stream = [0.5 + 0.1 * step for step in range(41)]
    samples = one_each(20.0, [stream] * 600)
    steady = samples.take(samples.due_s >= 5.0)
    found = token_figures(samples, steady, ())
    assert found.tokens_per_s.value == pytest.approx(20 * 41, rel=0.01)
    assert found.tokens_per_s.low <= 20 * 41 <= found.tokens_per_s.high
    assert found.tokens_per_s_each.value == pytest.approx(10.0, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "quantile", "truth"),
    [
        ("ttft", 0.5, -0.05 * np.log(0.5)),
        ("ttft", 0.95, -0.05 * np.log(0.05)),
        ("itl", 0.5, -0.01 * np.log(0.5)),
        ("itl", 0.99, -0.01 * np.log(0.01)),
    ],
)
def test_intervals_hold_the_law_they_were_drawn_from(name, quantile, truth):
    """In 95 of 100 runs; of 40, fewer than 33 would be a matter of one in a thousand."""
    held = 0
    for seed in range(40):
        found = figures(one_each(RATE_RPS, drawn(80, tokens=10, seed=seed)))
        interval = next(each for each in getattr(found, name) if each.quantile == quantile).seconds
        low = 0.0 if interval.low is None else interval.low
        held += low <= truth <= (np.inf if interval.high is None else interval.high)
    assert held >= 33


@given(
    st.lists(
        st.tuples(
            st.sampled_from([GOOD, Outcome.REFUSED, Outcome.BROKEN]),
            st.integers(1, 400),
            st.lists(st.integers(1, 100), max_size=5),
        ),
        min_size=2,
        max_size=40,
    )
)
def test_goodput_counts_who_met_every_limit(requests):
    limits_ms = {"latency": 400, "ttft": 200, "tpot": 50}
    rows, good = [], 0
    for number, (outcome, first_ms, gaps_ms) in enumerate(requests):
        due_s = float(number)
        came_ms = list(np.cumsum([first_ms, *gaps_ms]))
        took = {"latency": came_ms[-1], "ttft": first_ms}
        if gaps_ms:
            took["tpot"] = sum(gaps_ms) / len(gaps_ms)
        good += outcome == GOOD and all(took[name] <= limits_ms[name] for name in took)
        came_s = [due_s + each / 1e3 for each in came_ms]
        rows.append((due_s, due_s, came_s[-1], outcome, answered(came_s)))
    limits = tuple(Limit(name, limit_ms / 1e3 + 1e-6) for name, limit_ms in limits_ms.items())
    found = goodput(samples_of(rows), limits)
    assert found.ratio.value == pytest.approx(good / len(requests))
    assert found.ratio.low <= found.ratio.value <= found.ratio.high
    assert found.rate_rps <= len(requests) / (len(requests) - 1)


def test_a_dropped_request_is_no_goodput():
    rows = [(n / 10, n / 10, n / 10 + 0.1, GOOD, answered([n / 10 + 0.1])) for n in range(50)]
    rows += [(5 + n / 10, 0.0, 0.0, Outcome.DROPPED, None) for n in range(50)]
    found = goodput(samples_of(rows), (Limit("latency", 1.0),))
    assert found.ratio.value == 0.5
    assert found.rate_rps == pytest.approx(50 / 9.9)


@pytest.mark.parametrize(
    ("slo", "verdict"),
    [
        ("p95_ttft<400ms", Verdict.MET),
        ("p95_ttft<50ms", Verdict.MISSED),
        ("p95_tpot<20ms", Verdict.MET),
        ("p95_tpot<9ms", Verdict.MISSED),
        ("p99_itl<60ms", Verdict.MET),
        ("p99_itl<30ms", Verdict.MISSED),
        ("p97_ttft<1s", Verdict.MET),
        ("p95_ttft<400ms, goodput>90%", Verdict.MET),
        ("p95_ttft<80ms, goodput>95%", Verdict.MISSED),
    ],
)
def test_objectives_of_tokens_are_judged(thousand, slo, verdict):
    found = measured(thousand, slo)
    assert judge_measurement(found, parse_slo(slo).objectives[-1]) is verdict
    growing = measured(thousand, slo, over_saturated=True)
    assert judge_measurement(growing, parse_slo(slo).objectives[-1]) is Verdict.MISSED


def test_a_goodput_is_judged_within_its_own_limits_or_not_at_all(thousand):
    found = measured(thousand, "p95_ttft<400ms, goodput>90%")
    other = parse_slo("p95_ttft<80ms, goodput>90%")
    assert judge_measurement(found, other.goodput) is Verdict.UNKNOWN
    again = with_objectives(found, thousand, other.objectives)
    assert judge_measurement(again, other.goodput) is Verdict.MISSED
    assert again.tokens.at("ttft", 0.95).value == found.tokens.at("ttft", 0.95).value


def test_a_measurement_of_streams_is_stored_and_read():
    found = measured(one_each(RATE_RPS, drawn(100)), "p95_ttft<400ms, p99.9_itl<1s, goodput>90%")
    assert Measurement.model_validate_json(found.model_dump_json()) == found
