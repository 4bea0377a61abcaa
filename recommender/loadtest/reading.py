"""A plan file read: YAML to a plan, and every mistake told with its line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.arrivals import Arrivals
from loadtests.fleets.interruptions import Interruptions
from loadtests.payloads import (
    CsvPayloads,
    JsonPayloads,
    PayloadArchive,
    PayloadFiles,
    PythonPayloads,
    RandomPayloads,
)
from loadtests.stopping import StopRules
from loadtests.traffic import (
    Burst,
    Diurnal,
    Hourly,
    HourlyFile,
    Ramp,
    RateStep,
    ReplayFile,
    Steady,
    Steps,
)
from loadtests.tuning import TuningSpec
from loadtests.users import Constant, Phase, Phases, Stairs
from recommender.loadtest.document import Form, parse_document, read_document
from recommender.loadtest.part import FOLDER, keys_of
from recommender.loadtest.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parse_plan", "read_plan"]

PLAN_FILE = Path("plan.yaml")

# Of the parts of a plan that other packages define: their errors name no key that is near.
FOREIGN = (
    Arrivals, StopRules, TuningSpec, Steady, Hourly, HourlyFile, Ramp, Steps, RateStep, Burst,
    Diurnal, ReplayFile, Constant, Phases, Phase, Stairs, PayloadFiles, PayloadArchive,
    PythonPayloads, CsvPayloads, RandomPayloads, JsonPayloads, Interruptions,
)  # fmt: skip
FORM = Form(
    "plan",
    hint="`recommender schema plan` prints every key",
    usage="recommender loadtest plan.yaml",
    foreign_keys=tuple(dict.fromkeys(key for part in FOREIGN for key in keys_of(part))),
)


def read_plan(file: Path) -> Plan:
    """Raises BadRequest that lists what is wrong, each with its line."""
    return read_document(file, FORM, partial(_build, file.absolute().parent, _as_it_is))


def parse_plan(text: str, folder: Path, prepared: Callable[[Plan], Plan]) -> Plan:
    """A plan that no file holds. folder: where the files it names are looked for.

    prepared: the plan as it may be asked, before any file is opened. Raises as `read_plan` does.
    """
    return parse_document(text, PLAN_FILE, FORM, partial(_build, folder, prepared))


def _build(folder: Path, prepared: Callable[[Plan], Plan], given: dict[str, object]) -> Plan:
    plan = Plan.model_validate(given, context={FOLDER: folder})
    return prepared(plan).with_files_read(folder)


def _as_it_is(plan: Plan) -> Plan:
    return plan
