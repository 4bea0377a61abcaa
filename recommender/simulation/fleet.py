"""A fleet of equal replicas under a day, a week or a month of traffic.

A stochastic fluid: in each step the arrivals are a Poisson count, replicas are as the policy has
them (autoscaling.py), and the work that a step leaves over goes on into the next (backlog.py;
replica.py has the equations). All policies meet the same arrivals and the same
chance, so that what differs between them is the policy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from recommender.simulation.autoscaling import Scaler
from recommender.simulation.backlog import BacklogState, backlog
from recommender.simulation.outcome import FleetTimeline, Outcome, Requests, Timeline, Usage
from recommender.simulation.replica import SOON, ReplicaQueue
from recommender.simulation.scaling_policy import AlarmTiming
from recommender.simulation.traffic import HOUR_S, MINUTE_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from recommender.simulation.autoscaling import Scaled
    from recommender.simulation.backlog import Backlog
    from recommender.simulation.replica import LatencyLimit, Replica
    from recommender.simulation.scaling_policy import Policy
    from recommender.simulation.traffic import TrafficTrace

    Floats = NDArray[np.float64]

__all__ = ["INSTANCES", "FleetScenario", "simulate_fleet"]

INSTANCES = "instances"
ROWS = 3000  # policies x draws that are worked on together
CELLS = 500_000  # of them x steps
MEDIAN, RARE = 0.5, 0.99


@dataclass(frozen=True, eq=False)
class FleetScenario:
    """levels: how many times the trace really comes, shape (draws,), as of the replica.

    step_s: also how often the metric has a datapoint. timeout_s: a request that would wait longer
    is refused (SageMaker's limit on an answer is 60 s).
    """

    trace: TrafficTrace
    replica: Replica
    limit: LatencyLimit
    levels: Floats
    step_s: float = MINUTE_S
    timing: AlarmTiming = field(default_factory=AlarmTiming)
    timeout_s: float = 60.0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.levels.shape != self.replica.saturation_rps.shape:
            raise ValueError(f"{self.levels.shape} levels for {self.replica.draws} draws")


def simulate_fleet(
    scenario: FleetScenario, policies: Sequence[Policy], *, with_timeline: bool = True
) -> list[Outcome]:
    """One outcome for each policy, in their order."""
    chance = _chance(scenario)
    families: dict[tuple[object, ...], list[int]] = {}
    for place, policy in enumerate(policies):
        families.setdefault(policy.family, []).append(place)
    found: dict[int, Outcome] = {}
    for places in families.values():
        for together in _parts(places, ROWS // scenario.replica.draws):
            chosen = [policies[place] for place in together]
            courses, tally = _courses(scenario, chance, chosen, with_timeline=with_timeline)
            for column, place in enumerate(together):
                found[place] = _outcome(scenario, tally, courses, column)
    return [found[place] for place in range(len(policies))]


def _parts(places: Sequence[int], size: int) -> Iterator[list[int]]:
    for first in range(0, len(places), max(size, 1)):
        yield list(places[first : first + max(size, 1)])


class _Chance(NamedTuple):
    """Shapes (steps, draws): what comes, and the queues' own luck."""

    seconds_of_week: Floats
    rate_rps: Floats
    arrivals: Floats
    normal: Floats
    exponential: Floats

    def part(self, first: int, until: int) -> _Chance:
        return _Chance(*(each[first:until] for each in self))


class _Course(NamedTuple):
    """A part of the time; shapes (steps, policies, draws), but for arrivals: (steps, draws)."""

    arrivals: Floats
    scaled: Scaled
    utilization: Floats
    left: Backlog
    failed: Floats
    late_ratio: Floats


class _Tally(NamedTuple):
    """Over all the time; shapes (policies, draws), but for came: (draws,). paid: in steps."""

    steps: int
    came: Floats
    in_time: Floats
    failed: Floats
    paid: Floats
    most: Floats
    queued: Floats

    def with_part(self, course: _Course, saturation_rps: Floats, worth_s: float) -> _Tally:
        """worth_s: who waits no longer than that at the end is as good as served."""
        asked = course.arrivals[:, None] - course.failed
        end = course.left.end
        wait_s = np.where(end.wait_s > worth_s, end.wait_s, 0.0)
        return _Tally(
            steps=self.steps + len(course.arrivals),
            came=self.came + course.arrivals.sum(axis=0),
            in_time=self.in_time + (asked * (1 - course.late_ratio)).sum(axis=0),
            failed=self.failed + course.failed.sum(axis=0),
            paid=self.paid + course.scaled.paid.sum(axis=0),
            most=np.maximum(self.most, course.scaled.replicas.max(axis=0)),
            queued=wait_s * end.replicas * saturation_rps,
        )


def _courses(
    scenario: FleetScenario, chance: _Chance, policies: Sequence[Policy], *, with_timeline: bool
) -> tuple[list[_Course], _Tally]:
    """Part by part, so that a longer time takes no more memory; parts are kept for a timeline."""
    clock = (scenario.step_s, chance.seconds_of_week)
    scaler = Scaler(policies, scenario.replica, chance.arrivals, clock, scenario.timing)
    state = BacklogState.idle(scaler.serving.copy())
    nothing = np.zeros_like(state.replicas)
    tally = _Tally(0, nothing[0], *(nothing,) * 5)
    steps, size = len(chance.arrivals), max(CELLS // nothing.size, 1)
    courses = []
    for first in range(0, steps, size):
        until = min(first + size, steps)
        course = _course(scenario, chance.part(first, until), scaler.run(first, until), state)
        tally = tally.with_part(course, scenario.replica.saturation_rps, SOON * scenario.step_s)
        state = course.left.end
        if with_timeline:
            courses.append(course)
    return courses, tally


def _chance(scenario: FleetScenario) -> _Chance:
    trace = scenario.trace.in_steps_of(scenario.step_s)
    rate_rps = trace.rate_rps[:, None] * scenario.levels
    rng = np.random.default_rng(np.random.SeedSequence([scenario.seed, 0xF1EE7]))
    arrivals = rng.poisson(rate_rps * scenario.step_s).astype(np.float64)
    return _Chance(
        trace.seconds_of_week,
        rate_rps,
        arrivals,
        rng.standard_normal(rate_rps.shape),
        rng.standard_exponential(rate_rps.shape),
    )


def _course(
    scenario: FleetScenario, chance: _Chance, scaled: Scaled, start: BacklogState
) -> _Course:
    replica = scenario.replica
    queue = ReplicaQueue(replica, scenario.limit, scenario.step_s, scenario.timeout_s)
    utilization = chance.rate_rps[:, None] / (scaled.replicas * replica.saturation_rps)
    moves = queue.moves(utilization, chance.normal[:, None], chance.exponential[:, None])
    worth_s = SOON * scenario.step_s
    left = backlog(scaled.replicas, moves, start, scenario.timeout_s, worth_s)
    failed = left.refused_s * scaled.replicas * replica.saturation_rps
    return _Course(
        chance.arrivals,
        scaled,
        utilization,
        left,
        np.minimum(failed, chance.arrivals[:, None]),
        _late_ratio(queue, utilization, left),
    )


def _late_ratio(queue: ReplicaQueue, utilization: Floats, left: Backlog) -> Floats:
    draw = np.arange(queue.replica.draws)
    late = queue.late_ratio(utilization, left.old_s, draw)
    is_split = left.old_ratio < 1
    if is_split.any():
        draws = np.broadcast_to(draw, is_split.shape)[is_split]
        at_new = queue.late_ratio(utilization[is_split], left.new_s[is_split], draws)
        ratio = left.old_ratio[is_split]
        late[is_split] = ratio * late[is_split] + (1 - ratio) * at_new
    return late


def _outcome(
    scenario: FleetScenario, tally: _Tally, courses: Sequence[_Course], column: int
) -> Outcome:
    came, lost = tally.came, tally.failed[column]
    queued = np.minimum(tally.queued[column], came - lost)
    served = came - lost - queued
    requests = Requests(
        arrivals=came,
        served=served,
        good=np.minimum(tally.in_time[column], served),
        failed=lost,
        throttled=np.zeros_like(came),
        queued=queued,
    )
    hours = tally.paid[column] * (scenario.step_s / HOUR_S)
    return Outcome(
        duration_s=tally.steps * scenario.step_s,
        requests=requests,
        usage=(Usage(INSTANCES, "instance-hour", hours),),
        timeline=_timeline(scenario, courses, column, hours) if courses else None,
        most_replicas=tally.most[column],
    )


def _timeline(
    scenario: FleetScenario, courses: Sequence[_Course], column: int, hours: Floats
) -> Timeline:
    """Of the draw that is in the middle by what it costs."""
    draw = int(np.argsort(hours)[len(hours) // 2])
    replica = scenario.replica

    def of(parts: Iterable[Floats]) -> Floats:
        return np.concatenate([part[:, column, draw] for part in parts])

    utilization = of(course.utilization for course in courses)
    wait_s = of(course.left.wait_s for course in courses)
    replicas = of(course.scaled.replicas for course in courses)
    alone = replica.of_draws(np.array([draw]))

    def latency_s(quantile: float) -> Floats:
        return np.asarray(alone.latency_s(utilization[:, None], quantile)[:, 0] + wait_s)

    return Timeline(
        step_s=scenario.step_s,
        arrivals=np.concatenate([course.arrivals[:, draw] for course in courses]),
        replicas=replicas,
        utilization_ratio=utilization,
        latency_s=latency_s(scenario.limit.quantile),
        good_ratio=1 - of(course.late_ratio for course in courses),
        queued=wait_s * replicas * replica.saturation_rps[draw],
        fleet=FleetTimeline(
            paid=of(course.scaled.paid for course in courses),
            p50_s=latency_s(MEDIAN),
            p99_s=latency_s(RARE),
        ),
    )
