"""A fleet request by request, written apart from the program: its scaler as AWS words it, its
queues by Ciw. Nothing here is imported from the simulation."""

import math
from dataclasses import dataclass, field

import ciw
import numpy as np

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Tracking:
    """target: invocations of one instance in a minute."""

    target: float
    cooldown_out_s: float = 300.0
    cooldown_in_s: float = 300.0


@dataclass(frozen=True)
class Stepping:
    """changes: (how far above `high`, how many more); one less below `low`."""

    high: float
    low: float
    changes: tuple = ((0.0, 1),)
    cooldown_s: float = 300.0


@dataclass(frozen=True)
class Case:
    """rate_rps: in each minute. servers: of one replica. bounds: fewest and most replicas.

    scaling: None for a fixed size. schedule: {minute: bounds from then on}.
    """

    rate_rps: np.ndarray
    servers: int
    service: object  # a distribution of Ciw
    bounds: tuple
    scaling: Tracking | Stepping | None
    start_s: float = 120.0
    delay_s: float = 60.0
    schedule: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Course:
    arrivals: int
    good: int
    failed: int


class Scaler:
    """One minute after another."""

    def __init__(self, case, first_count):
        self.case, self.least, self.most = case, *case.schedule.get(0, case.bounds)
        self.serving = self.least
        if case.scaling is not None:
            wanted = math.ceil(first_count / high(case.scaling))
            self.serving = min(max(wanted, self.least), self.most)
        self.starting = []  # (ready at, how many)
        self.metrics = []  # of each minute: requests per instance, and instances
        self.free_out_s = self.free_in_s = -math.inf
        self.last_added = 0

    @property
    def wanted(self):
        return self.serving + sum(many for _, many in self.starting)

    def at(self, now_s):
        """Replicas in service, and paid for, in the minute that begins."""
        case = self.case
        self.serving += sum(many for ready_s, many in self.starting if ready_s <= now_s)
        self.starting = [each for each in self.starting if each[0] > now_s]
        if round(now_s / 60) in case.schedule:
            self.least, self.most = case.schedule[round(now_s / 60)]
        self._keep_bounds(now_s)
        known = self.metrics[: max(0, len(self.metrics) - round(case.delay_s / 60))]
        if known:
            match case.scaling:
                case Tracking():
                    self._track(now_s, known)
                case Stepping():
                    self._step(now_s, known)
        return self.serving, self.wanted

    def _keep_bounds(self, now_s):
        if self.wanted > self.most:
            self.serving, self.starting = self.most, []
        if self.wanted < self.least:
            self.starting.append((now_s + self.case.start_s, self.least - self.wanted))

    def _track(self, now_s, known):
        law = self.case.scaling
        value, instances = known[-1]
        needed = math.ceil(instances * value / law.target - 1e-9)
        if len(known) >= 3 and all(v > law.target for v, _ in known[-3:]):
            more = min(needed, self.most) - self.wanted
            unfiltered = needed - self.wanted
            if more > 0 and (now_s >= self.free_out_s or unfiltered > self.last_added):
                self._add(now_s, more, law.cooldown_out_s)
        if len(known) >= 15 and all(v < 0.9 * law.target for v, _ in known[-15:]):
            fewer = self.serving - max(needed, self.least)
            self._take(now_s, fewer, law.cooldown_in_s)

    def _step(self, now_s, known):
        law, (value, _) = self.case.scaling, known[-1]
        if len(known) >= 3 and all(v > law.high for v, _ in known[-3:]):
            step = [many for distance, many in law.changes if value - law.high >= distance][-1]
            counted = self.last_added if now_s < self.free_out_s else 0
            more = min(step - counted, self.most - self.wanted)
            if more > 0:
                self._add(now_s, more, law.cooldown_s)
        if len(known) >= 15 and all(v < law.low for v, _ in known[-15:]):
            self._take(now_s, min(1, self.serving - self.least), law.cooldown_s)

    def _add(self, now_s, more, cooldown_s):
        self.starting.append((now_s + self.case.start_s, more))
        self.last_added = more
        self.free_out_s = now_s + self.case.start_s + cooldown_s

    def _take(self, now_s, fewer, cooldown_s):
        if fewer > 0 and not self.starting and now_s >= self.free_in_s:
            self.serving -= fewer
            self.free_in_s = now_s + cooldown_s

    def counted(self, arrivals):
        self.metrics.append((arrivals / self.serving, self.serving))


def high(scaling):
    return scaling.target if isinstance(scaling, Tracking) else scaling.high


def course(case, rng):
    """Minute by minute: requests that come, replicas in service, and paid for."""
    counts = rng.poisson(case.rate_rps * 60)
    scaler = Scaler(case, counts[0])
    for minute, count in enumerate(counts):
        yield count, *scaler.at(minute * 60)
        scaler.counted(count)


def paid_s(case, seed):
    return 60 * sum(paid for _, _, paid in course(case, np.random.default_rng(seed)))


def play(case, limit_s, seed):
    """Requests that would wait longer than TIMEOUT_S give up."""
    rng = np.random.default_rng(seed)
    due = {}  # at each replica; the newest leaves first
    came = 0
    for minute, (count, serving, _) in enumerate(course(case, rng)):
        came += count
        times = np.sort(rng.uniform(minute * 60, minute * 60 + 60, count))
        for replica, time in zip(rng.integers(serving, size=count), times, strict=True):
            due.setdefault(int(replica), []).append(float(time))
    taken = [_taken(times, case, seed + replica) for replica, times in due.items()]
    good = sum(sum(each <= limit_s for each in of) for of in taken)
    return Course(int(came), good, int(came) - sum(len(of) for of in taken))


def _taken(times, case, seed):
    """How long each request of one replica takes, of those that did not give up."""
    gaps = np.diff([0.0, *times]).tolist()
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential([*gaps, 1e9])],
        service_distributions=[case.service],
        number_of_servers=[case.servers],
        reneging_time_distributions=[ciw.dists.Deterministic(TIMEOUT_S)],
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(times[-1] + 1e6)
    records = simulation.get_all_records()
    assert len(records) == len(times)
    answered = [each for each in records if each.record_type == "service"]
    return [each.exit_date - each.arrival_date for each in answered]
