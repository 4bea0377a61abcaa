"""A form filled in becomes a command line, and the command's own parser reads it.

So whatever is wrong is told in the command's own words, and the command shown beside the form is
the one that does the same.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import click

from dashboard.address import as_query, said_otherwise
from loadtests.errors import UsageError
from loadtests.quantities import parse_rate_rps
from pricing import PricingError
from recommender.cli.quick import request_of
from recommender.errors import BadRequest, RecommenderError
from recommender.guests import HARMLESS, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from dataclasses import Field

    from recommender.request import QuickRequest

__all__ = [
    "KINDS",
    "Checked",
    "Fault",
    "QuickForm",
    "checked",
    "guest_faults",
    "is_asked",
    "told",
    "typed_faults",
]

KINDS = ("sample", "command", "image", "build", "url")
MISSING = {
    "command": "the command that starts your server is missing",
    "image": "the name of the image is missing",
    "build": "the folder of the Dockerfile is missing",
    "url": "the URL of the server is missing",
}
Refused: TypeAlias = click.UsageError | RecommenderError | PricingError | UsageError
REFUSED = (click.UsageError, RecommenderError, PricingError, UsageError)


class Fault(NamedTuple):
    """field: that it is about; None where none is known."""

    field: str | None
    said: str


class Checked(NamedTuple):
    """request: None where there are faults."""

    request: QuickRequest | None
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class QuickForm:
    """As it is typed: all text, and empty where the command has a default of its own.

    where: the command, image, folder or URL. uploads: payload files that came with the form.
    payloads: those of this machine, one a line, as environment has its variables. instance_types:
    with commas in between.
    """

    kind: str = "sample"
    where: str = ""
    model: str = ""
    uploads: tuple[str, ...] = ()
    payloads: str = ""
    content_type: str = ""
    path: str = ""
    environment: str = ""
    traffic: str = ""
    slo: str = ""
    sizes: str = ""
    vcpus: str = ""
    memory_gib: str = ""
    measured_on: str = ""
    region: str = ""
    arch: str = ""
    platforms: tuple[str, ...] = ()
    purchases: tuple[str, ...] = ()
    instance_types: str = ""
    headroom: str = ""
    zones: str = ""
    confidence: str = ""
    measure_s: str = ""
    startup_timeout_s: str = ""
    seed: str = ""

    @classmethod
    def given(cls, values: Mapping[str, Any]) -> Self:
        """What a browser sent: None where nothing was typed; also of fields that are not shown.

        Raises BadRequest for something to measure that there is not.
        """
        kind = values.get("kind") or KINDS[0]
        if kind not in KINDS:
            raise BadRequest(f"a {kind!r} cannot be measured", hint=f"one of {', '.join(KINDS)}")
        asked = {each.name: each for each in _FIELDS if is_asked(each.name, kind)}
        form = cls(**{name: _typed(each, values.get(name)) for name, each in asked.items()})
        return replace(form, where="") if form.kind == KINDS[0] else form

    @classmethod
    def addressed(cls, given: Mapping[str, str]) -> Self:
        """Of an address. Raises BadRequest for what none can say."""
        unknown = sorted(set(given) - {each.name for each in _FIELDS} | set(given) & _UNADDRESSED)
        if unknown:
            raise BadRequest(
                f"the address fills in {unknown[0]!r}, which no address can",
                hint="begin with an empty form: /new",
            )
        form = cls.given({name: _apart(name, text) for name, text in given.items()})
        return form.harmless

    @property
    def query(self) -> str:
        """Of an address that fills in the same, but for what no address brings."""
        said = said_otherwise(self.harmless, QuickForm())
        return as_query({name: text for name, text in said.items() if name not in _UNADDRESSED})

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of `recommender quick`."""
        return tuple(self._arguments())

    @property
    def command(self) -> str:
        return shlex.join(("recommender", "quick", *self.arguments))

    @property
    def changed(self) -> tuple[str, ...]:
        """The fields that say something of their own."""
        said = (each.name for each in _FIELDS if getattr(self, each.name) != each.default)
        return tuple(name for name in said if name in _FLAGS)

    def only(self, *names: str) -> QuickForm:
        """Of the sample, with these fields alone."""
        return QuickForm(**{name: getattr(self, name) for name in names})

    def without(self, name: str) -> QuickForm:
        empty: dict[str, Any] = {name: getattr(QuickForm(), name)}
        return replace(self, **empty)

    @property
    def harmless(self) -> Self:
        """Without what would be executed, which is typed by whoever starts it."""
        return replace(self, where="") if self.kind == "command" else self

    def _arguments(self) -> Iterator[str]:
        if self.kind != "sample":
            yield from (f"--{self.kind}", self.where)
        for name in self.changed:
            for value in _values(name, getattr(self, name)):
                yield from (_FLAGS[name], value)


def is_asked(field: str, kind: str) -> bool:
    return field not in _NOT_OF_URL if kind == "url" else field != "vcpus"


def typed_faults(form: QuickForm) -> tuple[Fault, ...]:
    """Of what is typed so far; no file is opened for it but the traffic's."""
    return tuple(_faults(form.without("model"), lambda request: request))


