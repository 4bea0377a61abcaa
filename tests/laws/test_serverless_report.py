"""What passages and instances say of a serverless run, against a simulation that knows it all."""

import heapq
import math
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.gateway.passages import NO_MEMBER, PASSAGE
from loadtests.gateway.pools import OneEach, Refusal
from loadtests.serverless.report import (
    NOTICED_WITHIN_S,
    ServerlessMeasured,
    Span,
    mean_interval,
    serverless_report,
)
from loadtests.serverless.spec import STARTUP_LIMIT_S, ServerlessSpec
from loadtests.serverless.starts import Instance, cold_starts

SETUP_S, FIRST_S, WARM_S = 2.0, 0.7, 0.2
HELD_BYTES = 300 << 20
EVER = Span(-1.0, 1e6)


class Simulated:
    """Arrivals through the gateway's own pool, with starts and services of known length.

    truth: how many waited and were turned away, as the simulation itself saw it.
    """

    def __init__(self, spec, gaps_s):
        self.spec = spec
        self.pool = OneEach(spec.max_concurrency, spec.provisioned_concurrency, spec.idle_s)
        self.rows, self.lives = [], {}
        self.waited = self.throttled = 0
        self._worked = set()
        self._order, self._members = count(), count()
        self._events = []
        for number, at_s in enumerate(np.cumsum(gaps_s)):
            self._at(float(at_s), self._arrive, number)
        self._order_starts(0.0)
        while self._events:
            now_s, _, happens, what = heapq.heappop(self._events)
            happens(now_s, what)
            self._order_starts(now_s)

    def _at(self, now_s, happens, what):
        heapq.heappush(self._events, (now_s, next(self._order), happens, what))

    def _order_starts(self, now_s):
        for _ in range(self.pool.wanted()):
            self._at(now_s + SETUP_S, self._ready, next(self._members))

    def _arrive(self, now_s, number):
        for member in self.pool.idle(now_s):
            self.lives[member] = replace(self.lives[member], ended_s=now_s)
        placed = self.pool.take((number, now_s), now_s)
        if isinstance(placed, Refusal):
            self.throttled += 1
            self._row(number, NO_MEMBER, placed.status, (now_s, now_s, now_s))
        elif placed is not None:
            self._serve(now_s, (number, now_s), placed)

    def _ready(self, now_s, member):
        self.lives[member] = Instance(member, now_s - SETUP_S, now_s, None, HELD_BYTES, 1.5)
        self._handed(now_s, self.pool.add(member, now_s))

    def _answered(self, now_s, member):
        self._handed(now_s, self.pool.give_back(member, now_s))

    def _handed(self, now_s, handed):
        if handed is not None:
            (_, arrived_s), _ = handed
            self.waited += now_s > arrived_s  # one that came at this very instant did not wait
            self._serve(now_s, *handed)

    def _serve(self, now_s, ticket, member):
        number, arrived_s = ticket
        took_s = WARM_S if member in self._worked else FIRST_S
        self._worked.add(member)
        self._row(number, member, 200, (arrived_s, now_s, now_s + took_s))
        self._at(now_s + took_s, self._answered, member)

    def _row(self, number, member, status, instants):
        arrived_s, sent_s, answered_s = instants
        waited = int(sent_s > arrived_s)
        self.rows.append(
            (number, 0, waited, member, status, 0, arrived_s, sent_s, answered_s, answered_s)
        )

    @property
    def passages(self):
        """In the order of answers, as a gateway writes them."""
        rows = np.array(self.rows, PASSAGE)
        return rows[np.argsort(rows["left_s"], kind="stable")]

    def report(self, span=EVER):
        return serverless_report(self.passages, tuple(self.lives.values()), self.spec, span)


@st.composite
def runs(draw):
    most = draw(st.integers(1, 5))
    spec = ServerlessSpec(2, most, draw(st.integers(0, most)), idle_s=None)
    gaps_s = draw(st.lists(st.floats(0.001, 3.0), min_size=1, max_size=40))
    return Simulated(spec, gaps_s)


@given(runs())
def test_every_request_is_counted_once_and_for_what_it_met(run):
    found = run.report()
    served = found.requests.count - found.requests.throttled - found.requests.failed
    assert found.requests.count == len(run.rows)
    assert found.requests.throttled == run.throttled
    assert found.requests.cold == run.waited
    assert found.requests.failed == 0
    assert found.starts.count == len(run.lives)
    assert found.instances.peak == len(run.lives) <= run.spec.max_concurrency
    assert found.instances.memory_ratio == HELD_BYTES / 2**31
    if served:
        assert (
            found.requests.cold_ratio.low
            <= found.requests.cold / served
            <= found.requests.cold_ratio.high
        )


@given(runs())
def test_the_bill_is_of_the_time_spent_on_requests_and_of_nothing_else(run):
    found = run.report()
    spent_ms = [round((row[8] - row[7]) * 1e3) for row in run.rows if row[3] != NO_MEMBER]
    assert found.billed.on_demand_s + found.billed.provisioned_duration_s == pytest.approx(
        sum(spent_ms) / 1e3
    )
    if run.spec.provisioned_concurrency == 0:
        assert found.billed.provisioned_duration_s == 0
    if run.spec.provisioned_concurrency == run.spec.max_concurrency:
        assert found.billed.on_demand_s == 0
    assert found.billed_gib_s == 2 * found.billed.on_demand_s


