"""A comparison in sentences."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from recommender.comparison.document import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadtests.measurement import Interval
    from recommender.comparison.document import (
        Condition,
        Difference,
        FigureName,
        SideFacts,
        Weight,
    )

__all__ = [
    "SIDE_BY_SIDE",
    "WEIGHTS",
    "change_text",
    "decided_by",
    "figure_text",
    "interval_text",
    "notes",
    "said",
    "side_text",
]

MOST_NAMED = 3
SIDE_BY_SIDE = (
    "A load test in mode compare sends both variants the same interleaved traffic: what shakes "
    "the machine shakes both, and smaller differences are told apart."
)
WEIGHTS: dict[Weight, str] = {
    "unsound": "this alone may be the difference",
    "changed": "what is compared",
    "noted": "may be part of it",
}
ORDER: tuple[FigureName, ...] = (
    *("capacity", "saturation", "errors", "latency", "service", "cpu", "memory", "start"),
)
MANY_TIMES = 3.0  # from here on percents are hard to read
NOTHING = 0.05
MIB = 2**20


def said(
    verdict: Verdict,
    differences: Sequence[Difference],
    conditions: Sequence[Condition],
    sides: tuple[SideFacts, SideFacts],
) -> tuple[str, ...]:
    """The verdict in a sentence, then what it leaves open."""
    unsound = [each for each in conditions if each.weight == "unsound"]
    lines = [
        f"Not measured alike: {each.what} {each.before} before, {each.after} after."
        for each in unsound
    ]
    if (sides[0].run, sides[0].configuration) == (sides[1].run, sides[1].configuration):
        lines.append("Both are the same run.")
    if not differences:
        return (*lines, "Cannot be told: no figure of the one stands beside one of the other.")
    found = _found(verdict, differences)
    if unsound:
        found = f"Cannot be told what made the difference. As measured: {found}"
    return (*lines, found, *_apart(differences, sides), *_left_open(differences))


def notes(
    spread: float | None, differences: Sequence[Difference], slos: Iterable[str]
) -> tuple[str, ...]:
    """slos: that both were judged by."""
    if not differences:
        return ()
    told = (
        "Intervals are of 95 %; a difference counts as shown when chance alone would show any "
        f"such among these {len(differences)} figures in less than 5 % of comparisons."
    )
    lines = [f"Both are judged by {' and '.join(slos)}.", told]
    if spread is None:
        lines.append(
            "How far this host's speed is off from one run to the next was not timed: the "
            "intervals hold what the requests leave open, and nothing of that."
        )
    else:
        lines.append(
            "The host's own speed, timed with each measurement, was off by "
            f"{spread:.1%} from one to the next; that is in the intervals."
        )
    lines.append(SIDE_BY_SIDE)
    return tuple(lines)


def figure_text(value: float | None, unit: str) -> str:
    """To three significant digits."""
    if value is None:
        return "not known"
    match unit:
        case "s":
            return f"{_digits(value * 1e3)} ms" if value < 1 else f"{_digits(value)} s"
        case "bytes":
            return f"{_digits(value / MIB)} MiB"
        case "share":
            return f"{value * 100:.3g} %"
        case _:
            return f"{_digits(value)} {unit}"


def side_text(side: SideFacts) -> str:
    configuration = "" if side.configuration is None else f", {side.configuration}"
    created = side.created_at.replace("T", " ")[:16]
    return f"{side.run}{configuration}: {side.label}, {created} UTC"


def decided_by(found: Difference) -> str:
    """What would decide it, where anything is open."""
    if found.verdict is not Verdict.UNKNOWN:
        return ""
    if found.more_requests is not None:
        return f"{found.more_requests:,} more requests each"
    return "more starts" if found.of in ("memory", "start") else "mode compare may tell"


def change_text(found: Difference) -> str:
    """In percent of the first, and of errors in percentage points."""
    value = found.change.value
    if value is None:
        return "not known"
    if found.is_ratio and value >= MANY_TIMES:
        return f"{value:.3g} times"
    return f"{_change(value, is_ratio=found.is_ratio)} {_unit(is_ratio=found.is_ratio)}"


def interval_text(change: Interval, *, is_ratio: bool) -> str:
    if change.low is None and change.high is None:
        return "not known"
    if is_ratio and (change.high or 0.0) >= MANY_TIMES:
        low = "0" if change.low is None else f"{change.low:.2g}"
        return f"{low} to {change.high:.2g} times"
    low = "any less" if change.low is None else _change(change.low, is_ratio=is_ratio)
    high = "any more" if change.high is None else _change(change.high, is_ratio=is_ratio)
    return f"{low} to {high} {_unit(is_ratio=is_ratio)}"


def _found(verdict: Verdict, differences: Sequence[Difference]) -> str:
    worse = [each for each in differences if each.verdict is Verdict.WORSE]
    better = [each for each in differences if each.verdict is Verdict.BETTER]
    if worse and better:
        return f"Worse after than before: {_named(worse)}. But better: {_named(better)}."
    if worse or better:
        word = "Worse" if worse else "Better"
        return f"{word} after than before: {_named(worse or better)}."
    if verdict is Verdict.SAME:
        margin = max(each.margin for each in differences if each.is_ratio)
        return f"No difference shown: whatever there is lies within {margin * 100:.3g} %."
    return "Cannot be told: no difference is sure, and none that matters is ruled out."


def _apart(differences: Sequence[Difference], sides: tuple[SideFacts, SideFacts]) -> Iterable[str]:
    """What no interval of two runs holds."""
    if not {each.verdict for each in differences} & {Verdict.BETTER, Verdict.WORSE}:
        return
    if sides[0].run == sides[1].run:
        apart = "one after the other in the same run"
    else:
        began = [datetime.fromisoformat(each.created_at) for each in sides]
        apart = f"{_length(abs(began[1] - began[0]))} apart"
    yield (
        f"They were measured {apart}, not side by side: a host that was slower all through one of "
        "them would look the same."
    )


def _length(span: timedelta) -> str:
    for unit, name in ((timedelta(days=1), "days"), (timedelta(hours=1), "hours")):
        if span >= 2 * unit:
            return f"{span / unit:.0f} {name}"
    minutes = span / timedelta(minutes=1)
    return f"{minutes:.0f} minutes" if minutes >= 2 else "a minute or so"  # noqa: PLR2004


def _left_open(differences: Sequence[Difference]) -> Iterable[str]:
    unknown = [each for each in differences if each.verdict is Verdict.UNKNOWN]
    if not unknown:
        return
    some = f"{len(unknown)} of {len(differences)} figures"
    more = [each.more_requests for each in unknown]
    needed = [each for each in more if each is not None]
    if len(needed) == len(unknown):
        yield f"{some} cannot be told; {max(needed):,} more requests to each would decide them."
    elif needed:
        yield (
            f"{some} cannot be told; {max(needed):,} more requests to each would decide "
            f"{len(needed)} of them."
        )
    else:
        yield f"{some} cannot be told, and more requests alone would not decide them."


def _named(found: Sequence[Difference]) -> str:
    """What matters most first, and of each kind the largest."""
    largest: dict[str, Difference] = {}
    for each in sorted(found, key=_size, reverse=True):
        largest.setdefault(each.of, each)
    chief = [largest[of] for of in ORDER if of in largest][:MOST_NAMED]
    shown = [f"{each.name} {change_text(each)} at {each.where}" for each in chief]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")


def _size(found: Difference) -> float:
    value = found.change.value or 0.0
    return abs(math.log(value)) if found.is_ratio and value > 0 else abs(value)


def _change(value: float, *, is_ratio: bool) -> str:
    """Signed; whole from ten on, since more is not known."""
    changed = 100 * (value - 1 if is_ratio else value)
    rounded = round(changed) if abs(changed) >= 10 else float(f"{changed:.2g}")  # noqa: PLR2004
    return f"{rounded:+g}" if abs(rounded) >= NOTHING else "0"


def _unit(*, is_ratio: bool) -> str:
    return "%" if is_ratio else "points"


def _digits(value: float) -> str:
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"  # noqa: PLR2004 - no point
