"""What NVML was asked and what it answered, written down and played again.

A trace stands in for the library (`pynvml`) wherever there is no GPU: each question is answered
as it was, in the order of the answers; the last of them is repeated.

Format: {"origin": where it comes from, "constants": {name: number}, "answers": [[question,
arguments, answers], ...]}. A handle is {"handle": name}, a struct {"fields": {...}}, an error
{"error": code, "says": text}.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from loadtests.errors import LoadTestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Recording", "ReplayedError", "ReplayedNvml", "Trace", "read_trace", "write_trace"]

HANDLES = {"nvmlDeviceGetHandleByIndex": "GPU", "nvmlDeviceGetMigDeviceHandleByIndex": "MIG"}


@dataclass(frozen=True, slots=True)
class Handle:
    name: str


@dataclass(frozen=True)
class Trace:
    """answers: by question and its arguments as JSON."""

    origin: str
    constants: dict[str, int] = field(default_factory=dict)
    answers: dict[tuple[str, str], list[Any]] = field(default_factory=dict)


def read_trace(file: Path) -> Trace:
    """Raises LoadTestError for a file that is no trace."""
    try:
        document = json.loads(file.read_text())
        answers = {(each[0], json.dumps(each[1])): each[2] for each in document["answers"]}
        return Trace(document["origin"], document["constants"], answers)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise LoadTestError(f"{file} is no trace of NVML: {error!r}") from error


def write_trace(trace: Trace, file: Path) -> None:
    answers = [
        [question, json.loads(arguments), found]
        for (question, arguments), found in trace.answers.items()
    ]
    document = {"origin": trace.origin, "constants": trace.constants, "answers": answers}
    lines = json.dumps(document | {"answers": []}, indent=1).removesuffix("[]\n}")
    told = ",\n  ".join(json.dumps(each) for each in answers)
    file.write_text(f"{lines}[\n  {told}\n ]\n}}\n")


class ReplayedError(Exception):
    """As pynvml.NVMLError: `value` is NVML's code."""

    def __init__(self, value: int, says: str) -> None:
        super().__init__(says)
        self.value = value


class ReplayedNvml:
    """As the module `pynvml`, as far as the trace goes; it lacks what was never asked."""

    NVMLError = ReplayedError

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._questions = {question for question, _ in trace.answers}
        self._asked: dict[tuple[str, str], int] = defaultdict(int)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a constant or a question
        if name in self._trace.constants:
            return self._trace.constants[name]
        if name in self._questions:
            return lambda *arguments: self._answer(name, arguments)
        raise AttributeError(f"the trace has no {name}")

    def _answer(self, question: str, arguments: tuple[object, ...]) -> Any:  # noqa: ANN401
        key = (question, json.dumps([_written(each) for each in arguments]))
        if key not in self._trace.answers:
            raise AttributeError(f"the trace has no {question} of {key[1]}")
        found = self._trace.answers[key]
        answer = found[min(self._asked[key], len(found) - 1)]
        self._asked[key] += 1
        if isinstance(answer, dict) and "error" in answer:
            raise ReplayedError(answer["error"], answer["says"])
        return _played(answer)


class Recording:
    """As the module it is given, which it asks; every answer is written down."""

    def __init__(self, library: Any) -> None:  # noqa: ANN401 - pynvml
        self._library = library
        self._real: dict[str, Any] = {}
        self.constants: dict[str, int] = {}
        self.answers: dict[tuple[str, str], list[Any]] = {}
        self.NVMLError = library.NVMLError

    def trace(self, origin: str) -> Trace:
        return Trace(origin, self.constants, self.answers)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a constant or a question
        found = getattr(self._library, name)
        if isinstance(found, int):
            self.constants[name] = found
            return found
        return lambda *arguments: self._ask(name, found, arguments)

    def _ask(self, question: str, ask: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401
        key = (question, json.dumps([_written(each) for each in arguments]))
        written = self.answers.setdefault(key, [])
        real = [self._real[each.name] if isinstance(each, Handle) else each for each in arguments]
        try:
            answer = ask(*real)
        except self.NVMLError as error:
            written.append({"error": int(getattr(error, "value", 0)), "says": str(error)})
            raise
        if question in HANDLES:
            of = "".join(f"{each.name} " for each in arguments if isinstance(each, Handle))
            handle = Handle(f"{of}{HANDLES[question]} {arguments[-1]}")
            self._real[handle.name] = answer
            answer = handle
        written.append(_written(answer))
        return answer


def _written(value: Any) -> Any:  # noqa: ANN401 - whatever NVML answers
    match value:
        case Handle(name):
            return {"handle": name}
        case None | int() | float() | str():
            return value
        case list() | tuple():
            return [_written(each) for each in value]
        case _:
            return {"fields": {name: _written(each) for name, each in _fields(value).items()}}


def _fields(struct: Any) -> dict[str, Any]:  # noqa: ANN401
    """Of one of ctypes, or of one that was played from a trace."""
    if isinstance(struct, SimpleNamespace):
        return vars(struct)
    return {each[0]: getattr(struct, each[0]) for each in struct._fields_}


def _played(answer: Any) -> Any:  # noqa: ANN401 - whatever NVML answered
    match answer:
        case {"handle": name}:
            return Handle(name)
        case {"fields": fields}:
            return SimpleNamespace(**fields)
        case _:
            return answer
