"""`doctor --self-test`: what is said of the instrument follows from what it measured."""

import json

import pytest

from loadtests.queueing import mmc_sojourn_quantile

pytestmark = pytest.mark.locust

SOME_ARE_WRONG = 4


@pytest.fixture(scope="module")
def tested(self_tested):
    assert self_tested.returncode in (0, SOME_ARE_WRONG), self_tested.stderr
    return self_tested.returncode, json.loads(self_tested.stdout)["self_test"]


def test_each_quantile_of_each_queue_stands_beside_its_theory(tested):
    _, rows = tested
    assert len({(row["case"], row["quantile"]) for row in rows}) == len(rows) == 12
    theory = {row["quantile"]: row["truth_s"] for row in rows if row["case"] == "M/M/1 at 80 %"}
    for quantile, seconds in theory.items():
        lightly, heavily = (
            mmc_sojourn_quantile(quantile, rate_rps, 0.002, 1) for rate_rps in (320, 460)
        )
        assert lightly < seconds < heavily
    assert sorted(theory.values()) == [theory[quantile] for quantile in sorted(theory)]


def test_the_exit_code_says_whether_every_row_is_right(tested):
    code, rows = tested
    assert (code == 0) == all(row["is_right"] for row in rows)


def test_a_client_never_sees_an_answer_before_the_server_gave_it(tested):
    _, rows = tested
    assert all(0 < row["added_s"] < 0.05 for row in rows)
