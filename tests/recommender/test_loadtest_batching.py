"""A server that answers requests together is told from one that queues them."""

import pytest
from loadtest_reports import CAPACITY, CLOSED, MET, measurement

from recommender.loadtest.batching import batching_findings
from recommender.loadtest.report import KeptRun

ALONE_S, BESIDE_S = 0.03, 0.002
LADDER = (1, 2, 4, 8, 16)


def runs(taken_s, ladder=LADDER):
    """Closed loops in which a request takes taken_s(users); Little's law gives the rate."""
    return [
        KeptRun(
            configuration="one",
            key=f"closed-{users}",
            measurement=measurement(
                CLOSED.model_copy(update={"concurrency": users}),
                service_mean_s=taken_s(users),
                throughput_rps=users / taken_s(users),
            ),
        )
        for users in ladder
    ]


def together(users):
    return ALONE_S + BESIDE_S * (users - 1)


def test_the_line_that_was_planted_is_told():
    (said,) = batching_findings(CAPACITY, runs(together))
    assert "one alone takes 30 ms" in said
    assert "adds 2 ms to all" in said
    assert "up to 16 in flight" in said
    assert "towards 500 req/s" in said


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_that_take_one_request_each_answer_nothing_together(workers):
    assert batching_findings(CAPACITY, runs(lambda n: ALONE_S * max(n / workers, 1))) == ()


@pytest.mark.parametrize("ladder", [(1, 8), (4, 8, 16)])
def test_too_few_runs_or_none_alone_tell_nothing(ladder):
    assert batching_findings(CAPACITY, runs(together, ladder)) == ()


def test_it_is_told_of_what_looks_for_a_limit_alone():
    assert batching_findings(MET, runs(together)) == ()
    assert batching_findings(None, runs(together)) == ()
