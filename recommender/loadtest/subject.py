"""What a plan tests: a model, and the configurations that serve it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from loadtests.quantities import Seconds
from recommender.loadtest.part import NAME, Part, beside_plan, environment_text
from recommender.request import Source

__all__ = ["Configuration", "Model", "ModelGiven"]

KINDS = ("sample", "command", "url", "folder", "image", "pipeline")
Kind = Literal["sample", "command", "model", "url"]
EnvironmentGiven = Annotated[dict[str, str], BeforeValidator(environment_text)]


class Model(Part):
    """What serves. Exactly one of sample, command, url, folder, image, pipeline.

    folder: artefacts for the bundled serving stack. image, pipeline: this version cannot run them
    and says so.
    """

    sample: Literal[True] | None = None
    command: str | None = None
    url: str | None = None
    folder: Path | None = None
    image: str | None = None
    pipeline: tuple[str, ...] | None = None
    environment: EnvironmentGiven = Field(default_factory=dict)
    startup_timeout_s: Seconds = Field(default=480.0, alias="startup_timeout", gt=0)

    @field_validator("folder")
    @classmethod
    def _beside_the_plan(cls, given: Path | None, info: ValidationInfo) -> Path | None:
        return None if given is None else beside_plan(str(given), info)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"give one of {', '.join(KINDS)}; this has {found}")
        if given[0] in ("image", "pipeline"):
            raise ValueError(
                f"this version starts processes and measures URLs, no {given[0]}: give the "
                "command that it runs, or start it yourself and give its url"
            )
        return self

    @property
    def kind(self) -> Kind:
        named: dict[Kind, object] = {
            "command": self.command,
            "url": self.url,
            "model": self.folder,
            "sample": self.sample,
        }
        return next(kind for kind, where in named.items() if where is not None)

    def source(self, memory_gib: float | None, environment: dict[str, str]) -> Source:
        where = self.command or self.url or (None if self.folder is None else str(self.folder))
        return Source(
            kind=self.kind,
            where=where,
            environment=self.environment | environment,
            memory_gib=memory_gib,
            startup_timeout_s=self.startup_timeout_s,
        )


def _model(given: object) -> object:
    """`model: sample`, or a command as plain text, in place of a mapping."""
    if given == "sample":
        return {"sample": True}
    if isinstance(given, str):
        kind = "url" if given.startswith(("http://", "https://")) else "command"
        return {kind: given}
    return given


ModelGiven = Annotated[Model, BeforeValidator(_model)]


class Configuration(Part):
    """One way to serve the model.

    vcpus, memory_gib: the size it is held to; for a url, what it runs on. environment: over the
    model's. model: another one, or another build, in place of the plan's. instance_type: what
    this size stands for, at its price; usd_per_hour: at this price instead.
    """

    name: Annotated[str, Field(pattern=NAME)] = ""
    vcpus: float | None = Field(default=None, gt=0)
    memory_gib: float | None = Field(default=None, gt=0)
    environment: EnvironmentGiven = Field(default_factory=dict)
    model: ModelGiven | None = None
    instance_type: str | None = None
    usd_per_hour: Decimal | None = Field(default=None, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        if isinstance(given, dict) and not given.get("name"):
            return given | {"name": _name(given)}
        return given


def _name(given: dict[str, object]) -> str:
    """What sets it apart: its size, its type and its environment."""
    parts = []
    if given.get("vcpus") is not None:
        parts.append(f"{given['vcpus']} vCPU")
    if given.get("instance_type"):
        parts.append(str(given["instance_type"]))
    environment = given.get("environment")
    if isinstance(environment, dict):
        parts += [f"{name}={value}" for name, value in environment.items()]
    return ", ".join(parts).replace("/", "|")[:80] or "as it is"
