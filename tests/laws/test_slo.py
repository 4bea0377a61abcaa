import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import UsageError
from loadtests.slo import (
    Bound,
    ErrorRateObjective,
    GoodputObjective,
    LatencyObjective,
    Limit,
    Slo,
    TokenObjective,
    Verdict,
    claimed_quantile,
    judge,
    judge_least,
    parse_slo,
    request_limits,
)

quantiles = st.floats(0, 1, exclude_min=True, exclude_max=True)
limits_s = st.floats(1e-9, 1e6)
ratios = st.floats(0, 1, exclude_min=True, exclude_max=True)
finite = st.floats(-1e9, 1e9)


def slos():
    latency = st.builds(LatencyObjective, quantiles, limits_s)
    tokens = st.builds(
        TokenObjective, st.sampled_from(["ttft", "tpot", "itl"]), quantiles, limits_s
    )
    errors = st.builds(ErrorRateObjective, ratios)
    return st.builds(
        with_goodput,
        latency | tokens,
        st.lists(latency | tokens | errors, max_size=3),
        st.none() | ratios,
    )


def with_goodput(first, more, least_ratio):
    objectives = (first, *more)
    limits = request_limits(objectives)
    if least_ratio is not None and limits:
        objectives += (GoodputObjective(least_ratio, limits),)
    return Slo(objectives)


@given(slos())
def test_an_slo_reads_back_as_it_was_written(slo):
    assert parse_slo(slo.text) == slo


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("p95<100ms", LatencyObjective(0.95, 0.1)),
        ("p50<=1.5s", LatencyObjective(0.5, 1.5)),
        ("P99.9 < 250 MS", LatencyObjective(0.999, 0.25)),
        ("p99.99<800us", LatencyObjective(0.9999, 0.0008)),
    ],
)
def test_a_latency_objective_is_read(text, objective):
    assert parse_slo(text).objectives == (objective,)


@pytest.mark.parametrize(
    ("text", "ratio"),
    [("error_rate<1%", 0.01), ("error_rate <= 0.1 %", 0.001), ("error_rate<0.02", 0.02)],
)
def test_an_error_rate_is_read_as_a_share_or_a_percentage(text, ratio):
    assert parse_slo(f"p95<1s, {text}").error_rate == ErrorRateObjective(ratio)


@pytest.mark.parametrize(
    "text", ["p95<100ms,p99<1s,error_rate<1%", " p95<100ms , p99<1s,, error_rate<1% ,"]
)
def test_objectives_are_separated_by_commas(text):
    slo = parse_slo(text)
    assert [each.quantile for each in slo.latency] == [0.95, 0.99]
    assert slo.error_rate == ErrorRateObjective(0.01)
    assert slo.text == "p95<100ms, p99<1s, error_rate<1%"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "fast",
        "p95",
        "p95<100",
        "p95>100ms",
        "p95=100ms",
        "95<100ms",
        "p95<-1ms",
        "p95<1,5s",
        "mean<100ms",
        "p95<100ms error_rate<1%",
        "p95<100ms; error_rate<1%",
        "error_rate<1%",
    ],
)
def test_what_does_not_parse_gets_the_grammar(text):
    with pytest.raises(UsageError) as caught:
        parse_slo(text)
    assert caught.value.exit_code == 2
    assert "objective ::=" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "part",
    [
        "p0<100ms",
        "p100<100ms",
        "p250<100ms",
        "p99.99999999999999999999<1s",
        "p95<0ms",
        "error_rate<0%",
        "error_rate<100%",
        "error_rate<1",
        "p95<" + "9" * 400 + "s",
    ],
)
def test_an_objective_that_nothing_could_meet_or_miss_is_refused(part):
    with pytest.raises(UsageError, match=r"cannot be met|not a share"):
        parse_slo(f"{part}, p50<1s")


def test_of_two_error_rates_the_stricter_counts():
    assert parse_slo("p95<1s, error_rate<2%, error_rate<1%").error_rate == ErrorRateObjective(0.01)


@given(st.text(max_size=30))
def test_any_text_is_an_slo_or_a_usage_error(text):
    try:
        slo = parse_slo(text)
    except UsageError as error:
        assert error.hint  # noqa: PT017 - both outcomes are in order
    else:
        assert slo.latency


