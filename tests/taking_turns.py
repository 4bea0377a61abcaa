"""Tests run side by side; one that measures has the machine to itself.

A test that times a server would be spoilt by another beside it. One that computes would not, nor
one that waits for a process, a page or a database, however long that takes. A test's folder says
which it is, unless it has one of the marks `alone` and `beside`, the nearest of them first.

What one file has of either kind is a unit, which one worker of pytest-xdist does from start to
end. It holds a lock meanwhile: shared for tests that may run beside others, alone for those that
may not. Fixtures are made and unmade under it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from collections.abc import Generator

    from xdist.remote import Producer

BESIDE = frozenset(
    (
        *("accelerators", "containers", "contracts", "dashboard", "demo_server", "golden"),
        *("laws", "model_files", "performance", "planner", "pricing", "recommender"),
        *("simulation", "store", "theory", "unit"),
    )
)


class Unit(NamedTuple):
    """In the order of their turns: side by side first, while there is another to be beside."""

    is_alone: bool
    file: Path

    @classmethod
    def of(cls, item: pytest.Item) -> Unit:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        nearest_first = (mark.name for mark in item.iter_markers())
        said = next((name for name in nearest_first if name in ("alone", "beside")), None)
        is_alone = folder not in BESIDE if said is None else said == "alone"
        return cls(is_alone, item.path)


class Turns:
    """One worker's; `run` is what all workers of one run have in common."""

    def __init__(self, run: str) -> None:
        self.lock = (Path(tempfile.gettempdir()) / f"recommender-tests-{run}.lock").open("w")
        self.is_held = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=Unit.of)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        unit = Unit.of(item)
        if not self.is_held:
            fcntl.flock(self.lock, fcntl.LOCK_EX if unit.is_alone else fcntl.LOCK_SH)
            self.is_held = True
        try:
            return (yield)
        finally:
            if nextitem is None or Unit.of(nextitem) != unit:
                fcntl.flock(self.lock, fcntl.LOCK_UN)
                self.is_held = False


def pytest_configure(config: pytest.Config) -> None:
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is not None:
        config.pluginmanager.register(Turns(run), "turns")


class ByUnit(LoadFileScheduling):
    """A file's units are apart in what is collected: each is an uninterrupted run of its tests."""

    @cached_property
    def units(self) -> dict[str, str]:
        runs = enumerate(groupby(self.collection or (), super()._split_scope))
        return {test: f"{file} {number}" for number, (file, tests) in runs for test in tests}

    def _split_scope(self, nodeid: str) -> str:
        return self.units[nodeid]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByUnit:
    return ByUnit(config, log)
