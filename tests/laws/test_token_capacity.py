"""The capacity search for SLOs about tokens: the model says nothing of them, runs say it all."""

from dataclasses import dataclass

import numpy as np
import pytest
from simulated_queue import SimulatedServer

from loadtests.errors import InvalidMeasurement
from loadtests.modes.capacity import Capacity, SearchSettings, conclude, next_step
from loadtests.modes.placement import rate_of
from loadtests.modes.tiers import Tier, objectives_of, watched
from loadtests.runner import Progress
from loadtests.samples import RECORD, Samples
from loadtests.slo import decisive, parse_slo
from loadtests.steps import OpenStep
from loadtests.streaming.streams import STREAM, Streams
from loadtests.watch import DECIDED, open_watch

SETTINGS = SearchSettings(seed=7, most_open=6, confirm_s=30.0)
TOKENS = 11
EARLY = 0.4  # of an answer's time, when its first token comes


@dataclass(frozen=True)
class StreamingServer(SimulatedServer):
    """Its first token comes after 40 % of the whole, the ten others evenly after that."""

    def as_samples(self, records):
        return Samples(records, streams_of(records))


def streams_of(records):
    took_us = records["done_us"] - records["sent_us"]
    rows = np.zeros(len(records), STREAM)
    rows["first_token_us"] = records["sent_us"] + EARLY * took_us
    rows["last_token_us"] = records["done_us"]
    rows["tokens"], rows["chunks"], rows["gaps"] = TOKENS, TOKENS, TOKENS - 1
    rows["turn"] = np.arange(len(rows))
    gap_us = (1 - EARLY) * took_us / (TOKENS - 1)
    return Streams.of(rows, np.repeat(gap_us, TOKENS - 1).astype(np.uint32))


SERVER = StreamingServer(servers=4, mean_s=0.04, cv=1.0, seed=3)  # 100 rps at most


def search(server, slo, settings=SETTINGS):
    history = ()
    while True:
        step = next_step(history, slo, settings)
        if isinstance(step, Capacity):
            return step, history
        history += (server.take(step, slo.objectives, decisive(slo)),)
        assert len(history) < 20, "the search does not end"


def test_a_first_token_is_as_good_an_slo_as_the_whole_answer():
    """40 % of the latency: a limit on it is one of 2.5 times as much on the whole."""
    slo, same = parse_slo("p95_ttft<100ms"), parse_slo("p95<250ms")
    found, history = search(SERVER, slo)
    modelled, _ = search(SERVER, same)
    assert found.basis == "bisected"
    assert found.rate_rps == pytest.approx(modelled.rate_rps, rel=0.2)
    assert found.low_rps <= found.rate_rps <= found.high_rps
    rates = [rate_of(each) for each in history if isinstance(each.step, OpenStep)]
    assert len(rates) == len(set(rates)) <= SETTINGS.most_open
    assert "p95_ttft" in found.text
    assert conclude(history, slo, SETTINGS).rate_rps == found.rate_rps


def test_an_slo_that_is_always_met_ends_at_saturation():
    found, _ = search(SERVER, parse_slo("p95_ttft<100s"))
    assert found.rate_rps > 0.8 * found.model.saturation_rps
    assert found.high_rps <= found.model.saturation_rps


def test_an_slo_that_nothing_meets_has_no_capacity():
    found, _ = search(SERVER, parse_slo("p95_ttft<1ms"))
    assert (found.rate_rps, found.low_rps) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "breach"),
    [
        ("p95<10s, p95_ttft<100ms", "p95_ttft<100ms"),
        ("p95<10s, p99_itl<15ms", "p99_itl<15ms"),
        ("p95<200ms, p95_ttft<10s", "p95<200ms"),
        ("p99<10s, p90<120ms, p95_ttft<70ms, goodput>97%", None),
    ],
)
def test_the_tightest_of_several_objectives_ends_the_search(text, breach):
    found, _ = search(SERVER, parse_slo(text))
    assert 0 < found.rate_rps < 100
    if breach is not None:
        assert found.first_breach.text == breach


def test_tokens_of_answers_that_are_not_streamed_are_no_slo():
    plain, slo = SimulatedServer(servers=4, mean_s=0.04, cv=1.0, seed=3), parse_slo("p95_ttft<1s")
    with pytest.raises(InvalidMeasurement, match="not streamed") as caught:
        search(plain, slo)
    assert "stream" in caught.value.hint
    _, history = search(plain, parse_slo("p95<1s"))
    assert conclude(history, slo, SETTINGS) is None


def progress(count, first_s):
    """Requests every 10 ms, whose first tokens take so long and whose answers ten times that."""
    records = np.zeros(count, RECORD)
    records["due_us"] = records["sent_us"] = 10_000 * np.arange(count)
    records["done_us"] = records["due_us"] + np.round(first_s / EARLY * 1e6)
    return Progress(count / 100, count, 0, 0, lambda: records, lambda: streams_of(records))


@pytest.mark.parametrize(
    ("text", "first_s", "expected"),
    [
        ("p95_ttft<100ms", 0.05, DECIDED),
        ("p95_ttft<100ms", 0.15, DECIDED),
        ("p95_ttft<100ms, p95<100ms", 0.05, DECIDED),
        ("p95_tpot<1s", 0.05, DECIDED),
        ("p95_itl<1s", 0.05, None),
    ],
)
def test_a_run_ends_once_its_objectives_are_decided(text, first_s, expected):
    watch = open_watch(decisive(parse_slo(text)), 200)
    assert watch(progress(1000, np.full(1000, first_s))) == expected


def test_a_run_goes_on_while_one_of_its_objectives_is_open():
    first_s = np.where(np.arange(1000) % 20, 0.05, 0.15)  # 5 % are late for their first token
    late_first = open_watch(decisive(parse_slo("p95<10s, p95_ttft<100ms")), 200)
    assert late_first(progress(1000, first_s)) is None
    assert open_watch(decisive(parse_slo("p95<10s")), 200)(progress(1000, first_s)) == DECIDED


def test_tiers_hold_what_every_one_of_them_asks_of_tokens():
    gold = Tier("gold", parse_slo("p95_ttft<100ms, p95<2s, goodput>99%"))
    free = Tier("free", parse_slo("p95_ttft<1s, p99_itl<1s, goodput>90%"))
    texts = [each.text for each in objectives_of((gold, free))]
    assert sorted(texts) == sorted(
        ["p95_ttft<100ms", "p95<2s", "p99_itl<1s", "goodput>99%", "goodput>90%"]
    )
    assert [each.text for each in watched((gold, free))] == [
        "p95_ttft<100ms", "p95<2s", "p95_ttft<1s",
    ]  # fmt: skip
    history = ()
    for rate_rps in (20.0, 60.0):
        step = OpenStep(rate_rps, 30.0, 10**6)
        history += (SERVER.take(step, objectives_of((gold, free))),)
    for each in history:
        for tier in (gold, free):
            assert each.measurement.goodput_within(tier.slo.goodput.within).value is not None
