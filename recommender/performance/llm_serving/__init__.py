"""Serving language models: vLLM on machines where it never ran, and latency under load."""

from recommender.performance.llm_serving.continuous_batching import (
    ContinuousBatching,
    KvCache,
    TokenTimes,
)
from recommender.performance.llm_serving.measured import measured_residence
from recommender.performance.llm_serving.residence import (
    Estimate,
    Residence,
    ServingPoint,
    fit_residence,
)

__all__ = [
    "ContinuousBatching",
    "Estimate",
    "KvCache",
    "Residence",
    "ServingPoint",
    "TokenTimes",
    "fit_residence",
    "measured_residence",
]
