import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import UsageError
from loadtests.slo import (
    Bound,
    ErrorRateObjective,
    LatencyObjective,
    Slo,
    Verdict,
    judge,
    parse_slo,
)

quantiles = st.floats(0, 1, exclude_min=True, exclude_max=True)
limits_s = st.floats(1e-9, 1e6)
ratios = st.floats(0, 1, exclude_min=True, exclude_max=True)
finite = st.floats(-1e9, 1e9)


def slos():
    latency = st.builds(LatencyObjective, quantiles, limits_s)
    errors = st.builds(ErrorRateObjective, ratios)
    return st.builds(
        lambda first, more: Slo((first, *more)), latency, st.lists(latency | errors, max_size=3)
    )


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
