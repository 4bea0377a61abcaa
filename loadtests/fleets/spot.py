"""What each interruption cost: requests, goodput, latency, capacity, and time to recover."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.stats import chi2
from scipy.stats import t as student

from loadtests.fleets.interruptions import Interruption, Interruptions
from loadtests.fleets.passing import Frozen, is_good, load_began_s
from loadtests.fleets.recovery import Recovered, Recovery, as_interval, recovered, usual_of
from loadtests.fleets.replicas import ReplicasReport, replicas_report
from loadtests.intervals import Interval, dependent_quantile
from loadtests.samples import Samples, ratio_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Drilled", "InterruptionCost", "Phase", "SpotReport", "spot_report"]

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Drilled:
    """asked: what was to happen; done: what did; passages: of the same load."""

    asked: Interruptions
    done: tuple[Interruption, ...]
    passages: NDArray[np.void]


class Phase(Frozen):
    """Of the answers that came within from_s and to_s of the load.

    goodput_rps: good answers, within the limit where there is one. latency: at the quantile that
    recovery is judged by, due to done. None where nothing came.
    """

    from_s: float
    to_s: float
    answers: int
    goodput_rps: Interval
    latency: Interval


class InterruptionCost(Frozen):
    """One interruption; times are seconds from the start of the load, of the drill's own length.

    gone_s: from when on the replica was not to be counted on: drained or told to end, else killed.
    broken: requests that it had been given and did not answer well, from the notice on.
    lost: requests in progress or due from the notice until all was as before that got no good
    answer, up to the next notice; usual_lost: as many would have been lost without it.
    goodput_lost: good answers, within the limit, that were missing then.
    missing_s: how long one replica's capacity was missing. missing_full_s: with the platform's
    times at full length.
    recovered_s: from gone_s until latency and errors were as before and stayed so; 0 where they
    never left it.
    reason: what is not known of it, and why.
    """

    member: int | None
    replacement: int | None
    noticed_s: float
    gone_s: float | None = None
    killed_s: float | None = None
    replaced_s: float | None = None
    start_s: float | None = None
    broken: int = 0
    lost: int = 0
    usual_lost: float | None = None
    goodput_lost: Interval = Interval(value=None)
    before: Phase | None = None
    during: Phase | None = None
    after: Phase | None = None
    missing_s: float | None = None
    missing_full_s: float | None = None
    recovered_s: Interval = Interval(value=None)
    reason: str | None = None


class SpotReport(Frozen):
    """lost_each, goodput_lost_each, missing_full_each_s, recovered_each_s: an interruption's mean.

    turned_away: requests that met no replica in service, of the whole load.
    """

    kind: Literal["spot"] = "spot"
    asked: Interruptions
    judged_by: Recovery
    interruptions: tuple[InterruptionCost, ...]
    lost_each: Interval
    goodput_lost_each: Interval
    missing_full_each_s: Interval
    recovered_each_s: Interval
    turned_away: int
    replicas: ReplicasReport

    def lost_per_hour(self, interruptions_per_hour: float) -> Interval:
        """At this load; interruptions_per_hour: of the whole fleet."""
        return _times(self.lost_each, interruptions_per_hour)

    def missing_ratio(self, interruptions_per_hour: float) -> Interval:
        """Replicas that are missing on average, at that rate of the whole fleet."""
        return _times(self.missing_full_each_s, interruptions_per_hour / 3600)


def spot_report(
    samples: Samples,
    drilled: Drilled,
    recovery: Recovery = Recovery(),  # noqa: B008 - a value, never changed
) -> SpotReport:
    """samples: in due order, failures among them."""
    costs = _costs(samples, drilled, recovery)
    happened = [each for each in costs if each.member is not None]
    replicas = replicas_report(drilled.passages)
    return SpotReport(
        asked=drilled.asked,
        judged_by=recovery,
        interruptions=tuple(costs),
        lost_each=_mean_count([each.lost for each in happened]),
        goodput_lost_each=_mean([each.goodput_lost.value for each in happened]),
        missing_full_each_s=_mean([each.missing_full_s for each in happened]),
        recovered_each_s=_mean([each.recovered_s.value for each in happened]),
        turned_away=replicas.turned_away,
        replicas=replicas,
    )


def _costs(samples: Samples, drilled: Drilled, recovery: Recovery) -> list[InterruptionCost]:
    began_s = load_began_s(samples, drilled.passages)
    if began_s is None:
        return []
    ends_s = float(samples.due_s[-1])
    within = [done for each in drilled.done if (done := each.since(began_s)).noticed_s < ends_s]
    horizons_s = [each.noticed_s for each in within[1:]] + [ends_s]
    run = _Run(samples, _ended_s(samples), drilled, recovery, began_s)
    costs: list[InterruptionCost] = []
    calm_s = 0.0
    for each, horizon_s in zip(within, horizons_s, strict=True):
        found = _Around(run, each, calm_s, horizon_s)
        costs.append(found.cost())
        calm_s = found.settled_s
    return costs


def _ended_s(samples: Samples) -> NDArray[np.float64]:
    """Of each sample; what was never sent ended when it was due."""
    return np.where(samples.is_sent, samples.records["done_us"] / 1e6, samples.due_s)


@dataclass(frozen=True, slots=True)
class _Run:
    samples: Samples
    ended_s: NDArray[np.float64]
    drilled: Drilled
    recovery: Recovery
    began_s: float

    def phase(self, from_s: float, to_s: float) -> Phase | None:
        if to_s <= from_s:
            return None
        came = (self.ended_s >= from_s) & (self.ended_s < to_s)
        good, count = int(np.sum(self.is_good & came)), int(np.sum(came))
        share = ratio_bound(good, count)
        rate_rps = count / (to_s - from_s)
        return Phase(
            from_s=from_s,
            to_s=to_s,
            answers=count,
            goodput_rps=_times(Interval.of(share), rate_rps),
            latency=dependent_quantile(
                self.samples.latency_s[came], self.recovery.quantile
            ).seconds,
        )

    @property
    def is_good(self) -> NDArray[np.bool_]:
        limit_s = self.recovery.limit_s
        return self.samples.latency_s <= (np.finfo(np.float64).max if limit_s is None else limit_s)

    def part(self, chosen: NDArray[np.bool_]) -> Samples:
        return Samples(self.samples.records[chosen])


class _Around:
    """One interruption, the calm before it from calm_s on, and what follows until horizon_s."""

    def __init__(self, run: _Run, done: Interruption, calm_s: float, horizon_s: float) -> None:
        self._run, self._done, self._horizon_s = run, done, horizon_s
        self._before_s = max(calm_s, done.noticed_s - run.recovery.before_s)
        self._gone_s, self._killed_s, self._replaced_s = (
            at_s if at_s is not None and at_s <= run.samples.due_s[-1] else None
            for at_s in (done.gone_s, done.killed_s, done.replaced_s)
        )
        over_s = horizon_s if self._replaced_s is None else self._replaced_s
        self._over_s = min(max(over_s, self._killed_s or horizon_s), horizon_s)
        self._recovered = self._find_recovery()
        back_s = self._recovered.at_s
        self.settled_s = horizon_s if back_s is None else max(back_s, self._over_s)

    def _find_recovery(self) -> Recovered:
        run, noticed_s = self._run, self._done.noticed_s
        calm = (run.ended_s >= self._before_s) & (run.ended_s < noticed_s)
        usual = usual_of(run.part(calm), run.recovery)
        if usual is None:
            return Recovered(None, reason="too few answers before it to compare with")
        in_progress = run.samples.due_s[run.ended_s >= noticed_s]
        first_s = float(in_progress[0]) if len(in_progress) else noticed_s
        span_s = (min(first_s, noticed_s), self._horizon_s)
        return recovered(run.samples, usual, span_s, run.recovery.for_s)

    def cost(self) -> InterruptionCost:
        run, done = self._run, self._done
        told = InterruptionCost(
            member=done.member,
            replacement=done.replacement,
            noticed_s=done.noticed_s,
            reason=done.trouble,
        )
        if done.member is None:
            return told
        return told.model_copy(
            update={
                "gone_s": self._gone_s,
                "killed_s": self._killed_s,
                "replaced_s": self._replaced_s,
                "start_s": done.start_s,
                "broken": self._broken(done.member),
                **self._lost(),
                "before": run.phase(self._before_s, done.noticed_s),
                "during": run.phase(done.noticed_s, self._over_s),
                "after": run.phase(self.settled_s, self._horizon_s),
                "missing_s": self._missing_s(),
                "missing_full_s": _missing_full_s(done, run.drilled.asked),
                "recovered_s": as_interval(self._recovered, self._since_s),
                "reason": done.trouble or self._recovered.reason,
            }
        )

    @property
    def _since_s(self) -> float:
        return self._done.noticed_s if self._gone_s is None else self._gone_s

    def _broken(self, member: int) -> int:
        passages = self._run.drilled.passages
        since_s = self._run.began_s + self._done.noticed_s
        its = (passages["member"] == member) & (passages["answered_s"] >= since_s)
        return int(np.sum(its & ~is_good(passages)))

    def _lost(self) -> dict[str, object]:
        run, noticed_s = self._run, self._done.noticed_s
        hit = (run.ended_s >= noticed_s) & (run.samples.due_s <= self.settled_s)
        if self._horizon_s < run.samples.due_s[-1]:
            hit &= run.ended_s < self._horizon_s  # what ends later is the next one's
        calm = (run.ended_s >= self._before_s) & (run.ended_s < noticed_s)
        bad, count = ~run.samples.is_success, int(np.sum(hit))
        usually_bad = ratio_bound(int(np.sum(bad & calm)), int(np.sum(calm))).value
        usually_good = ratio_bound(int(np.sum(run.is_good & calm)), int(np.sum(calm)))
        good = int(np.sum(run.is_good & hit))
        expected = _times(Interval.of(usually_good), count)
        return {
            "lost": int(np.sum(bad & hit)),
            "usual_lost": None if usually_bad is None else usually_bad * count,
            "goodput_lost": _plus(expected, -good),
        }

    def _missing_s(self) -> float | None:
        if self._gone_s is None:
            return None
        until_s = (
            float(self._run.samples.due_s[-1]) if self._replaced_s is None else self._replaced_s
        )
        return max(until_s - self._gone_s, 0.0)


def _missing_full_s(done: Interruption, asked: Interruptions) -> float | None:
    """As it would be with the platform's times unscaled; the server's own start is real."""
    if done.start_s is None:
        return None
    asked_for_s = 0.0 if asked.replaced_from == "notice" else asked.notice_s
    told = asked.drains or asked.signals
    gone_s = 0.0 if told else asked.notice_s
    return max(asked_for_s + asked.start_up_delay_s + done.start_s - gone_s, 0.0)


def _times(interval: Interval, factor: float) -> Interval:
    return Interval(
        **{
            name: None if value is None else value * factor
            for name, value in interval.model_dump().items()
        }
    )


def _plus(interval: Interval, amount: float) -> Interval:
    return Interval(
        **{
            name: None if value is None else value + amount
            for name, value in interval.model_dump().items()
        }
    )


def _mean(values: list[float | None]) -> Interval:
    """Of those known, with Student's interval; one alone has none. Times and counts: from 0 on."""
    known = np.array([each for each in values if each is not None])
    if len(known) == 0:
        return Interval(value=None)
    mean = float(known.mean())
    if len(known) == 1:
        return Interval(value=mean)
    half = float(student.ppf(0.5 + CONFIDENCE / 2, len(known) - 1) * known.std(ddof=1))
    half /= math.sqrt(len(known))
    return Interval(value=mean, low=max(mean - half, min(mean, 0.0)), high=mean + half)


def _mean_count(counts: list[int]) -> Interval:
    """The wider of Student's interval and that of a Poisson count (Garwood 1936).

    Equal counts say less than Student's would have it: none lost three times is not never.
    """
    by_spread = _mean([float(each) for each in counts])
    if by_spread.value is None:
        return by_spread
    total, tail = sum(counts), (1 - CONFIDENCE) / 2
    low = float(chi2.ppf(tail, 2 * total)) / 2 / len(counts) if total else 0.0
    high = float(chi2.ppf(1 - tail, 2 * total + 2)) / 2 / len(counts)
    return Interval(
        value=by_spread.value,
        low=low if by_spread.low is None else min(low, by_spread.low),
        high=high if by_spread.high is None else max(high, by_spread.high),
    )
