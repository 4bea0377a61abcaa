import sys
from pathlib import Path

import pytest

from pricing import load_book
from recommender.performance.speed_prior import SpeedPrior
from recommender.recommend import recommend

sys.path.insert(0, str(Path(__file__).parent))

from measured_runs import NOW, Server, demand, measure


@pytest.fixture(scope="session")
def book():
    return load_book("2026-11-21")


@pytest.fixture(scope="session")
def prior():
    return SpeedPrior.bundled()


@pytest.fixture(scope="session")
def simulated():
    """Two sizes of a server that answers in 8 ms."""
    return measure(Server())


@pytest.fixture(scope="session")
def run(simulated):
    return simulated.run


@pytest.fixture(scope="session")
def answer(run, book, prior):
    """The run under another demand: answer("100rps", "p95<100ms", zones=2)."""

    def ask(*asked, run=run, book=book, **constraints):
        return recommend(run, demand(*asked, **constraints), book, prior, NOW)

    return ask


@pytest.fixture(scope="session")
def whole_answer(answer):
    return answer()