def guest_faults(form: QuickForm, holds: Callable[[str], bool]) -> tuple[Fault, ...]:
    """Of one who may have no program started and no file of this machine opened.

    To be asked before all else, since a command opens some files to understand its question.
    holds: whether a file was uploaded.
    """
    elsewhere = f"reading {form.traffic}, which was not uploaded,"
    asked = {
        "kind": None if form.kind in HARMLESS else f"measuring by `{form.kind}`",
        "model": f"reading {form.model}" if form.model else None,
        "environment": "setting an environment for the server" if form.environment else None,
        "payloads": f"reading {form.payloads}" if form.payloads else None,
        "traffic": None if _is_rate(form.traffic, holds) else elsewhere,
    }
    strange = next((each for each in form.uploads if not holds(each)), None)
    if strange is not None:
        asked["payloads"] = f"reading {strange}, which was not uploaded,"
    return tuple(
        Fault(name, told(refused(what))) for name, what in asked.items() if what is not None
    )


def checked(form: QuickForm, check: Callable[[QuickRequest], object]) -> Checked:
    """check: raises for what is understood but cannot be done. All mistakes are told at once."""
    missing: tuple[Fault, ...] = ()
    if form.kind != "sample" and not form.where:
        missing = (Fault("where", MISSING[form.kind]),)
    faults = (*missing, *_faults(form, check))
    if faults:
        return Checked(None, faults)
    try:
        return Checked(_asked(form, check), ())
    except REFUSED as error:
        said = told(error)
        return Checked(None, (Fault(_blamed(form, said, check), said),))


def told(error: Refused) -> str:
    """As the command says it, and what to do about it on a line of its own."""
    if isinstance(error, click.UsageError):
        return error.format_message()
    return str(error) if error.hint is None else f"{error}\n{error.hint}"


def _faults(form: QuickForm, check: Callable[[QuickRequest], object]) -> Iterator[Fault]:
    """Of each field by itself; those of the payload only make sense together.

    A model asks for a payload, and is nobody's mistake: one that cannot be read is run unread.
    """
    names = [name for name in form.changed if name not in (*_OF_PAYLOAD, "model")]
    parts: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    if form.uploads or form.payloads.strip():
        parts["payloads"] = _OF_PAYLOAD
    for name, beside in parts.items():
        said = _mistake(form.only(*beside), check)
        if said is not None:
            yield Fault(name, said)


def _blamed(form: QuickForm, said: str, check: Callable[[QuickRequest], object]) -> str | None:
    """The field without which it would not be said."""
    if said == _mistake(_WITHOUT_PAYLOAD, check):
        return "payloads"
    parts = (name for name in form.changed if _mistake(form.without(name), check) != said)
    return next(parts, None)


def _mistake(form: QuickForm, check: Callable[[QuickRequest], object]) -> str | None:
    try:
        _asked(form, check)
    except REFUSED as error:
        return told(error)
    return None


def _asked(form: QuickForm, check: Callable[[QuickRequest], object]) -> QuickRequest:
    request = request_of(form.arguments)
    check(request)
    return request


def _is_rate(traffic: str, holds: Callable[[str], bool]) -> bool:
    """Or an upload; anything else might be a file."""
    rate, separator, _ = traffic.rpartition(", cv ")
    text = rate if separator else traffic
    return not text or parse_rate_rps(text) is not None or holds(text)


def _typed(field: Field[Any], value: object) -> Any:  # noqa: ANN401 - text, or several texts
    if isinstance(field.default, tuple):
        return tuple(map(str, value)) if isinstance(value, list | tuple) else ()
    return ("" if value is None else str(value).strip()) or field.default


def _apart(name: str, text: str) -> str | tuple[str, ...]:
    return tuple(text.split(",")) if name in _SEVERAL else text


def _values(name: str, value: str | tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, tuple):
        yield from value
    elif name in _SEPARATED:
        yield from filter(None, map(str.strip, value.split(_SEPARATED[name])))
    else:
        yield value


_FIELDS = fields(QuickForm)
_WITHOUT_PAYLOAD = QuickForm(kind="url", where="http://127.0.0.1")
_UNADDRESSED = {"uploads", "environment"}  # files, and what may be secret
_SEVERAL = ("platforms", "purchases")
_SEPARATED = {"payloads": "\n", "environment": "\n", "instance_types": ","}
_NOT_OF_URL = ("model", "environment", "sizes", "memory_gib", "startup_timeout_s")
_OF_PAYLOAD = ("uploads", "payloads", "content_type", "path")
# Of each field its option; one that holds several values is given once for each.
_FLAGS = {
    "model": "--model",
    "uploads": "--payload",
    "payloads": "--payload",
    "content_type": "--content-type",
    "path": "--path",
    "environment": "--env",
    "traffic": "--traffic",
    "slo": "--slo",
    "sizes": "--sizes",
    "vcpus": "--vcpus",
    "memory_gib": "--memory-gib",
    "measured_on": "--measured-on",
    "region": "--region",
    "arch": "--arch",
    "platforms": "--platform",
    "purchases": "--purchase",
    "instance_types": "--instance-type",
    "headroom": "--headroom",
    "zones": "--zones",
    "confidence": "--confidence",
    "measure_s": "--measure-s",
    "startup_timeout_s": "--startup-timeout-s",
    "seed": "--seed",
}
