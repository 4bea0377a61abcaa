"""What a plan tests: a model, and the configurations that serve it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from loadtests.fleets.interruptions import Interruptions
from loadtests.quantities import Seconds
from recommender.loadtest.deployment import (
    AcceleratorGiven,
    ReplicasGiven,
    ReplicasPart,
    ServerlessGiven,
)
from recommender.loadtest.part import NAME, Part, beside_plan, environment_text
from recommender.request import Source, SourceKind
from recommender.starting import Deployment

__all__ = ["Configuration", "Model", "ModelGiven"]

SERVERS = ("sample", "command", "url", "folder", "image", "build")
SEVERAL = ("pipeline", "fan_out")
STAGES = (2, 15)  # as SageMaker has them
CHIEF = {
    "replicas": ("count",),
    "spot": (),
    "serverless": ("memory_gib",),
    "accelerator": ("share", "share_ratio", "mig", "elastic_inference"),
}
DEPLOYMENT = tuple(CHIEF)
BESIDE_SERVERLESS = ("vcpus", "memory_gib", "replicas", "spot", "accelerator")
TAKES_ARTEFACTS = ("command", "image", "build")
EnvironmentGiven = Annotated[dict[str, str], BeforeValidator(environment_text)]


class ImageBuild(Part):
    """An image to be built from the Dockerfile in a folder."""

    folder: Path
    arguments: EnvironmentGiven = Field(default_factory=dict)

    @field_validator("folder")
    @classmethod
    def _beside_the_plan(cls, given: Path, info: ValidationInfo) -> Path:
        return beside_plan(str(given), info)


def _build(given: object) -> object:
    """The folder alone, in place of a mapping."""
    return {"folder": given} if isinstance(given, str) else given


class Model(Part):
    """What serves. Exactly one of sample, command, url, folder, image, build, pipeline, fan_out.

    folder: artefacts for the bundled serving stack. artefacts: what a command, an image or a build
    finds as /opt/ml/model. pipeline: 2 to 15 models by name, each fed with what the one before
    answered. fan_out: as many, all fed with the same, answered when all have.
    """

    sample: Literal[True] | None = None
    command: str | None = None
    url: str | None = None
    folder: Path | None = None
    image: str | None = None
    build: Annotated[ImageBuild | None, BeforeValidator(_build)] = None
    pipeline: dict[str, ModelGiven] | None = None
    fan_out: dict[str, ModelGiven] | None = None
    artefacts: Path | None = None
    environment: EnvironmentGiven = Field(default_factory=dict)
    startup_timeout_s: Seconds = Field(default=480.0, alias="startup_timeout", gt=0)

    @field_validator("folder", "artefacts")
    @classmethod
    def _beside_the_plan(cls, given: Path | None, info: ValidationInfo) -> Path | None:
        return None if given is None else beside_plan(str(given), info)

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        kinds = SERVERS + SEVERAL
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"give one of {', '.join(kinds)}; this has {found}")
        if self.artefacts is not None and given[0] not in TAKES_ARTEFACTS:
            raise ValueError(f"artefacts are for {', '.join(TAKES_ARTEFACTS)}, not for {given[0]}")
        stages = self._stages
        if given[0] in SEVERAL and not STAGES[0] <= len(stages) <= STAGES[1]:
            raise ValueError(
                f"a {given[0]} has {STAGES[0]} to {STAGES[1]} models, this has {len(stages)}"
            )
        nested = [name for name, stage in stages.items() if stage.kind in SEVERAL]
        if nested:
            raise ValueError(f"{nested[0]} is a {stages[nested[0]].kind} inside a {given[0]}")
        return self

    @property
    def _stages(self) -> dict[str, Model]:
        return self.pipeline or self.fan_out or {}

    @property
    def kind(self) -> SourceKind:
        named: dict[SourceKind, object] = {
            "sample": self.sample,
            "command": self.command,
            "url": self.url,
            "model": self.folder,
            "image": self.image,
            "build": self.build,
            "pipeline": self.pipeline,
            "fan_out": self.fan_out,
        }
        return next(kind for kind, where in named.items() if where is not None)

    def source(self, memory_gib: float | None, environment: dict[str, str]) -> Source:
        folder = self.folder if self.build is None else self.build.folder
        where = self.command or self.url or self.image or (None if folder is None else str(folder))
        stages = self._stages.items()
        return Source(
            kind=self.kind,
            where=where,
            build_arguments={} if self.build is None else self.build.arguments,
            artefacts=None if self.artefacts is None else str(self.artefacts),
            stages={name: stage.source(memory_gib, environment) for name, stage in stages},
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

    vcpus, memory_gib: the size it is held to, each replica and each stage of it; for a url, what
    it runs on. environment: over the model's. model: another one, or another build, in place of
    the plan's. replicas: copies behind one address. spot: they are taken away under load.
    serverless: instances that come with requests and go without, in place of all these.
    accelerator: a GPU, or a share of one. instance_type: what this size stands for, at its price;
    usd_per_hour: at this price instead, both of all replicas.
    """

    name: Annotated[str, Field(pattern=NAME)] = ""
    vcpus: float | None = Field(default=None, gt=0)
    memory_gib: float | None = Field(default=None, gt=0)
    environment: EnvironmentGiven = Field(default_factory=dict)
    model: ModelGiven | None = None
    replicas: ReplicasGiven | None = None
    spot: Interruptions | None = None
    serverless: ServerlessGiven | None = None
    accelerator: AcceleratorGiven | None = None
    instance_type: str | None = None
    usd_per_hour: Decimal | None = Field(default=None, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        if isinstance(given, dict) and not given.get("name"):
            return given | {"name": _name(given)}
        return given

    @model_validator(mode="after")
    def _is_one_deployment(self) -> Self:
        if self.serverless is not None:
            others = [name for name in BESIDE_SERVERLESS if getattr(self, name) is not None]
            if others:
                raise ValueError(
                    f"serverless brings its own size and copies: leave out {', '.join(others)}"
                )
        return self

    def deployment(self, good_within_s: float | None) -> Deployment:
        """One that may be interrupted is a replica, be it the only one."""
        copies = self.replicas
        if copies is None and self.spot is not None:
            copies = ReplicasPart(count=1)
        return Deployment(
            vcpus=self.vcpus,
            replicas=None if copies is None else copies.value(self.vcpus),
            interruptions=self.spot,
            good_within_s=good_within_s,
            serverless=None if self.serverless is None else self.serverless.value(),
            accelerator=None if self.accelerator is None else self.accelerator.value(),
        )


def _name(given: dict[str, object]) -> str:
    """What sets it apart: its size, its deployment, its type and its environment."""
    parts = []
    if given.get("vcpus") is not None:
        parts.append(f"{given['vcpus']} vCPU")
    parts += [_told(name, given[name]) for name in DEPLOYMENT if given.get(name) is not None]
    if given.get("instance_type"):
        parts.append(str(given["instance_type"]))
    environment = given.get("environment")
    if isinstance(environment, dict):
        parts += [f"{name}={value}" for name, value in environment.items()]
    return ", ".join(parts).replace("/", "|")[:80] or "as it is"


def _told(name: str, given: object) -> str:
    """A part of the deployment by what is most told by: `3 replicas`, `serverless 2 GB`."""
    chief = given
    if isinstance(given, dict):
        chief = next((given[key] for key in CHIEF[name] if key in given), "")
    words = {
        "replicas": f"{chief} replicas",
        "spot": "spot",
        "serverless": f"serverless {chief} GB",
        "accelerator": f"accelerator {chief}",
    }
    return words[name].strip()
