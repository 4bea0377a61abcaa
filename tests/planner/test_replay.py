"""Policies beside each other in a world whose joint is known."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from planted import ground, joint

from recommender.errors import NotMeasured
from recommender.planner.policies import POLICIES
from recommender.planner.replay import Course, Settings, replay, replayable
from recommender.planner.replay_report import report_of

SETTINGS = Settings(reference="s0.4", shortlists=3, machines=12, measurements=5)


def replayed(world, settings=SETTINGS):
    said = []
    priors = [joint()] * len(world.workloads)
    found = replay(world, priors, settings, lambda doing, _: said.append(doing))
    assert said[0] == f"replaying w0 (1 of {len(priors)})"
    return found


@pytest.fixture(scope="module")
def courses():
    return replayed(ground())


def regret(courses, policy):
    return np.array([c.regret_ratio for c in courses if c.policy == policy]).mean(axis=0)


def test_every_policy_takes_the_same_courses(courses):
    for policy in POLICIES:
        own = [course for course in courses if course.policy == policy]
        assert [c.workload for c in own] == [f"w{n}" for n in range(12) for _ in range(3)]
        assert all(len(c.regret_ratio) == len(c.usd) == 6 for c in own)


def test_those_who_believe_the_same_begin_with_the_same_regret(courses):
    begins = {policy: regret(courses, policy)[0] for policy in POLICIES if policy != "plain GP"}
    assert len(set(begins.values())) == 1
    assert begins["planner"] > 0.05


def test_the_planner_regrets_no_more_than_random_after_any_number_of_measurements(courses):
    planned, drawn = regret(courses, "planner"), regret(courses, "random")
    assert (planned[1:] <= drawn[1:]).all()
    assert planned[2] < 0.6 * drawn[2]


def test_the_planner_regrets_less_than_bayesian_optimisation_that_knows_no_other_workload(courses):
    assert (regret(courses, "planner") < regret(courses, "plain GP")).all()


def test_what_it_regrets_where_it_stops_is_what_its_rule_allows(courses):
    stops = {
        stop.policy: stop for stop in report_of(courses, SETTINGS).stops if stop.kind == "all"
    }
    assert stops["planner"].regret_ratio_mean < 0.03
    assert 1 <= stops["planner"].measurements_mean < 5


def test_money_is_spent_on_measuring_alone_and_never_comes_back(courses):
    for course in courses:
        assert course.usd[0] == 0
        assert (np.diff(course.usd) > 0).all()


def test_a_replay_is_the_same_every_time(courses):
    again = replayed(ground(), replace(SETTINGS, measurements=1))
    for one, other in zip(courses, again, strict=True):
        assert one.regret_ratio[:2].tolist() == other.regret_ratio.tolist()


def test_a_fleet_has_its_own_regret(courses):
    fleets = replayed(ground(2), Settings("s0.4", 2, 12, 2, demand_ratio=3.0))
    assert all((course.regret_ratio >= 0).all() for course in fleets)
    assert fleets[0].regret_ratio.tolist() != courses[0].regret_ratio[:3].tolist()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(reference="x1.32xlarge"), "x1.32xlarge is not among the 30 machines"),
        (Settings(reference="s0.4", machines=30), "no workload was measured on s0.4 and 30"),
    ],
)
def test_what_cannot_be_replayed_is_refused(settings, said):
    with pytest.raises(NotMeasured, match=said):
        replayable(ground(2), settings)


def test_a_workload_that_the_reference_cannot_run_is_left_out():
    world = ground(3)
    world.log_throughput[1, world.instances.index("s0.4")] = np.nan
    assert replayable(world, SETTINGS).workloads == ("w0", "w2")


def course(regrets, usd, stopped_at, policy="planner", kind="web"):
    return Course(policy, "w", kind, np.array(regrets), np.array(usd), stopped_at)


def test_a_report_averages_over_courses_and_kinds():
    report = report_of(
        [
            course([0.4, 0.2], [0.0, 1.0], 0),
            course([0.2, 0.0], [0.0, 3.0], None, kind="llm_decode"),
        ],
        SETTINGS,
    )
    last = report.points[1]
    assert (last.kind, last.measurements, last.courses) == ("all", 1, 2)
    assert last.regret_ratio_mean == pytest.approx(0.1)
    assert (last.regret_ratio_p10, last.regret_ratio_p90) == pytest.approx((0.02, 0.18))
    assert last.usd_mean == pytest.approx(2.0)
    stop = report.stops[0]
    assert (stop.stopped_share, stop.measurements_mean) == (0.5, 0.5)
    assert (stop.regret_ratio_mean, stop.usd_mean) == pytest.approx((0.2, 1.5))
    assert [point.kind for point in report.points[::2]] == ["all", "web", "llm_decode"]


def test_a_report_is_written_as_json_and_as_rows():
    report = report_of([course([0.4, 0.2], [0.0, 1.0], 0)], SETTINGS)
    document = json.loads(report.to_json())
    assert document["settings"]["reference"] == "s0.4"
    rows = list(csv.DictReader(report.to_csv().splitlines()))
    assert [float(row["regret_ratio_mean"]) for row in rows] == [
        point["regret_ratio_mean"] for point in document["points"]
    ]
