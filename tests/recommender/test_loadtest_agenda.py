"""Which tests a plan comes to, how long they take and what they cost: known before they run."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import Platform, Purchase
from pricing.errors import PricingError, UnknownInstanceType
from recommender.loadtest.agenda import (
    START_S,
    agenda,
    configurations_of,
    estimate_of,
    served_together,
    starting_s,
)
from recommender.loadtest.explanation import explain
from recommender.loadtest.plan import Plan
from recommender.loadtest.prices import hourly_prices, paid_prices

CORES = 4
OVERHEAD_S = 1.5  # of one run, at most
SINGLE = ("capacity", "profile", "offline")
TRAFFIC = {"kind": "steady", "rps": 20}


def plan_of(**said):
    return Plan.model_validate({"model": "sample", **said})


def fixed(traffic, **said):
    """The estimate of one test under this load."""
    plan = plan_of(configurations=[{"name": "a"}], traffic=traffic, **said)
    (test,) = agenda(plan, CORES)
    return estimate_of(test)


scenarios = st.lists(
    st.sampled_from(SINGLE).map(lambda mode: {"mode": mode})
    | st.sampled_from(
        [
            {"mode": "fixed", "traffic": TRAFFIC},
            {"mode": "soak", "traffic": TRAFFIC},
            {"mode": "tune", "environment": {"A": ["1", "2"]}},
            {"mode": "compare", "traffic": TRAFFIC},
        ]
    ),
    min_size=1,
    max_size=6,
)


@given(scenarios, st.integers(2, 4))
def test_every_configuration_meets_every_scenario_once_and_comparisons_come_last(asked, count):
    names = [f"c{n}" for n in range(count)]
    plan = plan_of(configurations=[{"name": name} for name in names], scenarios=asked)
    tests = agenda(plan, CORES)
    compared = [each.scenario.mode == "compare" for each in tests]
    assert compared == sorted(compared)
    found = [
        (each.name, each.scenario.name)
        for each, is_several in zip(tests, compared, strict=True)
        if not is_several
    ]
    assert len(found) == len(set(found))
    assert set(found) == {
        (name, each.name) for name in names for each in plan.scenarios if each.mode != "compare"
    }
    for each, is_several in zip(tests, compared, strict=True):
        if is_several:
            assert [one.name for one in each.configurations] == names
    # one configuration after the other
    order = [name for name, _ in found]
    assert order == sorted(order)


def test_a_scenario_that_names_configurations_tests_those():
    plan = plan_of(
        configurations=[{"name": name} for name in "abc"],
        scenarios=[
            {"mode": "capacity", "configurations": ["c", "a"]},
            {"mode": "compare", "traffic": TRAFFIC, "configurations": ["b", "c"]},
        ],
    )
    assert [each.label for each in agenda(plan, CORES)] == [
        "a: capacity",
        "c: capacity",
        "b, c: compare steady",
    ]


def test_a_comparison_has_its_baseline_first_and_its_shadows_last():
    plan = plan_of(
        configurations=[{"name": name} for name in ("dark", "old", "new")],
        scenarios=[{"mode": "compare", "traffic": TRAFFIC, "shadow": {"dark": 0.5}}],
    )
    (test,) = agenda(plan, CORES)
    assert [each.name for each in test.configurations] == ["old", "new", "dark"]
    weighted = plan_of(
        configurations=[{"name": name} for name in ("dark", "old", "new")],
        scenarios=[
            {
                "mode": "compare",
                "traffic": TRAFFIC,
                "variants": {"new": 1, "old": 9},
                "shadow": {"dark": 0.5},
            }
        ],
    )
    (test,) = agenda(weighted, CORES)
    assert [each.name for each in test.configurations] == ["new", "old", "dark"]


def test_without_configurations_the_sizes_of_this_machine_are_tested_or_the_url_as_it_is():
    sizes = configurations_of(plan_of(), CORES)
    assert [each.vcpus for each in sizes] == [1.0, 2.0]
    assert len({each.name for each in sizes}) == len(sizes)
    (only,) = configurations_of(plan_of(model="http://127.0.0.1:1"), CORES)
    assert only.vcpus is None


EXPECTED = {
    "steady": (TRAFFIC, "30s", 30, 600),
    "ramp": ({"kind": "ramp", "start_rps": 1, "end_rps": 10, "duration_s": 20}, None, 20, 110),
    "steps": (
        {"kind": "steps", "steps": [{"rps": 5, "duration_s": 10}, {"rps": 50, "duration_s": 5}]},
        None,
        15,
        300,
    ),
    "half of the steps": (
        {"kind": "steps", "steps": [{"rps": 5, "duration_s": 10}, {"rps": 50, "duration_s": 5}]},
        5,
        5,
        25,
    ),
    "burst": (
        {"kind": "burst", "base_rps": 5, "burst_rps": 50, "for_s": 2, "every_s": 10},
        20,
        20,
        280,
    ),
    "diurnal": (
        {"kind": "diurnal", "mean_rps": 5, "peak_rps": 9, "period_s": 60},
        None,
        60,
        300,
    ),
    "hourly": ({"kind": "hourly", "requests": [3600, 7200], "hour_s": 10}, None, 20, 30),
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_fixed_traffic_takes_its_duration_and_asks_what_it_integrates_to(kind):
    traffic, duration, seconds, requests = EXPECTED[kind]
    said = {} if duration is None else {"duration": duration}
    estimate = fixed(traffic, **said)
    assert seconds <= estimate.seconds < seconds + OVERHEAD_S
    assert estimate.low_s == estimate.seconds == estimate.high_s
    assert estimate.requests == pytest.approx(requests)


def test_repeats_are_counted_each():
    once, thrice = fixed(TRAFFIC, duration=10), fixed(TRAFFIC, duration=10, repeats=3)
    assert 30 <= thrice.seconds < 3 * once.seconds  # warmed up once
    assert thrice.requests == pytest.approx(3 * once.requests)


def test_what_users_ask_who_wait_for_answers_is_not_known():
    estimate = fixed({"kind": "constant", "users": 3, "duration_s": 10})
    assert estimate.requests is None
    assert 10 <= estimate.seconds < 10 + OVERHEAD_S


def test_a_stopping_rule_shortens_the_estimate():
    assert fixed(TRAFFIC, duration=30, stop={"max_duration": "5s"}).requests == 100
    assert fixed(TRAFFIC, duration=30, stop={"max_duration": "5s"}).seconds < 5 + OVERHEAD_S
    assert fixed(TRAFFIC, duration=30, stop={"max_requests": 40}).requests == 40


def test_shadow_copies_are_requests_too():
    said = {"mode": "compare", "traffic": TRAFFIC, "duration": 10}
    sides = [{"name": "old"}, {"name": "new"}]
    (plain,) = agenda(plan_of(configurations=sides, scenarios=[said]), CORES)
    copied = plan_of(
        configurations=[*sides, {"name": "dark"}], scenarios=[said | {"shadow": {"dark": 0.25}}]
    )
    (shadowed,) = agenda(copied, CORES)
    assert estimate_of(plain).requests == 200
    assert estimate_of(shadowed).requests == 250


def test_neighbours_are_served_by_one_start():
    plan = plan_of(
        configurations=[{"name": "a"}, {"name": "b"}],
        scenarios=[
            {"mode": "capacity"},
            {"mode": "offline"},
            {"mode": "tune", "environment": {"A": ["1", "2"]}},
            {"mode": "compare", "traffic": TRAFFIC},
        ],
    )
    tests = agenda(plan, CORES)
    groups = served_together(tests)
    assert [test for group in groups for test in group] == list(tests)
    shown = [[each.label for each in group] for group in groups]
    assert ["a: capacity", "a: offline"] in shown
    # a and b once each, and both for the comparison; trials count their own starts
    assert starting_s(tests) == 4 * START_S


def plan_with_prices(**said):
    return plan_of(
        configurations=[
            {"name": "there", "model": "http://127.0.0.1:1", "usd_per_hour": "3.60"},
            {"name": "here", "usd_per_hour": "7.20"},
            {"name": "unpriced", "model": "http://127.0.0.1:1"},
            {"name": "known", "model": "http://127.0.0.1:1", "instance_type": "ml.m5.large"},
        ],
        traffic=TRAFFIC,
        duration=100,
        **said,
    )


def explained(plan, book):
    prices = hourly_prices(plan.configurations, plan.region, book)
    return explain(plan, CORES, paid_prices(plan, plan.configurations, prices))


def test_an_explanation_adds_up(book):
    found = explained(plan_with_prices(), book)
    starts_s = starting_s(agenda(plan_with_prices(), CORES))
    lines = [line.estimate for line in found.lines]
    assert found.total.seconds == pytest.approx(starts_s + sum(each.seconds for each in lines))
    assert found.total.requests == pytest.approx(4 * 2000)
    assert found.usd == sum(line.usd for line in found.lines if line.usd is not None)
    assert any("8,000 requests" in line for line in found.words)


def test_one_test_of_unknown_size_makes_the_sum_unknown(book):
    plan = plan_of(scenarios=[{"mode": "capacity"}, {"traffic": TRAFFIC, "duration": 10}])
    found = explained(plan, book)
    assert found.total.requests is None
    assert found.total.low_s < found.total.seconds < found.total.high_s
    assert any("depends on what the server can do" in line for line in found.words)


def test_only_time_at_a_url_with_a_price_is_paid_for(book):
    plan = plan_with_prices()
    prices = hourly_prices(plan.configurations, plan.region, book)
    assert set(prices) == {"there", "here", "known"}
    paid = paid_prices(plan, plan.configurations, prices)
    assert set(paid) == {"there", "known"}
    assert paid["there"] == Decimal("3.60")
    by_name = {line.configuration: line.usd for line in explained(plan, book).lines}
    assert by_name["here"] is None
    assert by_name["unpriced"] is None
    assert float(by_name["there"]) == pytest.approx(0.10, rel=0.02)  # 100 s of 3.60 an hour


def test_a_known_price_says_where_it_is_from(book):
    plan = plan_with_prices()
    known = hourly_prices(plan.configurations, plan.region, book)["known"]
    offer = book.offer(
        "ml.m5.large", "us-east-1", platform=Platform.SAGEMAKER, purchase=Purchase.ON_DEMAND
    )
    assert known.usd_per_hour == offer.usd_per_hour
    assert known.known_by.startswith(f"price book, us-east-1, {offer.observed_on}, ")
    told = hourly_prices(plan.configurations, plan.region, book)["there"]
    assert told.known_by == "the plan"


def test_an_unknown_instance_type_is_told_what_is_near(book):
    plan = plan_of(configurations=[{"instance_type": "ml.m5.lrage"}])
    with pytest.raises(UnknownInstanceType, match=r"ml\.m5\.large"):
        hourly_prices(plan.configurations, plan.region, book)


def test_an_unknown_region_is_told_what_is_near(book):
    plan = plan_of(configurations=[{"instance_type": "ml.m5.large"}], region="us-eats-1")
    with pytest.raises(PricingError, match="us-east-1"):
        hourly_prices(plan.configurations, plan.region, book)


def test_where_nothing_is_billed_it_says_so(book):
    found = explained(plan_of(traffic=TRAFFIC, duration=10), book)
    assert found.usd is None
    assert any(line.startswith("Nothing is billed") for line in found.words)


@pytest.mark.parametrize(("time_s", "is_too_short"), [(60, True), (900, False)])
def test_a_limit_too_short_for_the_plan_is_told_before_it_begins(book, time_s, is_too_short):
    found = explained(plan_with_prices(limits={"time": time_s}), book)
    assert any("at the latest" in line for line in found.words)
    assert any("too short" in line for line in found.words) == is_too_short


def test_a_limit_on_money_too_small_for_the_plan_is_told_before_it_begins(book):
    enough, little = (
        explained(plan_with_prices(limits={"usd": usd}), book) for usd in ("5", "0.05")
    )
    assert any("before more than $5 is spent" in line for line in enough.words)
    assert not any("last tests" in line for line in enough.words)
    assert any("last tests" in line for line in little.words)
