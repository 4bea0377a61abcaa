"""What a gateway is told before it begins."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from loadtests.errors import UsageError

__all__ = ["GatewaySettings", "Routing", "Shape", "Stage"]

Routing = Literal["round_robin", "least_outstanding", "random", "one_each"]
Shape = Literal["line", "fan_out"]


@dataclass(frozen=True, slots=True)
class Stage:
    """A pool of equal servers.

    routing: round_robin, least_outstanding and random send every request on at once; one_each lets
    a server have one request at a time, asks for another server when none is free, and turns away
    what exceeds `most` (SageMaker's serverless endpoints, with MaxConcurrency).
    least: never fewer servers than these (provisioned concurrency); idle_s: one that had nothing
    to do for so long is given back, None for never.
    """

    name: str
    routing: Routing = "round_robin"
    most: int | None = None
    least: int = 0
    idle_s: float | None = None

    def __post_init__(self) -> None:
        if self.routing == "one_each" and (self.most is None or self.most < 1):
            raise UsageError("one request per instance needs a largest number of instances, >= 1")
        if self.most is not None and self.least > self.most:
            raise UsageError(
                f"{self.least} instances always ready are more than the {self.most} allowed"
            )


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """line: each stage is sent what the one before answered. fan_out: all are sent the same.

    A line's answer is that of its last stage; a fan-out's a JSON object of all answers by stage.
    answer_s: the longest silence of a server before 504. largest_body_bytes: beyond it, 413.
    """

    stages: tuple[Stage, ...]
    shape: Shape = "line"
    answer_s: float = 60.0
    largest_body_bytes: int = 1024**3

    def __post_init__(self) -> None:
        if not self.stages:
            raise UsageError("a gateway needs a stage")
        if len({stage.name for stage in self.stages}) < len(self.stages):
            raise UsageError("each stage needs a name of its own")

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        given: dict[str, Any] = json.loads(text)
        stages = tuple(Stage(**stage) for stage in given.pop("stages"))
        return cls(stages=stages, **given)
