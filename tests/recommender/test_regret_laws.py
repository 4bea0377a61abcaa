"""What choosing may cost, and what measuring would be worth, on draws whose truth is counted."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_options import fleet, offer, option

from recommender.fleets import Evaluated, Options, Refusal, Refused
from recommender.next_measurement import Measuring
from recommender.planner.value import expected_regret
from recommender.ranking import Ranking
from recommender.recommendation import RejectReason
from recommender.verdicts import Rejection

INF = float("inf")
HOURS = st.integers(1, 9).map(float)


@st.composite
def tables(draw):
    """Hours needed by option and draw; every option meets the SLO in some draw."""
    draws = draw(st.integers(2, 8))
    row = st.lists(HOURS | st.just(INF), min_size=draws, max_size=draws).filter(
        lambda r: min(r) < INF
    )
    return draw(st.lists(row.map(np.array), min_size=1, max_size=6))


def ranking(table):
    return Ranking(Options.of(option(n, draws=row) for n, row in enumerate(table)))


def losses(table):
    """By option and draw, over the draws in which any option meets the SLO; one cell at a time."""
    counted = [d for d in range(len(table[0])) if min(row[d] for row in table) < INF]
    found = []
    for row in table:
        met = [row[d] for d in counted if row[d] < INF]
        usual = sum(met) / len(met)
        least = [min(other[d] for other in table) for d in counted]
        found.append(
            [
                row[d] if row[d] < INF else usual + low
                for d, low in zip(counted, least, strict=True)
            ]
        )
    return np.array(found)


@given(tables())
def test_expected_regret_is_the_mean_over_draws_of_what_is_paid_above_the_cheapest(table):
    counted = losses(table)
    least = [
        min(row[d] for row in table)
        for d in range(len(table[0]))
        if min(row[d] for row in table) < INF
    ]
    expected = counted.mean(axis=1) - np.mean(least)
    assert ranking(table).expected_regret_usd == pytest.approx(expected)


@given(tables())
def test_no_regret_is_negative_and_the_least_is_of_the_option_of_least_mean_cost(table):
    found = ranking(table).expected_regret_usd
    assert found.min() >= -1e-9
    means = losses(table).mean(axis=1)
    assert found[means.argmin()] == pytest.approx(found.min())


@given(tables())
def test_regret_is_what_the_planner_counts(table):
    """Two definitions of one figure would contradict each other on one page."""
    counted = ranking(table)
    everything = counted.cost_draws(np.arange(len(table)))
    expected = [expected_regret(everything, n) for n in range(len(table))]
    assert counted.expected_regret_usd == pytest.approx(expected)


@given(tables(), st.integers(2, 5))
def test_a_dearer_offer_of_the_same_fleet_has_more_regret_and_is_never_the_cheapest(table, times):
    fleets = [fleet(name=f"m{n}.large", draws=row) for n, row in enumerate(table)]
    cheap = [Evaluated(each, offer(each.machine, 1)) for each in fleets]
    dear = Evaluated(fleets[0], offer(fleets[0].machine, times))
    found = Ranking(Options.of([*cheap, dear]))
    assert found.expected_regret_usd[-1] > found.expected_regret_usd[0]
    assert found.probability_best[-1] == 0


def test_a_certain_best_has_no_regret():
    found = ranking([np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    assert found.expected_regret_usd.tolist() == [0.0, 2.0]
    assert found.probability_best.tolist() == [1.0, 0.0]


# What to measure next

DRAWS = 400
NORMAL = np.random.default_rng(5).standard_normal((DRAWS, 2))


def measuring(*names):
    """A measurement shows a machine's throughput: its log is a column of NORMAL."""
    return Measuring(
        offers=[offer(name, "0.6") for name in names],
        seconds=60.0,
        saturation_rps={name: np.exp(NORMAL[:, n]) for n, name in enumerate(names)},
    )


def priced(name, draws, usd_per_hour=1):
    return Evaluated(fleet(name=name, draws=draws), offer(name, usd_per_hour))


