"""A YAML file that a user wrote, read into what it stands for; every mistake has its line."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import yaml
from pydantic import ValidationError

from loadtests.errors import UsageError
from recommender.errors import BadRequest
from recommender.loadtest.part import UNKNOWN_KEY, unknown_key

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Form", "parse_document", "read_document"]

MOST_TOLD = 8
Result = TypeVar("Result")
Build: TypeAlias = Callable[[dict[str, object]], Result]
Trail: TypeAlias = "tuple[tuple[int | str, yaml.Node], ...]"


@dataclass(frozen=True, slots=True)
class Form:
    """what: the file is, for people. hint: to one who got it wrong; usage: who gave no file.

    foreign_keys: of its parts that name no near key themselves.
    """

    what: str
    hint: str
    usage: str
    foreign_keys: tuple[str, ...] = ()


def read_document(file: Path, form: Form, build: Build[Result]) -> Result:
    """Raises BadRequest that lists what is wrong, each with its line."""
    return parse_document(_text(file, form), file, form, build)


def parse_document(text: str, file: Path, form: Form, build: Build[Result]) -> Result:
    """file: what mistakes are told of; it is not read. Raises as `read_document` does."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_doubles(root, file)
        given = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadRequest(f"{file} is not YAML: {_problem(error)}", hint=form.hint) from error
    if not isinstance(given, dict):
        raise BadRequest(
            f"{file} holds no {form.what}: it is not a mapping of keys", hint=form.hint
        )
    try:
        return build(given)
    except ValidationError as error:
        raise BadRequest(_told(error, root, file, form), hint=form.hint) from error
    except UsageError as error:  # a file that it names, or text it holds
        raise BadRequest(f"{file}: {error}", hint=error.hint) from error


def _text(file: Path, form: Form) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadRequest(
            f"the {form.what} {file} cannot be read: {reason}",
            hint=f"give the path of a YAML file: {form.usage}",
        ) from error


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return problem if mark is None else f"line {mark.line + 1}: {problem}"


def _refuse_doubles(root: yaml.Node | None, file: Path) -> None:
    """YAML would let the last of them win without a word. A node that others refer to is one."""
    left, visited = [root], set[int]()
    while left:
        node = left.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        if isinstance(node, yaml.MappingNode):
            _refuse_double_keys(node, file)
            left += [value for _, value in node.value]


def _refuse_double_keys(node: yaml.MappingNode, file: Path) -> None:
    seen: set[object] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                line = key.start_mark.line + 1
                raise BadRequest(f"{file}, line {line}: `{key.value}` is given twice")
            seen.add(key.value)


def _told(error: ValidationError, root: yaml.Node | None, file: Path, form: Form) -> str:
    faults = error.errors(include_url=False)
    lines = []
    for fault in faults[:MOST_TOLD]:
        at = fault["loc"]
        if fault["type"] == UNKNOWN_KEY:
            at = (*at, fault["ctx"]["key"])
        place, line = _find(root, at)
        where = f"line {line}" + (f", {place}" if place else "")
        lines.append(f"{where}: {_said(fault, form)}")
    if len(faults) > MOST_TOLD:
        lines.append(f"and {len(faults) - MOST_TOLD} more")
    return f"{file} is not a {form.what}:\n  " + "\n  ".join(dict.fromkeys(lines))


def _said(fault: Any, form: Form) -> str:  # noqa: ANN401 - pydantic's own
    message: str = fault["msg"]
    said = message.removeprefix("Value error, ")
    match fault["type"]:
        case "missing":
            return f"`{fault['loc'][-1]}` is missing"
        case "extra_forbidden":
            return unknown_key(fault["loc"][-1], form.foreign_keys)
        case "union_tag_invalid":
            return _unknown_tag(fault["ctx"])
        case _:
            return _with_given(said, fault.get("input"))


def _with_given(said: str, given: object) -> str:
    is_plain = isinstance(given, str | int | float) and not isinstance(given, bool)
    return f"{said}, not {given!r}" if is_plain and "not" not in said else said


def _unknown_tag(told: dict[str, str]) -> str:
    known = tuple(each.strip("'") for each in told["expected_tags"].split(", "))
    close = difflib.get_close_matches(told["tag"], known, n=1)
    advice = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"there is no {told['discriminator'].strip(chr(39))} {told['tag']!r}; {advice}"


def _find(root: yaml.Node | None, path: tuple[int | str, ...]) -> tuple[str, int]:
    """The keys on the way, and the line."""
    trail = _trail(root, path)
    node = trail[-1][1] if trail else root
    line = 0 if node is None else node.start_mark.line
    place = (str(step + 1) if isinstance(step, int) else step for step, _ in trail)
    return " → ".join(place), line + 1


def _trail(node: yaml.Node | None, path: tuple[int | str, ...]) -> Trail:
    """As far into the file as the path leads; names of union members are no keys of it.

    Some of them are keys as well (a payload's `file`): then the way that leads to the end counts.
    """
    if not path:
        return ()
    skipped, child = _trail(node, path[1:]), _child(node, path[0])
    if child is None:
        return skipped
    walked: Trail = ((path[0], child), *_trail(child, path[1:]))
    return max(walked, skipped, key=lambda trail: bool(trail) and trail[-1][0] == path[-1])


def _child(node: yaml.Node | None, step: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: yaml.Node = node.value[step]
        return child
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    return None
