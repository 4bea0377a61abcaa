"""Two runs held against each other, as their page shows them, and how an address says which."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

from dashboard import format as fmt
from dashboard.address import as_query, given_in
from dashboard.views import Card
from recommender.comparison import DEFAULT_THRESHOLD, Reference, Verdict
from recommender.comparison.words import (
    WEIGHTS,
    change_text,
    decided_by,
    figure_text,
    interval_text,
    side_text,
)
from recommender.errors import BadRequest
from recommender.explain import usd
from recommender.store import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.comparison import Condition, Difference, MoneyLine, RunComparison
    from recommender.store import Run

__all__ = [
    "THRESHOLDS",
    "AskedPair",
    "ComparisonView",
    "ConditionLine",
    "DifferenceLine",
    "MoneyView",
    "comparison_view",
    "money_view",
    "run_options",
]

THRESHOLDS = (1, 2, 5, 10, 20)
CHIEF = ("capacity", "saturation", "latency", "service", "errors", "cpu")
MOST_CARDS = 4


@dataclass(frozen=True, slots=True)
class AskedPair:
    """a, b: runs, before and after; x, y: their configurations. percent: that matters."""

    a: str
    b: str
    x: str | None = None
    y: str | None = None
    percent: float = 100 * DEFAULT_THRESHOLD

    @classmethod
    def told_by(cls, search: str, runs: Sequence[Run]) -> Self | None:
        """What an address leaves out: the newest finished run, and before it that of its kind.

        None where there are no two runs. Raises BadRequest for a percentage that is none.
        """
        said = given_in(search)
        runs = sorted(runs, key=lambda run: run.status is not RunStatus.FINISHED)
        after = said.get("b") or next((run.id for run in runs if run.id != said.get("a")), None)
        before = said.get("a") or _one_before(after, runs)
        if before is None or after is None:
            return None
        percent = said.get("threshold") or f"{100 * DEFAULT_THRESHOLD:g}"
        try:
            share = float(percent)
        except ValueError as error:
            raise BadRequest(
                f"threshold={percent} is no number of percent", hint="for example threshold=5"
            ) from error
        return cls(before, after, said.get("x") or None, said.get("y") or None, share)

    @property
    def query(self) -> str:
        said = {"a": self.a, "b": self.b, "x": self.x, "y": self.y}
        if self.percent != 100 * DEFAULT_THRESHOLD:
            said["threshold"] = f"{self.percent:g}"
        return as_query({name: value for name, value in said.items() if value})

    @property
    def swapped(self) -> Self:
        return replace(self, a=self.b, b=self.a, x=self.y, y=self.x)

    @property
    def references(self) -> tuple[Reference, Reference]:
        return Reference(self.a, self.x), Reference(self.b, self.y)


class ConditionLine(NamedTuple):
    what: str
    before: str
    after: str
    weight: str
    is_unsound: bool


class DifferenceLine(NamedTuple):
    """open: what would decide it, empty where it is decided."""

    where: str
    name: str
    better: str
    before: str
    after: str
    change: str
    interval: str
    verdict: str
    reason: str
    open: str


class MoneyView(NamedTuple):
    question: str
    before: str
    before_usd: str
    after: str
    after_usd: str
    change: str
    verdict: str


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """unsound: why nothing can be laid to what was changed."""

    verdict: str
    said: tuple[str, ...]
    before: str
    after: str
    cards: tuple[Card, ...]
    unsound: tuple[str, ...]
    conditions: tuple[ConditionLine, ...]
    differences: tuple[DifferenceLine, ...]
    not_compared: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def comparison_view(found: RunComparison) -> ComparisonView:
    unsound = sum(each.weight == "unsound" for each in found.conditions)
    return ComparisonView(
        verdict=found.verdict.value,
        said=found.said[unsound:],
        before=side_text(found.before),
        after=side_text(found.after),
        cards=_cards(found.differences),
        unsound=found.said[:unsound],
        conditions=tuple(map(_condition, found.conditions)),
        differences=tuple(map(_difference, found.differences)),
        not_compared=tuple((each.what, each.why) for each in found.not_compared),
        notes=found.notes,
    )


def money_view(line: MoneyLine) -> MoneyView:
    return MoneyView(
        question=line.question,
        before=line.before,
        before_usd=_dollars(line.before_usd, line.per),
        after=line.after,
        after_usd=_dollars(line.after_usd, line.per),
        change=_money_change(line),
        verdict=line.verdict.value,
    )


def run_options(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Newest first."""
    return [
        {"value": run.id, "label": f"{run.label or 'not named'} · {fmt.stamp(run.created_at)}"}
        for run in runs
    ]


def _one_before(after: str | None, runs: Sequence[Run]) -> str | None:
    """Of the same kind, and measuring the same if there is one."""
    newest = next((run for run in runs if run.id == after), None)
    if newest is None:
        return next((run.id for run in runs), None)
    others = [run for run in runs[runs.index(newest) + 1 :] if run.kind == newest.kind]
    alike = [run for run in others if run.label == newest.label]
    left = alike or others or [run for run in runs if run.id != after]
    return left[0].id if left else None


def _cards(differences: Sequence[Difference]) -> tuple[Card, ...]:
    """Of what matters most, one figure of each kind: the surest to differ."""
    order = (Verdict.WORSE, Verdict.BETTER, Verdict.SAME, Verdict.UNKNOWN)
    shown = []
    for of in CHIEF:
        alike = sorted(
            (each for each in differences if each.of == of),
            key=lambda each: order.index(each.verdict),
        )
        shown += alike[:1]
    return tuple(map(_card, shown[:MOST_CARDS]))


def _card(found: Difference) -> Card:
    before, after = (figure_text(each, found.unit) for each in (found.before, found.after))
    return Card(
        title=f"{found.name}, {found.where}",
        value=change_text(found),
        interval=interval_text(found.change, is_ratio=found.is_ratio),
        note=f"{found.verdict.value}: {before} before, {after} after",
    )


def _condition(each: Condition) -> ConditionLine:
    return ConditionLine(
        each.what, each.before, each.after, WEIGHTS[each.weight], each.weight == "unsound"
    )


def _difference(each: Difference) -> DifferenceLine:
    return DifferenceLine(
        where=each.where,
        name=each.name,
        better="more is better" if each.higher_is_better else "less is better",
        before=figure_text(each.before, each.unit),
        after=figure_text(each.after, each.unit),
        change=change_text(each),
        interval=interval_text(each.change, is_ratio=each.is_ratio),
        verdict=each.verdict.value,
        reason=each.reason,
        open=decided_by(each),
    )


def _dollars(value: float | None, per: str) -> str:
    return fmt.not_measured("nothing could be") if value is None else f"{usd(str(value))} a {per}"


def _money_change(line: MoneyLine) -> str:
    """No more is known of a price than a percent."""
    if line.change.value is None:
        return "not known"
    value, low, high = (
        "not known" if end is None else f"{round((end - 1) * 100):+d}%".replace("+0%", "0%")
        for end in (line.change.value, line.change.low, line.change.high)
    )
    return f"{value} ({low}{fmt.TO}{high})"
