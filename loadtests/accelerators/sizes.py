"""Amazon Elastic Inference's sizes, as shares of the GPU that is here.

Elastic Inference itself is gone (closed to new customers on 2023-04-15). Its sizes stay a useful
yardstick for a fraction of a GPU.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from loadtests.errors import UsageError

__all__ = ["ELASTIC_INFERENCE", "ElasticSize", "elastic_size"]

PREFIX = "ml."


@dataclass(frozen=True, slots=True)
class ElasticSize:
    """As AWS documented it: single and half precision, and the accelerator's own memory."""

    name: str
    fp32_tflops: float
    fp16_tflops: float
    memory_gib: float


ELASTIC_INFERENCE = (
    ElasticSize("eia1.medium", 1, 8, 1),
    ElasticSize("eia1.large", 2, 16, 2),
    ElasticSize("eia1.xlarge", 4, 32, 4),
    ElasticSize("eia2.medium", 1, 8, 2),
    ElasticSize("eia2.large", 2, 16, 4),
    ElasticSize("eia2.xlarge", 4, 32, 8),
)


def elastic_size(name: str) -> ElasticSize:
    """With or without SageMaker's `ml.`. Raises UsageError."""
    short = name.removeprefix(PREFIX)
    found = next((each for each in ELASTIC_INFERENCE if each.name == short), None)
    if found is None:
        known = [each.name for each in ELASTIC_INFERENCE]
        near = difflib.get_close_matches(short, known, 1)
        raise UsageError(
            f"there is no Elastic Inference size {name!r}",
            hint=f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}",
        )
    return found
