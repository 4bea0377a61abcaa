"""What somebody who asks from another machine may have done here: nothing of theirs is executed.

They may have the bundled sample or a URL measured, with payloads they uploaded. All else that a
request or a plan may name is a program to start, or a file of this machine to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.payloads import PayloadFiles
from loadtests.traffic import HourlyFile, ReplayFile
from recommender.errors import BadRequest
from recommender.loadtest.scenario import OfflineScenario, TuneScenario

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from recommender.loadtest.plan import Plan
    from recommender.loadtest.scenario import Scenario
    from recommender.request import QuickRequest, Source
    from recommender.uploads import Uploads

__all__ = ["HARMLESS", "check_guest_plan", "check_guest_request", "refused"]

HARMLESS = ("sample", "url")


def check_guest_request(request: QuickRequest, uploads: Uploads) -> None:
    """Raises BadRequest."""
    _check_source(request.source)
    _check_files(request.payloads, uploads)


def check_guest_plan(plan: Plan, folder: Path, uploads: Uploads) -> None:
    """Raises BadRequest."""
    _check_source(plan.model.source(None, {}))
    for each in plan.configurations:
        _check_source((each.model or plan.model).source(None, each.environment))
    for scenario in plan.scenarios:
        _check_scenario(scenario, folder, uploads)
    if plan.generator.expected:
        raise refused("a load test that listens for load generators elsewhere")
    for payloads in plan.payloads:
        if not isinstance(payloads, PayloadFiles):
            raise refused(f"making payloads by `{payloads.named_by}`")
        _check_files([str(folder / payloads.file)], uploads)


def _check_scenario(scenario: Scenario, folder: Path, uploads: Uploads) -> None:
    traffic = getattr(scenario, "traffic", None)
    if isinstance(traffic, HourlyFile | ReplayFile):
        _check_files([str(folder / traffic.file)], uploads)
    if isinstance(scenario, TuneScenario):
        raise refused("a search for settings of a server")
    if isinstance(scenario, OfflineScenario) and scenario.rows is not None:
        _check_files([str(folder / scenario.rows.file)], uploads)


def _check_source(source: Source) -> None:
    for leaf in source.leaves:
        if leaf.kind not in HARMLESS:
            raise refused(f"measuring by `{leaf.kind}`")
        if leaf.environment:
            raise refused("setting an environment for the server")


def _check_files(files: Iterable[str], uploads: Uploads) -> None:
    for file in files:
        if not uploads.holds(file):
            raise refused(f"reading {file}, which was not uploaded,")


def refused(what: str) -> BadRequest:
    return BadRequest(
        f"{what} is refused: this dashboard is open to other machines, and executes and reads "
        "nothing here for them",
        hint="name the URL of a server that runs, or start the run in a terminal on this machine",
    )
