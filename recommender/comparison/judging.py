"""Which differences are shown, when several are looked at together.

A difference is shown where chance alone would hardly make one so large in any of the figures
(Holm, Scand. J. Statist. 6, 1979, at 5 % for all of them together) and the estimate reaches the
threshold. None is shown where the whole interval lies within the threshold (two one-sided tests:
Schuirmann, J. Pharmacokin. Biopharm. 15, 1987). All else cannot be told.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from loadtests.measurement import Interval
from recommender.comparison.document import Difference, Verdict
from recommender.comparison.estimates import CONFIDENCE, Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.comparison.figures import Figure

__all__ = ["judged", "overall", "shown_interval", "verdict_of"]

ERROR_MARGIN = 0.01  # a difference of shares of requests
BESIDE = ("memory", "start")  # what it takes beside serving: it does not leave a verdict open
READ_ONCE = ("cpu", *BESIDE)  # for each load or start, however many requests it is of


def judged(
    figures: Sequence[Figure], threshold: float, host_spread: float
) -> tuple[Difference, ...]:
    """threshold: how much matters, as a share. host_spread: as `conditions.host_spread` has it."""
    found = [_with_host(each, host_spread) for each in figures]
    shown = _shown([each for each in found if each is not None])
    return tuple(
        _judged(figure, each, threshold, is_shown=each in shown, together=len(figures))
        for figure, each in zip(figures, found, strict=True)
    )


def overall(differences: Sequence[Difference]) -> Verdict:
    """What is surely worse outweighs what is better."""
    verdicts = {each.verdict for each in differences}
    for verdict in (Verdict.WORSE, Verdict.BETTER):
        if verdict in verdicts:
            return verdict
    chief = {each.verdict for each in differences if each.of not in BESIDE}
    return Verdict.SAME if chief == {Verdict.SAME} else Verdict.UNKNOWN


def verdict_of(
    found: Estimate, limit: float, *, higher_is_better: bool, is_shown: bool
) -> Verdict:
    if is_shown and abs(found.value) >= limit:
        return Verdict.BETTER if (found.value > 0) is higher_is_better else Verdict.WORSE
    if -limit <= found.low and found.high <= limit:
        return Verdict.SAME
    return Verdict.UNKNOWN


def shown_interval(found: Estimate, *, is_ratio: bool) -> Interval:
    ends = (found.value, found.low, found.high)
    if is_ratio:
        ends = (math.exp(ends[0]), math.exp(ends[1]), _exp(ends[2]))
    value, low, high = (each if math.isfinite(each) else None for each in ends)
    return Interval(value=value, low=None if is_ratio and low == 0 else low, high=high)


def _exp(value: float) -> float:
    return math.inf if value == math.inf else math.exp(value)


def _with_host(figure: Figure, spread: float) -> Estimate | None:
    if figure.estimate is None or not figure.depends_on_speed:
        return figure.estimate
    return figure.estimate.on_host(spread)


def _shown(found: list[Estimate]) -> list[Estimate]:
    """By Holm: the rarest must be rarer than 5 % shared out over all, the next over the rest."""
    ordered = sorted(found, key=lambda each: each.chance)
    shown: list[Estimate] = []
    for number, each in enumerate(ordered):
        if each.chance * (len(ordered) - number) > 1 - CONFIDENCE:
            break
        shown.append(each)
    return shown


def _judged(
    figure: Figure, found: Estimate | None, threshold: float, *, is_shown: bool, together: int
) -> Difference:
    is_ratio = figure.of != "errors"
    margin = threshold if is_ratio else ERROR_MARGIN
    limit = math.log1p(margin) if is_ratio else margin
    if found is None:
        change = Interval(value=figure.after / figure.before)
        return _difference(figure, change, margin, Verdict.UNKNOWN, figure.why or "not known")
    verdict = verdict_of(found, limit, higher_is_better=figure.higher_is_better, is_shown=is_shown)
    change = shown_interval(found, is_ratio=is_ratio)
    reason, more = _range(change, is_ratio=is_ratio), None
    if verdict is Verdict.UNKNOWN:
        why = _open_because(found, limit, is_shown=is_shown, together=together)
        reason, more = f"{reason}; {why}", _more_requests(found, limit, figure, together)
        if more is None:
            reason += "; no number of requests decides that between two runs"
    return _difference(figure, change, margin, verdict, reason, more)


def _open_because(found: Estimate, limit: float, *, is_shown: bool, together: int) -> str:
    if is_shown:
        return "there is a difference, and it may be too small to matter"
    if found.low > 0 or found.high < 0:
        return f"of {together} figures looked at, chance alone may show one such"
    if abs(found.value) < limit:
        return "it may be none, and may matter"
    return "it may be none"


def _range(change: Interval, *, is_ratio: bool) -> str:
    if is_ratio:
        low = "any part" if change.low is None else f"{change.low:.3g}"
        high = "any number of" if change.high is None else f"{change.high:.3g}"
        return f"{low} to {high} times as much"
    low_points, high_points = ((end or 0.0) * 100 for end in (change.low, change.high))
    return f"{low_points:+.2g} to {high_points:+.2g} percentage points"


def _more_requests(found: Estimate, limit: float, figure: Figure, together: int) -> int | None:
    """None for what more requests do not tell better."""
    if figure.of in READ_ONCE:
        return None
    times = found.times_as_many(limit, together)
    return None if times is None else max(math.ceil(min(figure.requests) * (times - 1)), 1)


def _difference(
    figure: Figure,
    change: Interval,
    margin: float,
    verdict: Verdict,
    reason: str,
    more_requests: int | None = None,
) -> Difference:
    return Difference(
        of=figure.of,
        name=figure.name,
        where=figure.where,
        unit=figure.unit,
        higher_is_better=figure.higher_is_better,
        before=figure.before,
        after=figure.after,
        change=change,
        margin=margin,
        verdict=verdict,
        reason=reason,
        requests=figure.requests,
        more_requests=more_requests,
    )
