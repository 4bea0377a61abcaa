"""What a replay found, averaged: regret and spending after each measurement, and at the stop.

Format history
1 (0.2.0): first.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.performance import scorecard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from recommender.planner.replay import Course, Settings

__all__ = ["ALL", "ReplayPoint", "ReplayReport", "ReplayStop", "report_of"]

FORMAT = 1
ALL = "all"
STOPPING = ("planner", "plain GP")  # the others have no rule to stop by


@dataclass(frozen=True, slots=True)
class ReplayPoint:
    """Over all courses of a policy and kind: regret of the choice after so many measurements."""

    policy: str
    kind: str
    measurements: int
    regret_ratio_mean: float
    regret_ratio_p10: float
    regret_ratio_p90: float
    usd_mean: float
    courses: int


@dataclass(frozen=True, slots=True)
class ReplayStop:
    """Where a policy's own rule stops; one that does not is counted at the last measurement."""

    policy: str
    kind: str
    stopped_share: float
    measurements_mean: float
    regret_ratio_mean: float
    regret_ratio_p90: float
    usd_mean: float


@dataclass(frozen=True)
class ReplayReport:
    settings: Settings
    workloads: tuple[str, ...]
    points: tuple[ReplayPoint, ...]
    stops: tuple[ReplayStop, ...]

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT} | asdict(self), indent=1) + "\n"

    def curves(self) -> tuple[scorecard.ReplayCurve, ...]:
        """Of all kinds together."""
        points = [point for point in self.points if point.kind == ALL]
        return tuple(
            scorecard.ReplayCurve(
                policy=policy,
                points=tuple(
                    scorecard.ReplayPoint(
                        measurements=point.measurements,
                        regret=round(point.regret_ratio_mean, 5),
                        low=round(point.regret_ratio_p10, 5),
                        high=round(point.regret_ratio_p90, 5),
                    )
                    for point in points
                    if point.policy == policy
                ),
                replays=next(point.courses for point in points if point.policy == policy),
            )
            for policy in dict.fromkeys(point.policy for point in points)
        )

    def to_csv(self) -> str:
        """The points alone."""
        text = io.StringIO()
        rows = [asdict(point) for point in self.points]
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def report_of(courses: Iterable[Course], settings: Settings) -> ReplayReport:
    courses = tuple(courses)
    kinds = (ALL, *dict.fromkeys(course.kind for course in courses))
    groups = [
        (policy, kind, [c for c in courses if c.policy == policy and kind in (ALL, c.kind)])
        for kind in kinds
        for policy in dict.fromkeys(course.policy for course in courses)
    ]
    return ReplayReport(
        settings=settings,
        workloads=tuple(dict.fromkeys(course.workload for course in courses)),
        points=tuple(point for group in groups for point in _points(*group)),
        stops=tuple(_stop(*group) for group in groups if group[0] in STOPPING),
    )


def _points(policy: str, kind: str, courses: list[Course]) -> Iterator[ReplayPoint]:
    regret = np.array([course.regret_ratio for course in courses])
    usd = np.array([course.usd for course in courses])
    low, high = np.quantile(regret, (0.1, 0.9), axis=0)
    for count in range(regret.shape[1]):
        yield ReplayPoint(
            policy=policy,
            kind=kind,
            measurements=count,
            regret_ratio_mean=float(regret[:, count].mean()),
            regret_ratio_p10=float(low[count]),
            regret_ratio_p90=float(high[count]),
            usd_mean=float(usd[:, count].mean()),
            courses=len(courses),
        )


def _stop(policy: str, kind: str, courses: list[Course]) -> ReplayStop:
    ends = [
        len(course.usd) - 1 if course.stopped_at is None else course.stopped_at
        for course in courses
    ]
    regret = np.array([c.regret_ratio[end] for c, end in zip(courses, ends, strict=True)])
    return ReplayStop(
        policy=policy,
        kind=kind,
        stopped_share=float(np.mean([course.stopped_at is not None for course in courses])),
        measurements_mean=float(np.mean(ends)),
        regret_ratio_mean=float(regret.mean()),
        regret_ratio_p90=float(np.quantile(regret, 0.9)),
        usd_mean=float(np.mean([c.usd[end] for c, end in zip(courses, ends, strict=True)])),
    )
