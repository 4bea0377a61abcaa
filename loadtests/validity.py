"""May this measurement be evidence? VALID, INVALID or INCONCLUSIVE, with reasons and what to do.

INVALID: something other than the server shaped the figures; they rank nothing.
INCONCLUSIVE: nothing wrong was seen, and there is too little to carry the claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.streaming.taken import taken_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from loadtests.host_change import HostChange
    from loadtests.monitor import Neighbours
    from loadtests.samples import Samples

__all__ = [
    "Fault",
    "GeneratorFacts",
    "Status",
    "Validity",
    "WorkerFacts",
    "check_closed",
    "check_open",
]

OFFERED_TOLERANCE = 0.02
LATENESS_SHARE = 0.10
LATENESS_FLOOR_S = 0.001
GENERATOR_CPU = 0.75
NEIGHBOUR_SHARE = 0.12
SEEN_SHARE = 0.01
HOST_SLOWDOWN = 1.15  # of 218 pairs on a quiet machine, 0.9 % lay above
LITTLE_TOLERANCE = 0.05
FEWEST_IN_TAIL = 10


class Status(StrEnum):
    VALID = "valid"
    INVALID = "invalid"
    INCONCLUSIVE = "inconclusive"


class Fault(BaseModel):
    """check: its name. found: what was seen, with figures. advice: what to do about it."""

    model_config = ConfigDict(frozen=True)

    check: str
    status: Status
    found: str
    advice: str


class Validity(BaseModel):
    model_config = ConfigDict(frozen=True)

    status: Status
    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, faults: list[Fault]) -> Validity:
        statuses = {fault.status for fault in faults}
        worst = next(
            (each for each in (Status.INVALID, Status.INCONCLUSIVE) if each in statuses),
            Status.VALID,
        )
        return cls(status=worst, faults=tuple(faults))


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """One process that sent.

    requests: that were its to send; None of a closed loop, which sends as many as are answered.
    lost_after_s: when it was given up, None if it stayed. samples_missing: recorded by it and not
    arrived; blocks_missing: gaps in their sequence.
    """

    name: str
    requests: int | None
    sent: int
    cpu_s: float
    wall_s: float
    lateness_p99_s: float | None = None
    lost_after_s: float | None = None
    samples_missing: int = 0
    blocks_missing: int = 0

    @property
    def busy(self) -> float:
        return self.cpu_s / self.wall_s if self.wall_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class GeneratorFacts:
    """What the load generator says of itself.

    cpu_s: of all its processes on this machine, over wall_s. in_flight_s: integral of requests in
    flight over time, counted apart from the samples. workers: of each process that sent.
    """

    cpu_s: float
    wall_s: float
    in_flight_s: float
    workers: tuple[WorkerFacts, ...] = ()

    @property
    def busy(self) -> float:
        """The share of one core; of several workers, the busiest one's."""
        if self.workers:
            return max(each.busy for each in self.workers)
        return self.cpu_s / self.wall_s if self.wall_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class OpenEvidence:
    """What the checks look at.

    samples: all of the run. steady: without the warm-up. due: how many the schedule held.
    over_saturated: the server fell behind for good, so dropped requests are its doing.
    neighbours: on the target's cores; None where that cannot be told.
    host: None where it cannot be told either.
    """

    samples: Samples
    steady: Samples
    due: int
    quantile: float
    generator: GeneratorFacts
    over_saturated: bool
    stopped_early: bool
    neighbours: Neighbours | None = None
    host: HostChange | None = None


def check_open(evidence: OpenEvidence) -> Validity:
    checks: tuple[Callable[[OpenEvidence], Fault | None], ...] = (
        _offered,
        _lateness,
        _dropped,
        lambda each: _generator(each.generator),
        lambda each: _workers(each.generator),
        lambda each: _gaps(each.generator),
        lambda each: _neighbours(each.neighbours),
        lambda each: _host(each.host),
        _little,
        _tail,
        _steady,
    )
    return Validity.of([fault for check in checks if (fault := check(evidence)) is not None])


def check_closed(
    samples: Samples,
    generator: GeneratorFacts,
    neighbours: Neighbours | None = None,
    host: HostChange | None = None,
) -> Validity:
    """A closed loop claims throughput and service time, no latency quantile.

    Where nothing was served it claims no speed either: how fast a server refuses is nobody's
    question, and it may well do so faster than the generator can ask.
    """
    found = [_workers(generator), _gaps(generator)]
    if samples.succeeded > 0:
        found += [_generator(generator), _neighbours(neighbours), _host(host)]
    faults = [fault for fault in found if fault is not None]
    if samples.succeeded < FEWEST_IN_TAIL:
        faults.append(
            Fault(
                check="samples",
                status=Status.INCONCLUSIVE,
                found=f"{samples.succeeded} answers",
                advice="measure for longer",
            )
        )
    return Validity.of(faults)


def _offered(evidence: OpenEvidence) -> Fault | None:
    sent = len(evidence.samples) - evidence.samples.dropped
    if evidence.stopped_early or evidence.over_saturated or evidence.due == 0:
        return None
    ratio = sent / evidence.due
    if ratio >= 1 - OFFERED_TOLERANCE:
        return None
    return Fault(
        check="offered",
        status=Status.INVALID,
        found=f"{sent} of {evidence.due} due requests were sent ({ratio:.1%})",
        advice="the generator could not keep up: lower the rate or give it a core of its own",
    )


