"""Capacity by replicas is told where a plan has what it takes, and only then."""

from types import SimpleNamespace

import pytest

from loadtests.measurement import Interval
from recommender.loadtest.report import CapacityAnswer, TierAnswer
from recommender.loadtest.scaling import scaling_findings
from recommender.loadtest.subject import Configuration

CORES = 4


def configuration(name, **given):
    return Configuration.model_validate({"name": name, "vcpus": 1} | given)


def capacity_test(name, rps, *, scenario="capacity"):
    found = Interval(value=rps, low=None if rps is None else rps * 0.98, high=None)
    tier = TierAnswer(
        tier="gold", slo="p95<20ms", capacity_rps=found, saturation_rps=300, headroom_ratio=0.2,
        basis="confirmed", first_breach=None, cliff=None, usd_per_million=None,
    )  # fmt: skip
    return SimpleNamespace(
        configurations=(name,), scenario=scenario, answer=CapacityAnswer(tiers=(tier,))
    )


def test_each_number_of_replicas_is_compared_with_one():
    one, three = configuration("one"), configuration("three", replicas=3, usd_per_hour="0.3")
    tests = [capacity_test("one", 100), capacity_test("three", 270)]
    (said,) = scaling_findings([one, three], tests, CORES)
    assert said.startswith("Capacity by replicas (capacity, gold): 1 serve 100 req/s; 3 serve 270")
    assert "0.9 (0.882 to 0.918) of 3 times one" in said


def test_more_than_the_machine_has_says_nothing_of_a_fleet():
    one, five = configuration("one"), configuration("five", replicas=5)
    tests = [capacity_test("one", 100), capacity_test("five", 300)]
    (said,) = scaling_findings([one, five], tests, CORES)
    assert "5 serve 300 req/s (the replicas shared cores of this machine)" in said


@pytest.mark.parametrize(
    "other",
    [
        configuration("other", replicas=2, vcpus=2),
        configuration("other", replicas=2, environment={"THREADS": 2}),
        configuration("other"),
    ],
)
def test_what_differs_in_more_than_replicas_is_not_compared(other):
    one = configuration("one")
    tests = [capacity_test("one", 100), capacity_test("other", 200)]
    assert scaling_findings([one, other], tests, CORES) == ()


def test_without_the_capacity_of_one_there_is_nothing_to_compare_with():
    one, two = configuration("one"), configuration("two", replicas=2)
    tests = [capacity_test("one", None), capacity_test("two", 200)]
    assert scaling_findings([one, two], tests, CORES) == ()
    failed = SimpleNamespace(configurations=("one",), scenario="capacity", answer=None)
    assert scaling_findings([one, two], [failed, tests[1]], CORES) == ()
