"""Fifty random fleets: cost and attainment by the program, and request by request (Ciw).

`python tests/simulation/fifty_fleets.py` prints them; a number prints so many others.
"""

import math
import sys
from dataclasses import dataclass

import ciw
import numpy as np
from discrete_fleet import Case, Stepping, Tracking, paid_s, play
from rich.console import Console
from rich.table import Table
from simulated_fleets import replica, scenario

from recommender.simulation.fleet import simulate_fleet
from recommender.simulation.scaling_policy import (
    FixedSize,
    Policy,
    ScheduledBounds,
    StepScaling,
    TargetTracking,
)

HOW_MANY = 50
TOLERANCE = 0.05
MINUTES = 90
T = np.arange(MINUTES)
SHAPES = ("a wave", "bursts", "a ramp", "steady")
LAWS = ("tracking", "stepping", "scheduled", "fixed")
DRAWS = 200
# Chance moves the truth as well: it is played until it is known to about a percent.
COURSES, FEWEST, MOST, SURE_RATIO = 100, 2, 10, 0.012


@dataclass(frozen=True)
class Fleet:
    words: str
    case: Case
    mean_s: float
    cv: float
    limit_s: float


def random_fleet(seed):
    """Every shape of traffic under every kind of scaling, in turn; all else at random."""
    rng = np.random.default_rng([seed, 0xF1F7])
    shape, law = SHAPES[seed % 4], LAWS[seed // 4 % 4]
    servers, cv = int(rng.choice([1, 2, 4])), float(rng.choice([0.5, 1.0, 1.5]))
    mean_s = servers * float(rng.choice([1.5, 2.5]))
    full_rps = servers / mean_s  # of a replica
    busy = busy_replicas(shape, rng)
    scaling, bounds, schedule = random_scaling(law, busy, 60 * full_rps, rng)
    case = Case(
        rate_rps=busy * full_rps,
        servers=servers,
        service=ciw.dists.Gamma(1 / cv**2, mean_s * cv**2),
        bounds=bounds,
        scaling=scaling,
        start_s=float(rng.choice([60, 120, 240])),
        delay_s=float(rng.choice([60, 120])),
        schedule=schedule,
    )
    limit_s = mean_s * float(rng.choice([3.0, 5.0, 8.0]))
    return Fleet(f"{shape}, {law}", case, mean_s, cv, limit_s)


def busy_replicas(shape, rng):
    """How many each minute's requests keep busy."""
    low, peak = rng.uniform(0.5, 1.5), rng.uniform(2, 4)
    match shape:
        case "a wave":
            wave = 0.5 - 0.5 * np.cos(2 * np.pi * T / rng.choice([45, 90]))
        case "bursts":
            wave = (45 - rng.integers(8, 20) <= T % 45).astype(float)
        case "a ramp":
            wave = np.clip((T - 15) / rng.uniform(15, 60), 0, 1)
        case "steady":
            wave = np.full(MINUTES, 0.6)
    return low + (peak - low) * wave


def random_scaling(law, busy, full_rpm, rng):
    """The law, (least, most), and when these change; full_rpm: what a replica serves at most."""
    load, cooldown_s = rng.uniform(0.5, 0.75), float(rng.choice([120, 300]))
    tracking = Tracking(load * full_rpm, cooldown_s, float(rng.choice([180, 300])))
    bounds, most = (1, 40), busy.max()
    match law:
        case "tracking":
            return tracking, bounds, {}
        case "stepping":
            changes = ((0.0, 1), (0.3 * full_rpm, 3))
            low, high = 0.6 * load * full_rpm, load * full_rpm
            return Stepping(high, low, changes, cooldown_s), bounds, {}
        case "scheduled":
            ahead = max(math.ceil(most / load) - 1, 1)
            return tracking, bounds, {0: bounds, 20: (ahead, 40), 70: bounds}
        case "fixed":
            size = math.ceil(most / rng.uniform(0.7, 0.95))
            return None, (size, size), {}


def policy_of(case):
    match case.scaling:
        case Tracking(target, out_s, in_s):
            scaling = TargetTracking("invocations", target, out_s, in_s)
        case Stepping(high, low, changes, cooldown_s):
            scaling = StepScaling("invocations", high, low, changes, 1, cooldown_s)
        case None:
            scaling = FixedSize()
    schedule = tuple(ScheduledBounds(60.0 * at, *many) for at, many in case.schedule.items())
    return Policy(*case.bounds, scaling, schedule)


@dataclass(frozen=True)
class Compared:
    """Each pair: by the program, and request by request. requests: that were played.

    inside: of each of the two, whether each play lay within the program's 80 % interval.
    """

    words: str
    requests: int
    replica_h: tuple
    attained: tuple
    failed: tuple
    inside: tuple

    @property
    def errors(self):
        return tuple(found / true - 1 for found, true in (self.replica_h, self.attained))


def compared(seed):
    fleet = random_fleet(seed)
    case = fleet.case
    found = simulated(fleet)
    plays = played(fleet, 1000 * seed)
    came = sum(each.arrivals for each in plays)
    hours = [paid_s(case, 1000 * seed + n) / 3600 for n in range(COURSES)]
    asked, shares = found.requests, [each.good / each.arrivals for each in plays]
    paid_h = found.usage[0].amount
    return Compared(
        words=fleet.words,
        requests=came,
        replica_h=(paid_h.mean(), np.mean(hours)),
        attained=(asked.attainment.mean(), sum(each.good for each in plays) / came),
        failed=((asked.failed / asked.arrivals).mean(), sum(each.failed for each in plays) / came),
        inside=(within(hours, paid_h), within(shares, asked.attainment)),
    )


def within(played, draws):
    low, high = np.quantile(draws, [0.1, 0.9])
    return (played >= low - 1e-9) & (played <= high + 1e-9)


def simulated(fleet):
    case = fleet.case
    of = replica(case.servers, fleet.mean_s, cv=fleet.cv, draws=DRAWS, start_s=case.start_s)
    asked = scenario(
        case.rate_rps, of, limit_s=fleet.limit_s, timeout_s=60.0, metric_delay_s=case.delay_s
    )
    return simulate_fleet(asked, [policy_of(case)], with_timeline=False)[0]


def played(fleet, seed):
    plays, shares = [], []
    while len(plays) < MOST:
        plays.append(play(fleet.case, fleet.limit_s, seed + len(plays)))
        shares.append(plays[-1].good / plays[-1].arrivals)
        spread = np.std(shares, ddof=1) if len(plays) >= FEWEST else math.inf
        if spread / math.sqrt(len(plays)) < SURE_RATIO * np.mean(shares):
            break
    return plays


def main():
    names = (
        "fleet",
        "requests",
        "replica-hours",
        "played",
        "error",
        "attained",
        "played",
        "error",
    )
    table = Table(*names, box=None, pad_edge=False)
    worst, inside = np.zeros(2), ([], [])
    others = range(HOW_MANY, HOW_MANY + int(sys.argv[1])) if len(sys.argv) > 1 else None
    for seed in others or range(HOW_MANY):
        row = compared(seed)
        worst = np.maximum(worst, np.abs(row.errors))
        for known, each in zip(inside, row.inside, strict=True):
            known.append(each)
        hours, good = (f"{error:+.1%}" for error in row.errors)
        (found_h, true_h), (found, true) = row.replica_h, row.attained
        table.add_row(
            f"{seed + 1}. {row.words}", f"{row.requests:,}",
            f"{found_h:.2f}", f"{true_h:.2f}", hours, f"{found:.1%}", f"{true:.1%}", good,
        )  # fmt: skip
    console = Console(highlight=False, width=110)
    console.print(table)
    console.print(f"largest error: cost {worst[0]:.1%}, attainment {worst[1]:.1%}; bar 5 %")
    paid, attained = (np.concatenate(each).mean() for each in inside)
    console.print(f"within the 80 % interval: {paid:.0%} of costs, {attained:.0%} of attainments")
    sys.exit(0 if worst.max() <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