def _lateness(evidence: OpenEvidence) -> Fault | None:
    """Late sends add to the latency; the first 1 ms is forgiven.

    Judged at the claimed quantile: what the generator added there, as a share of the latency.
    """
    late = evidence.steady.lateness_s
    if len(late) == 0:
        return None
    late_s = float(np.quantile(late, evidence.quantile))
    waited_s = _waited_s(evidence.steady)
    latency_s = float(np.quantile(waited_s, evidence.quantile, method="higher"))
    allowed_s = max(LATENESS_FLOOR_S, LATENESS_SHARE * latency_s)
    if late_s <= allowed_s:
        return None
    return Fault(
        check="lateness",
        status=Status.INVALID,
        found=f"{1 - evidence.quantile:.3g} of the requests left {late_s * 1e3:.2g} ms or more "
        f"after they were due (at most {allowed_s * 1e3:.2g} ms would do)",
        advice="other work took the generator's core: stop it, or give the generator its own",
    )


def _waited_s(steady: Samples) -> NDArray[np.float64]:
    """For the first token, where one was seen: of that shorter wait a late send is more."""
    first = taken_s(steady, "ttft")
    return steady.latency_s if first is None or not first.is_known.any() else first.known_s


def _dropped(evidence: OpenEvidence) -> Fault | None:
    if evidence.samples.dropped == 0 or evidence.over_saturated:
        return None
    return Fault(
        check="dropped",
        status=Status.INVALID,
        found=f"{evidence.samples.dropped} due requests were not sent: every connection was busy",
        advice="raise the number of connections, or lower the rate",
    )


def _generator(generator: GeneratorFacts) -> Fault | None:
    if generator.busy <= GENERATOR_CPU:
        return None
    return Fault(
        check="generator",
        status=Status.INVALID,
        found=f"the load generator used {generator.busy:.0%} of its core",
        advice="what was measured is the generator: lower the rate",
    )


def _workers(generator: GeneratorFacts) -> Fault | None:
    lost = [each for each in generator.workers if each.lost_after_s is not None]
    if not lost:
        return None
    return Fault(
        check="workers",
        status=Status.INVALID,
        found="; ".join(_loss(each) for each in lost),
        advice="the load was not what was asked from then on: run it again, and see that the "
        "workers and the network between them last",
    )


def _loss(worker: WorkerFacts) -> str:
    said = f"worker {worker.name} was lost after {worker.lost_after_s:.1f} s"
    if worker.requests is None:
        return f"{said}; its users sent nothing more"
    unsent = worker.requests - worker.sent
    return f"{said}; {unsent} of its {worker.requests} requests were not sent or not reported"


def _gaps(generator: GeneratorFacts) -> Fault | None:
    lacking = [each for each in generator.workers if each.samples_missing or each.blocks_missing]
    if not lacking:
        return None
    return Fault(
        check="gaps",
        status=Status.INVALID,
        found="; ".join(
            f"{each.samples_missing} samples of worker {each.name} did not arrive "
            f"({each.blocks_missing} gaps)"
            for each in lacking
        ),
        advice="what was measured is incomplete: run it again",
    )


def _neighbours(found: Neighbours | None) -> Fault | None:
    """A core that others use is not the size it stands for."""
    if found is None or found.share <= NEIGHBOUR_SHARE:
        return None
    programs, stolen = found.share - found.stolen_share, found.stolen_share
    said = f"other programs used {programs:.0%} of the target's cores"
    if stolen >= SEEN_SHARE:
        said += f", and the hypervisor kept {stolen:.0%} of them for other guests"
    return Fault(
        check="neighbours",
        status=Status.INVALID,
        found=said,
        advice="stop them, or measure on a quiet machine"
        if programs > stolen
        else "run it again, or on a machine that lends no CPU to others",
    )


def _host(host: HostChange | None) -> Fault | None:
    """Another guest of the hypervisor, or a lower clock: the kernel's counters show neither."""
    if host is None or 1 / HOST_SLOWDOWN <= host.felt <= HOST_SLOWDOWN:
        return None
    return Fault(
        check="host",
        status=Status.INVALID,
        found=f"a fixed piece of work took {host.slowdown:.2f} times as much CPU time after the "
        f"run as before it, and up to {host.working_ratio:.0%} of the server's time is such work",
        advice="the machine itself changed its speed: run it again, or on a machine of your own",
    )


def _little(evidence: OpenEvidence) -> Fault | None:
    """L = λW (Little 1961): time in flight by the engine's count against the sum of samples."""
    records = evidence.samples.records[evidence.samples.is_sent]
    if len(records) == 0 or evidence.generator.in_flight_s <= 0:
        return None
    by_samples = float(np.sum(records["done_us"] - records["sent_us"])) / 1e6
    ratio = by_samples / evidence.generator.in_flight_s
    if abs(ratio - 1) <= LITTLE_TOLERANCE:
        return None
    return Fault(
        check="little",
        status=Status.INVALID,
        found=f"the samples hold {ratio:.1%} of the time requests were in flight (Little's law)",
        advice="samples were lost or a clock stepped: run it again",
    )


def _tail(evidence: OpenEvidence) -> Fault | None:
    count = len(evidence.steady)
    beyond = count * (1 - evidence.quantile)
    if beyond >= FEWEST_IN_TAIL:
        return None
    needed = int(np.ceil(FEWEST_IN_TAIL / (1 - evidence.quantile)))
    return Fault(
        check="samples",
        status=Status.INCONCLUSIVE,
        found=f"{count} requests are too few for p{evidence.quantile * 100:g}",
        advice=f"measure for longer: {needed} requests or more",
    )


def _steady(evidence: OpenEvidence) -> Fault | None:
    """Over-saturation is a finding about the server, not a fault of the measurement."""
    cut = len(evidence.samples) - len(evidence.steady)
    if evidence.over_saturated or len(evidence.samples) == 0 or cut < 0.45 * len(evidence.samples):
        return None
    return Fault(
        check="steady",
        status=Status.INCONCLUSIVE,
        found="the latency had not settled: the warm-up reaches into the second half",
        advice="measure for longer",
    )
