"""A plan as text from a browser, with files that came along; and back to text."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from loadtests.payloads import PayloadArchive, PayloadFiles, PayloadSource
from loadtests.traffic import HourlyFile, ReplayFile
from recommender.errors import BadRequest
from recommender.loadtest.part import FOLDER
from recommender.loadtest.plan import Plan
from recommender.loadtest.reading import parse_plan
from recommender.loadtest.rows import RowsFile
from recommender.loadtest.scenario import OfflineScenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dashboard.components.file_box import Taken
    from recommender.loadtest.scenario import Scenario

__all__ = ["EXAMPLE", "MOST_LETTERS", "asked_plan", "folder_of", "plan_text"]

MOST_LETTERS = 256 * 1024
EXAMPLE = """\
# What serves: sample, a command, or {url: …}, {image: …}, {build: …}, {folder: …}
model: sample

# Each configuration is tested in each scenario.
configurations:
  - {vcpus: 1}
  - {vcpus: 2, instance_type: ml.c7i.large}

scenarios:
  - mode: fixed          # this traffic: does it meet the SLO?
    traffic: 50rps
    duration: 30s
  - mode: capacity       # how much traffic can it take within the SLO?

slo: p95<100ms, error_rate<1%
limits: {time: 10min}
"""


def folder_of(text: str) -> Path:
    """Where the files that a plan names are. Raises BadRequest where it is no folder."""
    folder = Path(text.strip() or ".").expanduser().absolute()
    if not folder.is_dir():
        raise BadRequest(
            f"there is no folder {folder}", hint="name the one the plan's files are in"
        )
    return folder


def asked_plan(
    text: str, folder: Path, taken: Iterable[Taken], check: Callable[[Plan], None]
) -> Plan:
    """check: raises for files that may not be opened. Raises BadRequest for what is wrong."""
    if len(text) > MOST_LETTERS:
        raise BadRequest(
            f"the plan has {len(text):,} letters; {MOST_LETTERS:,} are the most",
            hint="keep payloads in files of their own",
        )
    kept = {each["name"]: each["path"] for each in taken}

    def prepared(plan: Plan) -> Plan:
        found = _with_files(plan, kept)
        check(found)
        return found

    return parse_plan(text, folder, prepared)


def plan_text(plan: Plan, folder: Path) -> str:
    """YAML that reads as the same plan, without what need not be said."""

    def is_same(document: dict[str, Any]) -> bool:
        try:
            return Plan.model_validate(document, context={FOLDER: folder}) == plan
        except ValidationError:
            return False

    whole = plan.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _dumped(_pruned(whole, is_same))


def _pruned(document: Any, is_same: Callable[[Any], bool]) -> Any:  # noqa: ANN401 - as YAML has it
    """Whatever can be left out of it is."""
    for key in range(len(document)) if isinstance(document, list) else list(document):
        if isinstance(document, dict) and key != "mode":
            without = {name: value for name, value in document.items() if name != key}
            if is_same(without):
                document = without
                continue
        if isinstance(document[key], dict | list):
            document = _with(document, key, _pruned_within(document, key, is_same))
    return document


def _pruned_within(document: Any, key: Any, is_same: Callable[[Any], bool]) -> Any:  # noqa: ANN401
    return _pruned(document[key], lambda part: is_same(_with(document, key, part)))


def _with(document: Any, key: Any, part: Any) -> Any:  # noqa: ANN401 - as YAML has it
    changed = document.copy()
    changed[key] = part
    return changed


def _dumped(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _with_files(plan: Plan, kept: Mapping[str, str]) -> Plan:
    """What the plan calls by a name that was uploaded is the upload."""
    payloads: list[PayloadSource] = []
    for source in plan.payloads:
        match source:
            case PayloadFiles():
                payloads.append(source.model_copy(update={"file": _place(source.file, kept)}))
            case PayloadArchive():
                place = _place(source.archive, kept)
                payloads.append(source.model_copy(update={"archive": place}))
            case _:
                payloads.append(source)
    scenarios = tuple(_with_files_of(each, kept) for each in plan.scenarios)
    return plan.model_copy(update={"payloads": tuple(payloads), "scenarios": scenarios})


def _with_files_of(scenario: Scenario, kept: Mapping[str, str]) -> Scenario:
    traffic = getattr(scenario, "traffic", None)
    if isinstance(traffic, HourlyFile | ReplayFile):
        place = _place(str(traffic.file), kept)
        return scenario.model_copy(update={"traffic": traffic.model_copy(update={"file": place})})
    if isinstance(scenario, OfflineScenario) and isinstance(scenario.rows, RowsFile):
        rows = scenario.rows.model_copy(update={"file": _place(scenario.rows.file, kept)})
        return scenario.model_copy(update={"rows": rows})
    return scenario


def _place(file: str, kept: Mapping[str, str]) -> str:
    return kept.get(file) or kept.get(PurePath(file).name) or file
