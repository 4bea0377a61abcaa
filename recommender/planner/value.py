"""What the present choice may cost, and which measurement would be worth most: before any is made.

Preposterior analysis on the draws of a recommendation (Raiffa & Schlaifer, Applied Statistical
Decision Theory, 1961). Measuring machine m shows its throughput s_m, and then the option of least
expected cost is taken, so measuring is worth, in a month,

    min_o E[c_o] - E[ min_o E[c_o | s_m] ]

E[c_o | s_m] is the mean over the draws in which s_m falls into the same tenth of its range (Strong
& Oakley, Medical Decision Making 33, 2013). What one half of the draws would choose is judged by
the other half: by its own draws every choice looks better than it is.

An option misses the SLO in a draw where its cost is infinite. It is then replaced by the cheapest
that does not, and what it usually costs was paid for nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

__all__ = [
    "USD_PER_MINUTE",
    "MeasuringCost",
    "NextMeasurement",
    "ValueOfMeasuring",
    "expected_regret",
    "next_measurement",
]

USD_PER_MINUTE = 0.05  # what a minute of waiting for a measurement is taken to be worth
LEADING = 32  # options by expected cost, and as many by how often they are cheapest
BINS = 10
ERROR_SD = 0.03  # of the log of a measured throughput; what is as certain is not measured again
SURE_ERRORS = 2.0  # standard errors by which another option must be cheaper to change the answer
NOTABLE_RATIO = 0.01  # an answer that saves less is the same answer


@dataclass(frozen=True, slots=True)
class MeasuringCost:
    """Of one machine. command: what would measure it."""

    instance_type: str
    minutes: float
    usd: Decimal
    command: str


@dataclass(frozen=True, slots=True)
class NextMeasurement:
    """expected_saving_usd_per_month: by which it lowers the expected cost of what is chosen."""

    instance_type: str
    minutes: float
    usd: Decimal
    probability_changes_answer: float
    expected_saving_usd_per_month: float
    command: str


@dataclass(frozen=True, slots=True)
class ValueOfMeasuring:
    """expected_regret_usd_per_month: of the option of least expected cost, as things are known.

    ranked: what saves anything, by what it saves in a month less what it costs. best: the first of
    them; None where none saves more in a month than it costs.
    """

    expected_regret_usd_per_month: float
    best: NextMeasurement | None
    ranked: tuple[NextMeasurement, ...]


def expected_regret(cost_draws: Floats, choice: int) -> float:
    """USD a month by which `choice` is expected to cost more than the cheapest of each draw.

    cost_draws: (draws, options), USD a month, infinite where it misses the SLO. Draws in which all
    miss it tell nothing. Infinite where `choice` misses it in all the others.
    """
    losses = _losses(cost_draws)
    if len(losses) == 0:
        return 0.0
    return float(np.mean(losses[:, choice] - losses.min(axis=1)))


def next_measurement(
    cost_draws: Floats,
    signal_draws: Floats,
    machine_of_option: Places,
    measuring: Sequence[MeasuringCost],
    usd_per_minute: float = USD_PER_MINUTE,
) -> ValueOfMeasuring | None:
    """None where no option meets the SLO in any draw.

    cost_draws: (draws, options), as of `expected_regret`. signal_draws: (draws, machines), the log
    of each machine's throughput in the same draws. machine_of_option: its column there, negative
    for an option on none of them. measuring: of each machine, in the order of the columns.
    """
    meets = np.isfinite(cost_draws).any(axis=1)
    losses = _losses(cost_draws)
    if len(losses) == 0:
        return None
    expected = losses.mean(axis=0)
    choice = int(expected.argmin())
    leading = _leading(losses, expected)
    machines = np.unique(machine_of_option[leading])
    machines = machines[machines >= 0]
    signals = signal_draws[np.ix_(meets, machines)]
    uncertain = signals.std(axis=0) > ERROR_SD
    machines, signals = machines[uncertain], signals[:, uncertain]
    saving, changes = _preposterior(
        losses[:, leading],
        int(np.flatnonzero(leading == choice)[0]),
        # With the error of measuring, the same in every call.
        signals + ERROR_SD * np.random.default_rng(0).standard_normal(signals.shape),
    )
    found = [
        _measurement(measuring[machine], float(changes[n]), float(saving[n]))
        for n, machine in enumerate(machines)
        if saving[n] > 0
    ]
    return _by_net_saving(expected_regret(cost_draws, choice), found, usd_per_minute)


def _measurement(cost: MeasuringCost, changes: float, saving: float) -> NextMeasurement:
    return NextMeasurement(
        instance_type=cost.instance_type,
        minutes=cost.minutes,
        usd=cost.usd,
        probability_changes_answer=changes,
        expected_saving_usd_per_month=saving,
        command=cost.command,
    )


def _by_net_saving(
    regret_usd: float, found: Sequence[NextMeasurement], usd_per_minute: float
) -> ValueOfMeasuring:
    def net_usd(each: NextMeasurement) -> float:
        spent = float(each.usd) + each.minutes * usd_per_minute
        return each.expected_saving_usd_per_month - spent

    ranked = tuple(sorted(found, key=lambda each: (-net_usd(each), each.instance_type)))
    return ValueOfMeasuring(
        expected_regret_usd_per_month=regret_usd,
        best=ranked[0] if ranked and net_usd(ranked[0]) > 0 else None,
        ranked=ranked,
    )


def _losses(cost_draws: Floats) -> Floats:
    """Costs of the draws that some option meets the SLO in, with a price on missing it."""
    finite = np.isfinite(cost_draws)
    some = finite.any(axis=1)
    costs, finite = cost_draws[some], finite[some]
    if finite.all():
        return costs
    met = finite.sum(axis=0)
    total = np.where(finite, costs, 0.0).sum(axis=0)
    usual = np.divide(total, met, out=np.full(len(met), math.inf), where=met > 0)
    return np.where(finite, costs, costs.min(axis=1, keepdims=True) + usual)


def _leading(losses: Floats, expected: Floats) -> Places:
    wins = np.bincount(losses.argmin(axis=1), minlength=len(expected))
    by_cost = np.argsort(expected, kind="stable")[:LEADING]
    by_wins = np.argsort(-wins, kind="stable")[:LEADING]
    return np.union1d(by_cost[np.isfinite(expected[by_cost])], by_wins[wins[by_wins] > 0])


def _preposterior(losses: Floats, choice: int, signals: Floats) -> tuple[Floats, Floats]:
    """(USD a month saved, probability that the answer changes) by measuring each machine."""
    more = losses - losses[:, [choice]]
    notable_usd = NOTABLE_RATIO * losses[:, choice].mean()
    halves = [_Binned.of(more[half::2], signals[half::2]) for half in (0, 1)]
    savings, changes = [], []
    for seen, judge in (halves, reversed(halves)):
        surely = seen.mean + SURE_ERRORS * seen.error
        pick = surely.argmin(axis=2)[:, :, None]
        changed = np.take_along_axis(seen.mean, pick, axis=2) < -notable_usd
        changed &= np.take_along_axis(surely, pick, axis=2) < 0
        saved = np.where(changed, -np.take_along_axis(judge.mean, pick, axis=2), 0.0)
        savings.append(saved.mean(axis=(1, 2)))
        changes.append(changed.mean(axis=(1, 2)))
    return np.maximum(np.mean(savings, axis=0), 0.0), np.mean(changes, axis=0)


@dataclass(frozen=True)
class _Binned:
    """Means and their standard errors, (machines, bins, options); bins hold as many draws each."""

    mean: Floats
    error: Floats

    @classmethod
    def of(cls, values: Floats, signals: Floats) -> _Binned:
        draws, machines = signals.shape
        bins = (signals.argsort(axis=0).argsort(axis=0) * BINS // draws).T
        member = (bins[:, None, :] == np.arange(BINS)[:, None]).astype(np.float64)
        count = np.maximum(member.sum(axis=2), 1.0)
        share = (member / count[:, :, None]).reshape(machines * BINS, draws)
        shape = (machines, BINS, values.shape[1])
        mean = (share @ values).reshape(shape)
        variance = (share @ values**2).reshape(shape) - mean**2
        return cls(mean, np.sqrt(np.maximum(variance, 0.0) / count[:, :, None]))
