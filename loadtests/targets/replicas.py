"""Several copies of one server behind one address."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from loadtests.errors import UsageError
from loadtests.fleets.replicas import replicas_report
from loadtests.gateway.settings import GatewaySettings, Stage
from loadtests.targets.cores import most_asked_of_a_core, shared_out
from loadtests.targets.fleet import Seat, limits_of, notes_of, sizing_of, timeouts_of
from loadtests.targets.fronted import Fronted
from loadtests.targets.limits import capabilities
from loadtests.targets.protocol import TargetDescription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from loadtests.inside import Inside
    from loadtests.journal import Journal
    from loadtests.samples import Samples
    from loadtests.targets.fleet import Make

__all__ = ["Replicas", "ReplicatedTarget"]

MOST = 64


@dataclass(frozen=True, slots=True)
class Replicas:
    """vcpus: of each, for sharing out the cores; None where they are not held to a size."""

    count: int
    routing: Literal["round_robin", "least_outstanding", "random"] = "round_robin"
    vcpus: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise UsageError(f"replicas are from 1 to {MOST}, not {self.count}")


class ReplicatedTarget(Fronted):
    """See `FrontedTarget`.

    make: a replica that is not launched, for a number that is never given twice and its cores.
    """

    def __init__(self, make: Make, replicas: Replicas, folder: Path, journal: Journal) -> None:
        super().__init__(folder, journal)
        self._make, self.replicas = make, replicas
        self.shares = shared_out(replicas.vcpus, replicas.count, capabilities())

    def launch(self) -> None:
        self.launch_in([self.seat(share) for share in self.shares])

    def launch_in(self, seats: Sequence[Seat]) -> None:
        stage = Stage("replica", self.replicas.routing)
        self.assemble(GatewaySettings((stage,)), self.note_event).launch(seats)

    def seat(self, cores: tuple[int, ...]) -> Seat:
        """For one more replica."""
        number = next(self.numbers)
        held = None if self.replicas.vcpus is None else cores
        return Seat(number, f"replica {number + 1}", self._make, held)

    def note_event(self, event: Mapping[str, Any]) -> None:
        """Of the gateway, in a thread of its own."""

    def describe(self) -> TargetDescription:
        described = self.fleet.described
        first, asked = described[0], most_asked_of_a_core(self.replicas.vcpus, self.shares)
        return TargetDescription(
            kind="replicas",
            label=f"{self.replicas.count} x {first.label}",
            base_url=self.fleet.gateway.base_url,
            started_from=first.started_from,
            sizing=sizing_of(described),
            limits=limits_of(described),
            timeouts=timeouts_of(described),
            notes=notes_of(described, asked),
        )

    @contextmanager
    def under_load(self) -> Iterator[Callable[[Samples], Inside]]:
        fleet = self.fleet
        before = len(fleet.gateway.passages())
        yield lambda _: replicas_report(fleet.gateway.passages(before))
