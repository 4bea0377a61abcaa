"""Continuous batching: its line, what memory lets in, and what the first token waits for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import OutOfRange
from recommender.performance.llm_serving import ContinuousBatching, KvCache, TokenTimes

times = st.floats(1e-5, 1.0)
answers = st.floats(2.0, 2000.0)
concurrency = st.floats(1.0, 256.0)
servers = st.builds(
    lambda step, sequence, prefill, hidden, tokens: ContinuousBatching(
        step, sequence, prefill, prefill * hidden, tokens
    ),
    *(times, times, times, st.floats(0.0, 1.0), answers),
)


@given(servers, concurrency)
def test_a_request_lasts_its_prompt_and_its_tokens(server, n):
    lasts = server.prefill_s + server.decode_steps * server.tpot_s(n)
    assert server.residence(256.0).latency(n).median == pytest.approx(lasts)


@given(servers, concurrency, concurrency)
def test_more_in_flight_means_later_tokens_and_more_of_them(server, a, b):
    fewer, more = sorted((a, b))
    assert server.tpot_s(fewer) <= server.tpot_s(more) * (1 + 1e-9)
    assert server.ttft_s(fewer) <= server.ttft_s(more) * (1 + 1e-9)
    low, high = server.output_tokens_per_s(fewer), server.output_tokens_per_s(more)
    assert low <= high * (1 + 1e-9)
    assert high <= server.output_tokens / server.per_request_s * (1 + 1e-9)


@given(servers)
def test_one_user_waits_for_the_prompt_alone(server):
    assert server.ttft_s(1.0) == pytest.approx(server.prefill_s)


def simulated_tokens_per_s(server, users, requests=400):
    """Closed loop, a step at a time: finished requests are replaced, each with its prompt."""
    left = [1 + int(i * server.decode_steps / users) for i in range(users)]
    elapsed_s, done = 0.0, 0
    while done < requests:
        elapsed_s += server.step_s + server.sequence_s * users
        left = [each - 1 for each in left]
        finished = sum(each == 0 for each in left)
        left = [each or int(server.decode_steps) for each in left]
        elapsed_s += finished * server.stall_s
        done += finished
    return done * server.output_tokens / elapsed_s


@pytest.mark.parametrize("users", [1, 4, 16])
def test_the_curve_is_that_of_a_server_run_step_by_step(users):
    server = ContinuousBatching(0.02, 0.001, 0.15, 0.15, 65.0)
    simulated = simulated_tokens_per_s(server, users)
    assert server.output_tokens_per_s(users) == pytest.approx(simulated, rel=0.03)


@given(servers, st.floats(2.0, 256.0))
def test_measuring_a_server_gives_it_back(server, n):
    """Up to how the growth splits into prompts and decoding, which two runs cannot say."""
    alone = TokenTimes(1.0, server.ttft_s(1.0), server.tpot_s(1.0))
    loaded = TokenTimes(n, server.ttft_s(n), server.tpot_s(n))
    found = ContinuousBatching.measured(alone, loaded, server.output_tokens)
    assert found.tpot_s(n) == pytest.approx(server.tpot_s(n), rel=1e-6)
    assert found.tpot_s(1.0) == pytest.approx(server.tpot_s(1.0), rel=1e-6)
    assert found.per_request_s == pytest.approx(server.per_request_s, rel=1e-6)


def test_prompts_take_the_share_that_they_cost():
    server = ContinuousBatching(0.02, 0.001, 0.3, 0.1, 101.0)
    assert server.prefill_ratio == pytest.approx(0.5)


def test_seven_billion_parameters_fit_as_many_requests_as_their_keys_and_values_leave():
    """Llama 2 7B: 32 layers, 32 heads of 128, half a MiB a token in FP16."""
    cache = KvCache(layers=32, kv_heads=32, head_size=128)
    assert cache.bytes_per_token == 512 * 1024
    gib = 2**30
    assert cache.most_requests(24 * gib, 13 * gib, tokens_per_request=1024) == 22
    assert cache.most_requests(12 * gib, 13 * gib, tokens_per_request=1024) == 0


@given(st.integers(1, 80), st.floats(1e9, 1e11), st.floats(1.0, 4096.0))
def test_what_fits_never_needs_more_than_there_is(layers, memory, tokens):
    cache = KvCache(layers, 8, 128)
    weights = memory / 3
    fit = cache.most_requests(memory, weights, tokens)
    each = cache.bytes_per_token * tokens
    assert fit * each <= (memory - weights) * (1 + 1e-9)
    assert (fit + 1) * each > (memory - weights) * (1 - 1e-9)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: KvCache(0, 8, 128),
        lambda: KvCache(1, 8, 128).most_requests(1e9, 1e8, 0.0),
        lambda: ContinuousBatching(-1.0, 0.1, 0.1, 0.1, 10.0),
        lambda: ContinuousBatching(0.1, 0.1, 0.1, 0.1, 1.0),
        lambda: TokenTimes(1.0, 0.0, 0.1),
        lambda: ContinuousBatching.measured(
            TokenTimes(1.0, 0.1, 0.1), TokenTimes(1.0, 0.1, 0.1), 10.0
        ),
    ],
)
def test_impossible_servers_are_refused(wrong):
    with pytest.raises(OutOfRange):
        wrong()
