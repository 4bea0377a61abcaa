"""What is asked of a fleet: traffic that comes and goes, and a policy; and how an address says it.

To the question of a ranking (`asked.Asked`) it adds how the traffic runs and what scales.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from dashboard.address import (
    as_query,
    given_in,
    packed,
    refuse_unknown,
    said_otherwise,
    unpacked,
)
from dashboard.asked import HINT, Asked, read_rate, read_whole
from dashboard.questions import Questioned
from dashboard.uploads import as_file
from recommender.errors import BadRequest
from recommender.simulation.asking import Playing, Tracking, fixed_size
from recommender.simulation.policy_file import read_policy
from recommender.simulation.reports import cheapest_mix
from recommender.simulation.scaling_policy import AlarmTiming
from recommender.simulation.traffic import DAY_S, HOUR_S, TrafficTrace, preset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboard.data import Repository
    from recommender.simulated import Simulation
    from recommender.simulation.report import Way
    from recommender.simulation.scaling_policy import Policy
    from recommender.simulation.served import Terms

__all__ = [
    "KINDS",
    "METRICS",
    "SHAPES",
    "FleetAsked",
    "FleetQuestion",
    "mix_known",
    "simulate_at",
    "table_of",
]

SHAPES = {
    "own": "as asked",
    "diurnal": "a daily wave",
    "weekly": "a week",
    "burst": "bursts",
}
KINDS = {"searched": "Best found", "target": "Target", "fixed": "Fixed", "file": "File"}
METRICS = {
    "invocations": "requests/min",
    "cpu": "CPU, %",
    "concurrency": "in flight",
}
STEPS_MIN = (1, 5, 15, 60)  # to which a table is summed up
MOST_COUNTS = 744
LONGEST_S = 14 * DAY_S
MOST_POLICY_TEXT = 8_000
MOST_INSTANCES = 10_000
PER_CENT = 100
BOUNDS = {
    "peak_ratio": (1.0, 24.0),
    "spread_percent": (0.0, 1000.0),
    "target": (1e-6, 1e9),
    "cooldown_out_s": (0.0, DAY_S),
    "cooldown_in_s": (0.0, DAY_S),
}


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """What an address says beside a ranking's question; each field has a control of its own.

    shape: of SHAPES; own is the rate or the table of hours that was asked; empty is own for a
    table, and a daily wave for a rate: a rate is a mean, and scaling is about the rest.
    peak_ratio: of a shape's busiest moments over its mean. step_min: of the table's rows; start:
    of its first, ISO.
    kind: of KINDS. target: in the metric's unit, of cpu in per cent. most: 0 for no limit.
    machine: the name of its offer; empty is what would cost least. policy: the text of a policy
    file. ways: yes where all ways to serve are to be compared.
    """

    shape: str = ""
    peak_ratio: float = 2.0
    spread_percent: int = 0
    step_min: int = 60
    start: str = ""
    kind: str = "searched"
    machine: str = ""
    metric: str = "invocations"
    target: float = 1000.0
    least: int = 1
    most: int = 0
    cooldown_out_s: float = 300.0
    cooldown_in_s: float = 300.0
    scale_in: str = "yes"
    replicas: int = 1
    policy: str = ""
    ways: str = ""


@dataclass(frozen=True, slots=True)
class FleetAsked:
    base: Asked
    fleet: FleetSettings = field(default_factory=FleetSettings)

    def query(self, before: Asked) -> str:
        """Of an address, where this differs from what the run was asked."""
        said = said_otherwise(self.base, before) | said_otherwise(self.fleet, FleetSettings())
        if "policy" in said:
            said["policy"] = packed(self.fleet.policy)
        return as_query(said)

    def changed_by(self, query: str) -> FleetAsked:
        """Raises BadRequest for what an address cannot say, or says wrongly."""
        given, own = given_in(query), {each.name for each in fields(FleetSettings)}
        refuse_unknown(given, own | {each.name for each in fields(Asked)}, HINT)
        base = {name: text for name, text in given.items() if name not in own}
        read = {name: _READ.get(name, str)(text) for name, text in given.items() if name in own}
        found = FleetAsked(self.base.changed_to(base), replace(self.fleet, **read))
        found.check()
        return found

    def check(self) -> None:
        """Raises BadRequest for what no knob can say."""
        fleet = self.fleet
        for name, said, known in (
            ("shape", self.shape, SHAPES),
            ("kind", fleet.kind, KINDS),
            ("metric", fleet.metric, METRICS),
        ):
            if said not in known:
                raise BadRequest(f"{name} {said!r} is none of {', '.join(known)}", hint=HINT)
        if fleet.step_min not in STEPS_MIN:
            raise BadRequest(f"steps of {fleet.step_min} minutes", hint=HINT)
        for name, (low, high) in BOUNDS.items():
            if not low <= getattr(fleet, name) <= high:
                raise BadRequest(
                    f"{name} is {getattr(fleet, name):.6g}, not between {low:g} and {high:g}",
                    hint="ask for something in between",
                )
        if len(fleet.policy) > MOST_POLICY_TEXT:
            raise BadRequest(
                f"a policy of {len(fleet.policy):,} characters; {MOST_POLICY_TEXT:,} are the most",
                hint="recommender simulate --policy FILE takes any",
            )

    def set(self, **changes: Any) -> FleetAsked:  # noqa: ANN401 - of either question
        """By the names of the fields, whichever question they are of."""
        own = {each.name for each in fields(FleetSettings)}
        base = {name: value for name, value in changes.items() if name not in own}
        mine = {name: value for name, value in changes.items() if name in own}
        return FleetAsked(replace(self.base, **base), replace(self.fleet, **mine))

    @property
    def shape(self) -> str:
        return self.fleet.shape or ("own" if self.base.hours else "diurnal")

    @property
    def machine(self) -> str | None:
        return self.fleet.machine or None

    @property
    def policy(self) -> Policy | None:
        """None where it is to be searched for, as while no file was given.

        Raises BadRequest for one there cannot be.
        """
        asked = self.fleet
        match asked.kind:
            case "fixed":
                return fixed_size(_bounded(asked.replicas))
            case "target":
                return self._tracking.policy
            case "file" if asked.policy:
                with as_file("policy.yaml", asked.policy.encode()) as file:
                    return read_policy(file)
            case _:
                return None

    @property
    def _tracking(self) -> Tracking:
        asked = self.fleet
        return Tracking(
            asked.target / PER_CENT if asked.metric == "cpu" else asked.target,
            asked.metric,  # type: ignore[arg-type]  # checked
            _bounded(asked.least),
            None if asked.most == 0 else _bounded(asked.most),
            asked.cooldown_out_s,
            asked.cooldown_in_s,
            can_scale_in=asked.scale_in == "yes",
        )

    @property
    def terms(self) -> Terms:
        """A day of the traffic; a week of one that differs from day to day; a whole table."""
        playing = Playing(AlarmTiming(), spread_ratio=self.fleet.spread_percent / PER_CENT)
        trace, text = self._trace()
        if trace.duration_s > LONGEST_S:
            raise BadRequest(
                f"traffic of {trace.duration_s / DAY_S:.3g} days; {LONGEST_S / DAY_S:.0f} are the "
                "most here",
                hint="recommender simulate --traffic FILE plays a hundred",
            )
        return playing.terms(trace, text)

    def _trace(self) -> tuple[TrafficTrace, str]:
        rate_rps, asked, hours = self.base.rate_rps, self.fleet, self.base.hours
        shape = self.shape
        if shape != "own":
            found = preset(shape, rate_rps, peak_ratio=asked.peak_ratio)  # type: ignore[arg-type]
            text = f"{SHAPES[shape]} of {rate_rps:g}rps, peak {found.peak_rps:.3g}rps"
            return (found if shape == "weekly" else found.repeated(DAY_S)), text
        if hours is None:
            return TrafficTrace(HOUR_S, np.full(24, rate_rps)), f"{rate_rps:g}rps"
        counts = np.array(hours, dtype=np.float64)
        start = datetime.fromisoformat(asked.start) if asked.start else None
        trace = TrafficTrace(asked.step_min * 60.0, counts * (rate_rps / counts.mean()), start)
        return trace, f"your table of {len(hours)} rows, mean {rate_rps:.4g}rps"


def simulate_at(reference: str, query: str) -> str:
    """Where all ways to serve what a query of what-if asks are simulated, its traffic as it is."""
    parts = [query, "shape=own", "ways=yes"]
    return f"/runs/{reference}/scaling?{'&'.join(part for part in parts if part)}"


def mix_known(repository: Repository, questioned: Questioned, asked: Asked) -> Way | None:
    """The cheapest mix for this traffic, where somebody had all ways simulated of late."""
    fleet = FleetAsked(asked, FleetSettings(shape="own"))
    try:
        ways = FleetQuestion(questioned, fleet).simulation(repository, fleet).known_ways()
    except BadRequest:  # traffic that is too long to be simulated here
        return None
    return None if ways is None else cheapest_mix(ways)


class FleetQuestion(NamedTuple):
    """A run whose traffic may be played. before: as it was asked itself, at today's prices."""

    questioned: Questioned
    before: FleetAsked

    @classmethod
    def of(cls, repository: Repository, reference: str) -> Self:
        questioned = Questioned.of(repository, reference)
        return cls(questioned, FleetAsked(questioned.asked))

    def simulation(self, repository: Repository, asked: FleetAsked) -> Simulation:
        """Raises BadRequest, UsageError and PricingError for what cannot be asked."""
        run, demand, before = self.questioned
        named = asked.base.platforms != before.platforms
        return repository.simulation(
            run,
            asked.base.demand(demand),
            asked.terms,
            asked.base.book,
            asked.base.platforms if named else None,
        )


