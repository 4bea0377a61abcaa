"""With too little time for a whole plan, what tells most about the cheapest comes first."""

from decimal import Decimal

import pytest

from recommender.loadtest.agenda import agenda, served_together
from recommender.loadtest.plan import Plan
from recommender.loadtest.priority import Priorities
from recommender.performance.speed_prior import SpeedPrior

CORES = 4
DEAR, CHEAP = "3.0", "0.1"
CONFIGURATIONS = [
    {"name": "hopeless", "vcpus": 1, "usd_per_hour": DEAR},
    {"name": "small", "vcpus": 1, "usd_per_hour": CHEAP},
    {"name": "large", "vcpus": 4, "usd_per_hour": "0.4"},
    {"name": "no price", "vcpus": 1},
]


def order(limits, configurations=CONFIGURATIONS, *, paid=False, **said):
    plan = Plan.model_validate(
        {
            "model": "sample",
            "slo": "p95<50ms",
            "configurations": configurations,
            "scenarios": [{"mode": "capacity", "duration": "60s"}],
            "limits": limits,
            **said,
        }
    )
    prices = {each.name: each.usd_per_hour for each in plan.configurations if each.usd_per_hour}
    priorities = Priorities(plan, prices, prices if paid else {}, SpeedPrior.bundled().scaling)
    tests = agenda(plan, CORES)
    found = priorities.ordered(tests, CORES)
    assert sorted(group[0].label for group in found) == sorted(
        group[0].label for group in served_together(tests)
    )
    return [group[0].name for group in found]


AS_WRITTEN = [each["name"] for each in CONFIGURATIONS]


@pytest.mark.parametrize("limits", [{}, {"time": "10h"}, {"usd": 1000}])
def test_a_plan_that_fits_is_carried_out_as_it_was_written(limits):
    assert order(limits, paid=True) == AS_WRITTEN


@pytest.mark.parametrize("limits", [{"time": "6min"}, {"usd": "0.02"}])
def test_what_cannot_be_the_cheapest_waits(limits):
    *priced, last = order(limits, paid=True)
    assert last == "no price"  # nothing tells what it would tell: it keeps its place
    assert priced.index("hopeless") == 2
    assert set(priced) == {"hopeless", "small", "large"}


def test_money_limits_only_what_is_paid_for():
    assert order({"usd": "0.02"}, paid=False) == AS_WRITTEN


def test_without_prices_there_is_no_cheapest_to_look_for():
    free = [{**each, "usd_per_hour": None} for each in CONFIGURATIONS]
    assert order({"time": "1min"}, free) == AS_WRITTEN


def test_a_comparison_stays_where_it_was():
    scenarios = [{"mode": "capacity"}, {"mode": "compare", "traffic": "20rps", "duration": 60}]
    *_, last = order({"time": "1min"}, scenarios=scenarios)
    assert last == ", ".join(AS_WRITTEN)


def test_the_dearer_a_cheap_one_becomes_the_later_it_comes():
    def place(usd):
        changed = [{**CONFIGURATIONS[1], "usd_per_hour": usd}, *CONFIGURATIONS[2:]]
        return order({"time": "3min"}, [CONFIGURATIONS[0], *changed]).index("small")

    assert place(str(Decimal(CHEAP))) <= place("2.9")