def doubtful(name, draws, usd_per_hour=1):
    obstacle = Rejection(RejectReason.UNCERTAIN, "not sure enough")
    return Refused(Refusal(obstacle, name, np.asarray(draws)), offer(name, usd_per_hour))


SURE = np.full(DRAWS, 10.0)
ONE = Options.of([priced("a.large", SURE)])


def test_the_machine_whose_cost_is_not_known_is_measured_and_its_cost_is_told():
    gamble = 10.5 * np.exp(-NORMAL[:, 1])
    options = [priced("a.large", SURE), priced("b.large", gamble)]
    found = measuring("a.large", "b.large").worth(Options.of(options), ()).best
    assert found.instance_type == "b.large"
    assert found.minutes == 6.0
    assert Decimal(found.usd) == Decimal("0.06")
    assert 0.2 < found.probability_changes_answer < 0.8
    assert "--measured-on b.large" in found.command


def test_nothing_is_to_be_measured_where_one_is_always_the_cheapest():
    options = [priced("a.large", SURE), priced("b.large", 50 * np.exp(NORMAL[:, 1] / 10))]
    found = measuring("a.large", "b.large").worth(Options.of(options), ())
    assert found.best is None
    assert found.others == ()


def test_an_option_rejected_for_doubt_is_worth_measuring_where_it_could_be_the_cheapest():
    """It meets the SLO in 70 % of the draws, those in which it is fast, at half the price."""
    meets = NORMAL[:, 1] > np.quantile(NORMAL[:, 1], 0.3)
    refused = doubtful("b.large", np.where(meets, 5.0, INF))
    found = measuring("a.large", "b.large").worth(ONE, [refused])
    assert found.best.instance_type == "b.large"
    assert found.best.probability_changes_answer == pytest.approx(0.7, abs=0.15)
    assert float(found.best.expected_saving_usd_per_month) > 0


def test_a_doubtful_option_is_never_taken_for_the_present_choice():
    """What tells nothing of it changes nothing, though its mean cost is lower."""
    meets = NORMAL[:, 1] > np.quantile(NORMAL[:, 1], 0.3)
    refused = doubtful("b.large", np.where(meets, 5.0, INF))
    blind = Measuring(
        offers=[offer("a.large", "0.6"), offer("b.large", "0.6")],
        seconds=60.0,
        saturation_rps={"a.large": np.exp(NORMAL[:, 0]), "b.large": np.exp(NORMAL[:, 0])},
    )
    found = blind.worth(ONE, [refused])
    each = filter(None, (found.best, *found.others))
    assert all(e.probability_changes_answer < 0.25 for e in each)


def test_a_doubtful_option_that_could_never_be_cheaper_is_not_measured():
    meets = NORMAL[:, 1] > 0
    refused = doubtful("b.large", np.where(meets, 20.0, INF))
    assert measuring("a.large", "b.large").worth(ONE, [refused]).best is None


def test_while_nothing_meets_the_slo_the_likeliest_to_is_measured():
    unlikely = doubtful("a.large", np.where(NORMAL[:, 0] > 1, 1.0, INF))
    likely = doubtful("b.large", np.where(NORMAL[:, 1] > -0.5, 9.0, INF))
    found = measuring("a.large", "b.large").worth(Options.of(()), [unlikely, likely])
    assert found.best.instance_type == "b.large"
    assert found.best.probability_changes_answer == np.mean(NORMAL[:, 1] > -0.5)
    assert found.best.expected_saving_usd_per_month is None
    assert [each.instance_type for each in found.others] == ["a.large"]


def test_where_nothing_could_meet_the_slo_nothing_is_measured():
    missed = Refused(Refusal(Rejection(RejectReason.MISSES_SLO, "too slow")), offer("a.large", 1))
    assert measuring("a.large").worth(Options.of(()), [missed]) is None
    never = doubtful("a.large", np.full(DRAWS, INF))
    assert measuring("a.large").worth(Options.of(()), [never]) is None
