"""What moved between two price books, and what that would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dashboard import format as fmt
from recommender.repricing import deployed_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pricing import Differences, PriceLine
    from recommender.repricing import Repriced

__all__ = ["Choice", "Choices", "choices", "moves_columns", "moves_verdict"]


class Choice(NamedTuple):
    """state: "changes", "stays" or "cannot be ranked". after: why not, where it cannot."""

    run: str
    label: str
    state: str
    before: str
    after: str


class Choices(NamedTuple):
    verdict: str
    lines: tuple[Choice, ...]


def moves_verdict(found: Differences, before: str, after: str) -> str:
    moved, gone, new = len(found.moved), len(found.removed), len(found.added)
    if not (moved or gone or new):
        return f"{before} and {after} hold the same {found.unmoved:,} prices"
    said = (
        f"From {before} to {after}, {moved:,} prices moved, {new:,} are new and {gone:,} are gone"
    )
    if not found.moved:
        return f"{said}; {found.unmoved:,} stayed"
    first = found.moved[0]
    return (
        f"{said}; the largest move is {first.after.what} ({first.after.bought_as}, "
        f"{first.after.row.region}), {fmt.change(float(first.change_ratio))}"
    )


def moves_columns(found: Differences) -> dict[str, list[Any]]:
    """The largest moves first, then what is new, then what is gone; a list a column."""
    rows = list(_rows(found))
    return {
        "state": [each.state for each in rows],
        "what": [each.line.what for each in rows],
        "bought": [each.line.bought_as or "any" for each in rows],
        "region": [each.line.row.region for each in rows],
        "platform": [each.line.platform or "" for each in rows],
        "purchase": [each.line.terms for each in rows],
        "unit": [each.line.unit for each in rows],
        "before_usd": [_usd(each.before) for each in rows],
        "after_usd": [_usd(each.after) for each in rows],
        "change_percent": [_change_percent(each.before, each.after) for each in rows],
        "before_basis": [each.before and each.before.row.basis for each in rows],
        "basis": [each.after and each.after.row.basis for each in rows],
        "before_seen": [_seen(each.before) for each in rows],
        "after_seen": [_seen(each.after) for each in rows],
    }


def choices(judged: Sequence[Repriced]) -> Choices:
    if not judged:
        return Choices("No run of yours has a recommendation that could change.", ())
    ranked = [each for each in judged if each.obstacle is None]
    changed = sum(each.changes for each in ranked)
    return Choices(
        f"{changed or 'None'} of {len(ranked)} stored recommendations would change",
        tuple(map(_choice, judged)),
    )


class _Row(NamedTuple):
    """line: of the newer book that has it."""

    state: str
    line: PriceLine
    before: PriceLine | None
    after: PriceLine | None


def _rows(found: Differences) -> Iterator[_Row]:
    for move in found.moved:
        yield _Row("moved", move.after, move.before, move.after)
    for line in found.added:
        yield _Row("new", line, None, line)
    for line in found.removed:
        yield _Row("gone", line, line, None)


def _usd(line: PriceLine | None) -> float | None:
    return None if line is None else float(line.usd)


def _seen(line: PriceLine | None) -> str | None:
    return None if line is None else line.row.observed_on.isoformat()


def _change_percent(before: PriceLine | None, after: PriceLine | None) -> float | None:
    if before is None or after is None:
        return None
    return float(f"{(after.usd / before.usd - 1) * 100:.4g}")


def _choice(each: Repriced) -> Choice:
    if each.obstacle is not None:
        return Choice(each.run, each.label, "cannot be ranked", "", each.obstacle)
    state = "changes" if each.changes else "stays"
    return Choice(
        each.run, each.label, state, deployed_text(each.before), deployed_text(each.after)
    )
