"""Does a server answer requests together, and what does each one beside them cost?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.errors import NotMeasured, OutOfRange
from recommender.loadtest.report import CapacityAnswer, ProfileAnswer
from recommender.loadtest.words import milliseconds, rounded
from recommender.performance.llm_serving import fit_residence
from recommender.performance.llm_serving.measured import serving_point
from recommender.performance.llm_serving.residence import TYPICAL_LOG_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recommender.loadtest.report import Answer, KeptRun
    from recommender.performance.llm_serving import Residence, ServingPoint

__all__ = ["batching_findings"]

FEWEST_RUNS = 3  # two lie on a line whatever the server does
GAINS = 0.7  # of its time alone that a request costs those beside it: above, they just share


def batching_findings(answer: Answer | None, runs: Iterable[KeptRun]) -> tuple[str, ...]:
    """Nothing where latency does not grow along a line with the requests in flight.

    Workers that take one request each, and queue the rest, bend that line.
    """
    if not isinstance(answer, CapacityAnswer | ProfileAnswer):
        return ()
    ladder = [run.measurement for run in runs if run.measurement.load.loop == "closed"]
    points = [point for each in ladder if (point := serving_point(each)) is not None]
    found = None if len(points) < FEWEST_RUNS else _residence(points)
    if found is None or found.log_error_sd > TYPICAL_LOG_ERROR:
        return ()
    if not 0 < found.per_request_s < GAINS * found.alone_s:
        return ()
    alone, beside = milliseconds(found.alone_s), milliseconds(found.per_request_s)
    said = (
        f"It answers requests together: one alone takes {alone}, and each further one in flight "
        f"adds {beside} to all (mean, up to {found.largest_concurrency:.3g} in flight). More and "
        f"more users would be served towards {rounded(found.limit_rps, 3)} req/s."
    )
    return (said,)


def _residence(points: list[ServingPoint]) -> Residence | None:
    try:
        return fit_residence(points)
    except (NotMeasured, OutOfRange):
        return None