def table_of(trace: TrafficTrace) -> dict[str, Any]:
    """The fields that say a table that was dropped: its rows, summed up until they are few enough.

    Raises BadRequest where it is too long.
    """
    step_min = next(
        (
            each
            for each in STEPS_MIN
            if each * 60 >= trace.step_s and trace.duration_s <= MOST_COUNTS * each * 60
        ),
        None,
    )
    if step_min is None or trace.duration_s > LONGEST_S:
        raise BadRequest(
            f"the table has {trace.duration_s / DAY_S:.3g} days in steps of "
            f"{trace.step_s / 60:g} min; {LONGEST_S / DAY_S:.0f} days in steps of at most an hour "
            "are the most here",
            hint="recommender simulate --traffic FILE plays a hundred days",
        )
    steps = trace if trace.step_s == step_min * 60 else trace.in_steps_of(step_min * 60.0)
    counts = tuple(round(each) for each in (steps.rate_rps * steps.step_s).tolist())
    if not any(counts):
        raise BadRequest("the table holds no request", hint="count requests, a row a step")
    return {
        "shape": "own",
        "hours": counts,
        "step_min": step_min,
        "start": "" if trace.start is None else trace.start.isoformat(),
        "rate_rps": steps.mean_rps,
    }


def _bounded(instances: int) -> int:
    if not 1 <= instances <= MOST_INSTANCES:
        raise BadRequest(
            f"{instances:,} instances", hint=f"between 1 and {MOST_INSTANCES:,} of them"
        )
    return instances


def _start(text: str) -> str:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadRequest(f"a start at {text!r} is no time", hint=HINT) from error
    if found is not None and found.tzinfo is None:
        raise BadRequest(f"a start at {text!r} names no zone", hint=HINT)
    return text


def _policy(letters: str) -> str:
    try:
        return unpacked(letters, MOST_POLICY_TEXT)
    except (ValueError, zlib.error) as error:
        raise BadRequest("the policy in the address is not readable", hint=HINT) from error


_READ: Mapping[str, Any] = {
    "peak_ratio": read_rate,
    "spread_percent": read_whole,
    "step_min": read_whole,
    "start": _start,
    "target": read_rate,
    "least": read_whole,
    "most": read_whole,
    "cooldown_out_s": read_rate,
    "cooldown_in_s": read_rate,
    "replicas": read_whole,
    "policy": _policy,
}