@given(runs(), st.floats(0.0, 60.0))
def test_two_parts_of_a_run_add_up_to_it(run, cut_s):
    first, rest = run.report(Span(-1.0, cut_s)), run.report(Span(cut_s, 1e6))
    whole = run.report()
    for name in ("count", "throttled", "cold", "failed"):
        both = getattr(first.requests, name) + getattr(rest.requests, name)
        assert both == getattr(whole.requests, name)
    for name in ("on_demand_s", "provisioned_duration_s"):
        both = getattr(first.billed, name) + getattr(rest.billed, name)
        assert both == pytest.approx(getattr(whole.billed, name))
    assert first.starts.count + rest.starts.count == whole.starts.count
    parts = first.instances.mean * first.elapsed_s + rest.instances.mean * rest.elapsed_s
    assert parts == pytest.approx(whole.instances.mean * whole.elapsed_s)


@given(runs())
def test_a_cold_start_is_taken_apart_exactly(run):
    for start in cold_starts(run.passages, run.lives.values()):
        assert start.setup_s == pytest.approx(SETUP_S)
        if start.first_service_s is None:
            assert start.first_answer_s is None
        else:
            assert start.first_answer_s == pytest.approx(SETUP_S + FIRST_S)
        assert start.waited_s is None or 0 < start.waited_s <= SETUP_S + FIRST_S


@given(runs())
def test_warm_service_is_of_requests_that_neither_waited_nor_were_the_first(run):
    for each in run.report().requests.warm_service:
        assert each.seconds.value is None or each.seconds.value == pytest.approx(WARM_S)


@given(runs())
def test_a_report_survives_the_store(run):
    found = run.report()
    assert ServerlessMeasured.model_validate_json(found.model_dump_json()) == found


def test_as_many_are_throttled_as_erlang_says():
    """Erlang's loss formula, which holds for any law of service: here all take the same time."""
    servers, load = 4, 3.0
    gaps_s = np.random.default_rng(3).exponential(WARM_S / load, 30_000)
    gaps_s[0] += 2 * SETUP_S
    spec = ServerlessSpec(1, servers, servers, idle_s=None)
    found = Simulated(spec, gaps_s).report().requests
    terms = [load**n / math.factorial(n) for n in range(servers + 1)]
    lost = terms[-1] / sum(terms)
    assert found.throttled_ratio.low <= lost <= found.throttled_ratio.high
    assert found.throttled_ratio.value == pytest.approx(lost, rel=0.05)
    assert found.cold == 0


def test_sparse_requests_start_cold_as_often_as_the_recommender_predicts():
    """P(gap > T) = e^(-λT), for an idle time far longer than a start."""
    idle_s, mean_gap_s = 2000.0, 1500.0
    gaps_s = np.random.default_rng(5).exponential(mean_gap_s, 6000)
    found = Simulated(ServerlessSpec(1, 5, idle_s=idle_s), gaps_s).report(Span(-1.0, 1e9))
    expected = math.exp(-idle_s / mean_gap_s)
    assert found.requests.cold_ratio.low <= expected <= found.requests.cold_ratio.high
    assert found.requests.cold_ratio.value == pytest.approx(expected, rel=0.08)
    assert found.instances.peak <= 3


def test_ended_instances_are_counted_for_as_long_as_they_were_ready():
    lives = (
        Instance(0, 0.0, 1.0, 5.0),
        Instance(1, 2.0, 4.0),
        Instance(2, 6.0, failure="no room", ended_s=6.5),
    )
    found = serverless_report(np.empty(0, PASSAGE), lives, ServerlessSpec(1, 3), Span(2.0, 12.0))
    assert found.instances.ready == ((0.0, 1), (2.0, 2), (3.0, 1))
    assert found.instances.mean == pytest.approx((3 + 8) / 10)
    assert (found.instances.peak, found.instances.failed_starts, found.starts.count) == (2, 1, 1)
    assert found.instances.cpu_s is None
    assert found.instances.memory_ratio is None


def test_without_requests_nothing_is_known_and_nothing_is_zero_by_that():
    found = serverless_report(np.empty(0, PASSAGE), (), ServerlessSpec(1, 3), Span(0.0, 1.0))
    assert found.requests.count == found.instances.peak == 0
    assert found.requests.throttled_ratio.value is None
    assert found.requests.cold_ratio.value is None
    assert found.requests.warm_service_mean_s is None
    assert found.starts.setup_s.value is None


def test_a_start_longer_than_the_platform_waits_is_said():
    slow = Instance(0, 0.0, STARTUP_LIMIT_S + 20)
    found = serverless_report(np.empty(0, PASSAGE), (slow,), ServerlessSpec(1, 1), EVER)
    assert found.notes == ("a start took 200 s: SageMaker waits for 180 s",)


def test_one_start_has_no_interval_and_two_have_a_wide_one():
    assert mean_interval([1.0]).low is None
    few, many = mean_interval([1.0, 1.2]), mean_interval([1.0, 1.2] * 10)
    assert few.high - few.low > 10 * (many.high - many.low)
    late = mean_interval([1.0, 1.2], NOTICED_WITHIN_S)
    assert late.high == few.high
    assert late.low == max(few.low - NOTICED_WITHIN_S, 0.0)


def test_the_interval_of_few_starts_holds_their_mean_in_95_of_100():
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(4000):
        found = mean_interval(rng.normal(5.0, 0.5, 4).tolist())
        held += found.low <= 5.0 <= found.high
    assert abs(held / 4000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)