@given(finite, finite, finite, finite)
def test_a_verdict_needs_the_whole_interval_on_one_side(one, two, three, limit):
    low, value, high = sorted((one, two, three))
    verdict = judge(Bound(value, low, high), limit)
    assert (verdict is Verdict.MET) == (high <= limit)
    assert (verdict is Verdict.MISSED) == (low > limit)


@given(finite, finite, finite)
def test_unknown_is_never_met(low, value, limit):
    assert judge(Bound(None, None, None), limit) is Verdict.UNKNOWN
    assert judge(Bound(None, low, value), limit) is Verdict.UNKNOWN
    assert judge(Bound(value, min(low, value), None), limit) is not Verdict.MET
    assert judge(Bound(value, None, None), limit) is not Verdict.MET


@given(finite)
def test_failures_that_reach_into_the_quantile_never_meet_a_limit(limit):
    assert judge(Bound(math.inf, math.inf, None), limit) is Verdict.MISSED
    assert judge(Bound(math.inf, limit - 1, math.inf), limit) is Verdict.UNKNOWN


@given(finite, finite, finite, finite, st.floats(0, 1e6))
def test_a_looser_limit_is_never_judged_worse(one, two, three, limit, slack):
    low, value, high = sorted((one, two, three))
    order = [Verdict.MISSED, Verdict.UNKNOWN, Verdict.MET]
    strict = judge(Bound(value, low, high), limit)
    loose = judge(Bound(value, low, high), limit + slack)
    assert order.index(loose) >= order.index(strict)


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("p95_ttft<300ms", TokenObjective("ttft", 0.95, 0.3)),
        ("P99.9_ITL <= 50 ms", TokenObjective("itl", 0.999, 0.05)),
        ("p50_tpot<1s", TokenObjective("tpot", 0.5, 1.0)),
    ],
)
def test_an_objective_of_tokens_is_read(text, objective):
    assert parse_slo(text).tokens == parse_slo(text).objectives == (objective,)


@pytest.mark.parametrize("text", ["p95_ttfb<1s", "p95 ttft<1s", "ttft<1s", "p95_<1s", "p95_itl<1"])
def test_what_is_no_objective_of_tokens_is_refused(text):
    with pytest.raises(UsageError, match="not understood"):
        parse_slo(text)


def test_goodput_is_within_the_limits_of_the_other_objectives():
    """Of a figure with several the one that speaks of most requests; a gap is of no request."""
    slo = parse_slo("p50<20ms, p99<100ms, goodput>=95%, p95_ttft<30ms, p99_itl<5ms")
    assert slo.goodput == GoodputObjective(0.95, (Limit("latency", 0.1), Limit("ttft", 0.03)))
    assert slo.text.split(", ")[2] == "goodput>95%"
    assert parse_slo("p95<1s").goodput is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("p99_itl<5ms, goodput>90%", "limits"),
        ("p99<5ms, goodput>100%", "share"),
        ("p99<5ms, goodput>0", "share"),
        ("p99<5ms, goodput<90%", "not understood"),
        ("goodput>90%", "limits"),
    ],
)
def test_a_goodput_of_nothing_is_refused(text, reason):
    with pytest.raises(UsageError, match=reason):
        parse_slo(text)


def test_a_goodput_of_other_limits_is_no_part_of_an_slo():
    with pytest.raises(ValueError, match="other limits"):
        Slo((LatencyObjective(0.95, 1.0), GoodputObjective(0.9, (Limit("latency", 2.0),))))


def test_what_is_claimed_is_the_highest_quantile_of_requests():
    slo = parse_slo("p99.9_itl<1s, p90<1s, p95_ttft<1s, error_rate<1%")
    assert claimed_quantile(slo.objectives) == 0.95
    assert claimed_quantile(parse_slo("p99_itl<1s").objectives) == 0.95


@given(finite, st.none() | finite, st.none() | finite, finite)
def test_at_least_is_at_most_seen_from_the_other_side(value, low, high, least):
    turned = Bound(-value, None if high is None else -high, None if low is None else -low)
    assert judge_least(Bound(value, low, high), least) is judge(turned, -least)


def test_nothing_known_is_at_least_nothing():
    assert judge_least(Bound(None, None, None), 0.1) is Verdict.UNKNOWN
