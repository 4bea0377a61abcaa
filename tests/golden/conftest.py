"""Golden files: what a person or another program reads, compared with what was agreed.

`pytest --update-golden` writes them anew; look at the difference before you commit.
"""

import sys
from pathlib import Path

import pytest

from pricing import load_book
from recommender.explain import Selection, select
from recommender.performance.speed_prior import SpeedPrior
from recommender.recommend import recommend

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "recommender"))

from measured_runs import NOW, Server, demand, measure  # noqa: E402 - found by the line above

REJECTED_OF_EACH_REASON = 3


class Golden:
    def __init__(self, folder, *, update):
        self.folder, self.update = folder, update

    def read(self, name):
        return (self.folder / name).read_text(encoding="utf-8")

    def agreed(self, name, text):
        """The text of the file; with --update-golden, after writing `text` to it."""
        if self.update:
            (self.folder / name).write_text(text, encoding="utf-8")
        return self.read(name)


@pytest.fixture(scope="session")
def golden(request):
    update = request.config.getoption("--update-golden")
    return Golden(HERE / "files", update=update)


@pytest.fixture(scope="session")
def formats():
    return HERE / "formats"


@pytest.fixture(scope="session")
def ask():
    """A run on a simulated server, the bundled book, and a clock that stands still."""
    book, prior, run = load_book("2026-11-21"), SpeedPrior.bundled(), measure(Server()).run

    def answer(*asked, **constraints):
        return recommend(run, demand(*asked, **constraints), book, prior, NOW)

    return answer


def abridged(recommendation):
    """The rows a table shows, and of each reason to reject the first few."""
    kept, counts = [], {}
    for each in recommendation.rejected:
        counts[each.reason] = counts.get(each.reason, 0) + 1
        if counts[each.reason] <= REJECTED_OF_EACH_REASON:
            kept.append(each)
    return recommendation.model_copy(
        update={"ranked": select(recommendation.ranked, Selection()), "rejected": tuple(kept)}
    )


@pytest.fixture(scope="session")
def answered(ask):
    return abridged(ask())


@pytest.fixture(scope="session")
def unanswered(ask):
    return abridged(ask("100rps", "p95<5ms, error_rate<1%"))
