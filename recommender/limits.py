"""What SageMaker's endpoints refuse, whatever the machine.

As documented: developer guide, "Model hosting FAQs" (payloads), "Use your own inference code with
hosting services" (60 s for an answer), "Serverless endpoint operations" (200 at a time).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.serverless.spec import MOST_CONCURRENT, PAYLOAD_LIMIT_BYTES
from recommender.recommendation import RejectReason
from recommender.verdicts import Rejection

if TYPE_CHECKING:
    from recommender.demand import WorkloadFacts

__all__ = [
    "ANSWER_LIMIT_S",
    "MODELLED_PAYLOAD_BYTES",
    "REAL_TIME_PAYLOAD_BYTES",
    "SERVERLESS_MAX_CONCURRENCY",
    "SERVERLESS_PAYLOAD_BYTES",
    "answer_obstacle",
    "payload_notes",
    "payload_obstacle",
]

REAL_TIME_PAYLOAD_BYTES = 25_000_000
MODELLED_PAYLOAD_BYTES = 6_291_456  # InvokeEndpoint's body in the API's own model; not enforced
SERVERLESS_PAYLOAD_BYTES = PAYLOAD_LIMIT_BYTES
ANSWER_LIMIT_S = 60.0
SERVERLESS_MAX_CONCURRENCY = MOST_CONCURRENT


def payload_obstacle(workload: WorkloadFacts, limit_bytes: int) -> Rejection | None:
    largest = workload.request_bytes_largest
    if largest <= limit_bytes:
        return None
    return Rejection(
        RejectReason.LIMIT,
        f"the largest payload has {largest:,} bytes; a request may have {limit_bytes:,}",
    )


def payload_notes(workload: WorkloadFacts) -> tuple[str, ...]:
    if workload.request_bytes_largest <= MODELLED_PAYLOAD_BYTES:
        return ()
    note = f"payloads above {MODELLED_PAYLOAD_BYTES:,} bytes: up to 25 MB by the documentation, 6 MB by the API's model"  # noqa: E501
    return (note,)


def answer_obstacle(latency_s: float | None) -> Rejection | None:
    """latency_s: of the slowest hundredth; None where that is not known."""
    if latency_s is None or latency_s <= ANSWER_LIMIT_S:
        return None
    return Rejection(
        RejectReason.LIMIT,
        f"p99 is about {latency_s:.3g} s; an answer that takes {ANSWER_LIMIT_S:.0f} s is cut off",
    )
