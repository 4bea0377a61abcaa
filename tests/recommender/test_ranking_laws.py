from collections import Counter
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_options import evaluated, fleet, offer, option
from measured_runs import demand

from recommender.cost import LineItem
from recommender.fleets import Evaluated, Options
from recommender.ranking import Ranking, frontier, nearest_first, rank
from recommender.recommendation import Option, Rejected, RejectReason

POINTS = st.lists(
    st.tuples(st.integers(1, 12), st.integers(1, 12)).map(lambda p: (float(p[0]), float(p[1]))),
    max_size=25,
)
COSTS = st.integers(1, 6).map(float) | st.just(float("inf"))
DRAWS = st.integers(1, 8).flatmap(
    lambda draws: st.lists(
        st.lists(COSTS, min_size=draws, max_size=draws).map(np.array), min_size=1, max_size=6
    )
)


def columns(points):
    return np.array(points, dtype=float).reshape(-1, 2).T


def is_dominated(point, others):
    return any(o != point and o[0] <= point[0] and o[1] <= point[1] for o in others)


@given(POINTS)
def test_frontier_points_are_undominated_and_every_other_point_is_dominated(points):
    kept = frontier(*columns(points))
    for index, point in enumerate(points):
        if index in kept:
            assert not is_dominated(point, points)
        else:
            equals_kept = any(points[other] == point for other in kept)
            assert is_dominated(point, points) or equals_kept


@given(POINTS)
def test_one_of_equal_points_stands_for_all(points):
    counted = Counter(points[index] for index in frontier(*columns(points)))
    assert all(count == 1 for count in counted.values())


@given(POINTS.filter(bool))
def test_the_cheapest_point_is_on_the_frontier(points):
    assert min(points) in [points[index] for index in frontier(*columns(points))]


@given(DRAWS)
def test_probabilities_equal_a_count_of_wins_draw_by_draw(costs):
    expected = [0.0] * len(costs)
    for draw in range(len(costs[0])):
        column = [float(each[draw]) for each in costs]
        winners = [n for n, cost in enumerate(column) if cost == min(column) < float("inf")]
        for winner in winners:
            expected[winner] += 1 / len(winners) / len(costs[0])
    assert Ranking(Options.of(offered(costs))).probability_best == pytest.approx(expected)


@given(DRAWS)
def test_probabilities_add_up_to_the_share_of_draws_in_which_any_option_does(costs):
    possible = np.mean(np.isfinite(np.stack(costs)).any(axis=0))
    found = Ranking(Options.of(offered(costs))).probability_best
    assert sum(found) == pytest.approx(possible)
    assert sum(found) <= 1 + 1e-12


@given(DRAWS, st.lists(st.integers(0, 5), min_size=1, max_size=12), st.data())
def test_offers_of_one_fleet_are_counted_as_each_on_its_own(costs, chosen, data):
    """Ties between offers of one fleet too: the arrays are by fleet, the truth by option."""
    fleets = [fleet(name="m5.large", hours=1, draws=each) for each in costs]
    options = [
        Evaluated(
            fleets[place % len(fleets)], offer("m5.large", data.draw(st.sampled_from([1, 2, 3])))
        )
        for place in chosen
    ]
    alone = [replace_fleet(each) for each in options]
    together, apart = Ranking(Options.of(options)), Ranking(Options.of(alone))
    assert together.probability_best == pytest.approx(apart.probability_best)
    everything = np.arange(len(options))
    assert np.array_equal(together.cost_draws(everything), apart.cost_draws(everything))


def replace_fleet(each):
    return Evaluated(replace(each.fleet), each.offer)


def offered(costs):
    return [option(n, draws=each) for n, each in enumerate(costs)]


def test_of_nothing_nothing_is_ranked():
    assert rank(Options.of([]), demand().traffic) == ()


OPTIONS = st.lists(
    st.builds(
        evaluated,
        st.sampled_from(["m5.2xlarge", "m5.12xlarge", "c5.large", "c5.xlarge"]),
        st.integers(1, 4),
        st.sampled_from([0.01, 0.02]),
        st.sampled_from(["on-demand", "spot"]),
    ),
    max_size=8,
    unique_by=lambda each: (each.offer.name, each.offer.purchase),
)


@given(OPTIONS, st.randoms(use_true_random=False))
def test_ranking_does_not_depend_on_the_order_it_is_given(options, random):
    traffic = demand().traffic
    shuffled = random.sample(options, len(options))
    assert rank(Options.of(options), traffic) == rank(Options.of(shuffled), traffic)


@given(OPTIONS)
def test_cheaper_never_ranks_behind_dearer(options):
    costs = [
        Decimal(each.cost.usd_per_month) for each in rank(Options.of(options), demand().traffic)
    ]
    assert costs == sorted(costs)


def test_written_costs_add_up():
    item = LineItem("b", Decimal("78.84"), "GB", Decimal("0.016"))
    bought = Evaluated(
        fleet(name="c5.large", hours=2190, items=(item,)), offer("c5.large", "0.0851000001")
    )
    cost = rank(Options.of([bought]), demand().traffic)[0].cost
    assert sum(Decimal(item.usd) for item in cost.items) == Decimal(cost.usd_per_month)
    assert float(cost.usd_per_month) == Ranking(Options.of([bought])).usd_per_month[0]


@given(
    st.integers(1, 4000),
    st.integers(1, 10**11).map(lambda billionths: Decimal(billionths).scaleb(-9)),
)
def test_an_option_ranks_by_what_its_bill_totals(hours, usd_per_hour):
    """To the billionth: two ways to the same total are a tie."""
    bought = Evaluated(fleet(name="c5.large", hours=hours), offer("c5.large", usd_per_hour))
    found = Ranking(Options.of([bought]))
    assert found.usd_per_month[0] == float(bought.bill.usd_per_month)


def rejected(name, reason, margin_ratio=None, usd_per_hour=None):
    option = Option(platform="ec2", instance_type=name, purchase="on-demand", region="r")
    return Rejected(
        option=option,
        reason=reason,
        detail="d",
        margin_ratio=margin_ratio,
        usd_per_hour=usd_per_hour,
    )


def test_what_came_nearest_stands_first_and_numbers_in_names_count_as_numbers():
    given_in = [
        rejected("m5.12xlarge", RejectReason.NEEDS_MEASUREMENT),
        rejected("m5.2xlarge", RejectReason.NEEDS_MEASUREMENT),
        rejected("t2.small", RejectReason.MISSES_SLO, -3.0),
        rejected("c5.large", RejectReason.MISSES_SLO, -0.1),
        rejected("c4.large", RejectReason.MISSES_SLO),
        rejected("x1", RejectReason.RETIRED),
        rejected("c7.large", RejectReason.UNCERTAIN, -0.2),
    ]
    names = [each.option.instance_type for each in nearest_first(given_in)]
    assert names == [
        "c7.large",
        "c5.large",
        "t2.small",
        "c4.large",
        "m5.2xlarge",
        "m5.12xlarge",
        "x1",
    ]


def test_of_those_that_need_a_measurement_the_cheapest_to_measure_stands_first():
    dear = rejected("a", RejectReason.NEEDS_MEASUREMENT, usd_per_hour="13.1")
    cheap = rejected("b", RejectReason.NEEDS_MEASUREMENT, usd_per_hour="2.5")
    assert nearest_first([dear, cheap]) == (cheap, dear)


@given(st.permutations(list(RejectReason)))
def test_every_reason_has_its_place(reasons):
    found = nearest_first(rejected("a", reason) for reason in reasons)
    assert {each.reason for each in found} == set(RejectReason)
