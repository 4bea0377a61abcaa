"""Where the straight line of `residence` comes from, for a server of one token a step.

With N requests in flight a step takes a + b N: the weights are read once for all of them (a), and
each adds its own attention and sampling (b). After its prompt (p, which yields the first of O
tokens) a request needs D = O - 1 steps, and in that time each of the others is replaced once,
whose prompt holds it up by c, at most p:

    R(N) = p + D (a + b N) + c (N - 1) = R0 + (D b + c) (N - 1)        R0 = p + D (a + b)

so at saturation a request costs D b of decoding and c of prefill, and X < 1 / (D b + c). What a
user sees of it: TPOT(N) = a + b N + c (N - 1) / D, and TTFT(N) = p + TPOT(N) / 2, as a request
that does not come to an idle server waits for the step under way, half of one on average.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from recommender.errors import OutOfRange
from recommender.performance.llm_serving.residence import Residence

__all__ = ["ContinuousBatching", "KvCache", "TokenTimes"]


@dataclass(frozen=True, slots=True)
class TokenTimes:
    """Means of one steady run: seconds to the first token, and for each one after it."""

    concurrency: float
    ttft_s: float
    tpot_s: float

    def __post_init__(self) -> None:
        for name in ("concurrency", "ttft_s", "tpot_s"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise OutOfRange(f"{name} is {value}; it must be finite and more than zero")


@dataclass(frozen=True, slots=True)
class KvCache:
    """What each token of each request in flight keeps in memory: a key and a value per layer."""

    layers: int
    kv_heads: int
    head_size: int
    bytes_per_number: float = 2.0

    def __post_init__(self) -> None:
        for name in ("layers", "kv_heads", "head_size", "bytes_per_number"):
            if not getattr(self, name) > 0:
                raise OutOfRange(f"{name} is {getattr(self, name)}; it must be more than zero")

    @property
    def bytes_per_token(self) -> float:
        return 2 * self.layers * self.kv_heads * self.head_size * self.bytes_per_number

    def most_requests(
        self, memory_bytes: float, weight_bytes: float, tokens_per_request: float
    ) -> int:
        """How many requests of that length fit beside the weights; 0 where none does."""
        if not (tokens_per_request > 0 and weight_bytes > 0):
            raise OutOfRange("a request needs tokens, and a model weights")
        left = memory_bytes - weight_bytes
        return max(int(left // (self.bytes_per_token * tokens_per_request)), 0)


@dataclass(frozen=True, slots=True)
class ContinuousBatching:
    """a, b, p, c and O of the module's equations."""

    step_s: float
    sequence_s: float
    prefill_s: float
    stall_s: float
    output_tokens: float

    def __post_init__(self) -> None:
        for name in ("step_s", "sequence_s", "prefill_s", "stall_s"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise OutOfRange(f"{name} is {value}; it cannot be negative")
        if not self.output_tokens > 1:
            raise OutOfRange(
                f"answers of {self.output_tokens:g} tokens have no decode phase",
                hint="answers of one token are not batched over steps; use fit_residence",
            )

    @classmethod
    def measured(cls, alone: TokenTimes, loaded: TokenTimes, output_tokens: float) -> Self:
        """From one user alone and a loaded run.

        Prompts hold the others up by no more than the times per token grew: a server that
        computes them in the same steps (chunked prefill) hides a part.
        """
        if loaded.concurrency <= max(alone.concurrency, 1.0):
            raise OutOfRange(
                f"a loaded run of {loaded.concurrency:g} requests in flight beside one of "
                f"{alone.concurrency:g} shows no load"
            )
        grown_s = max(loaded.tpot_s - alone.tpot_s, 0.0) / (loaded.concurrency - 1)
        stall_s = min(alone.ttft_s, grown_s * (output_tokens - 1))
        decoding_s = max(grown_s - stall_s / (output_tokens - 1), 0.0)
        sequence_s = min(decoding_s, alone.tpot_s)
        return cls(alone.tpot_s - sequence_s, sequence_s, alone.ttft_s, stall_s, output_tokens)

    @property
    def decode_steps(self) -> float:
        return self.output_tokens - 1

    def tpot_s(self, concurrency: float) -> float:
        """Mean time per output token after the first."""
        others = max(concurrency - 1, 0.0)
        stalled_s = self.stall_s * others / self.decode_steps
        return self.step_s + self.sequence_s * (1 + others) + stalled_s

    def ttft_s(self, concurrency: float) -> float:
        """Mean time to first token, as long as requests are admitted at once."""
        busy = min(max(concurrency - 1, 0.0), 1.0)
        return self.prefill_s + busy * self.tpot_s(concurrency) / 2

    @property
    def per_request_s(self) -> float:
        """What a request costs a saturated server."""
        return self.decode_steps * self.sequence_s + self.stall_s

    @property
    def prefill_ratio(self) -> float:
        """Of a saturated server's time: what shorter prompts could save at most."""
        return self.stall_s / self.per_request_s if self.per_request_s > 0 else 0.0

    def residence(self, largest_concurrency: float) -> Residence:
        """`largest_concurrency`: what memory (KvCache) and the server's own limit let in."""
        alone_s = self.prefill_s + self.decode_steps * (self.step_s + self.sequence_s)
        return Residence(alone_s, self.per_request_s, largest_concurrency)

    def output_tokens_per_s(self, concurrency: float) -> float:
        """The continuous batching curve."""
        residence = self.residence(max(concurrency, 1.0))
        return self.output_tokens * residence.throughput_rps(concurrency)
