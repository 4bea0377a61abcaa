"""What each request took: of latency, time to first token and time per output token."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loadtests.streaming.answer import Flaw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.samples import Samples
    from loadtests.slo import Figure
    from loadtests.streaming.streams import Streams

__all__ = ["Taken", "taken_s"]

FEWEST_CHUNKS = 2  # a time per token needs two instants


class Taken(NamedTuple):
    """seconds: infinite where no good answer came. is_known: it can be said of this request."""

    seconds: NDArray[np.float64]
    is_known: NDArray[np.bool_]

    @property
    def known_s(self) -> NDArray[np.float64]:
        """In due order."""
        return np.asarray(self.seconds[self.is_known])


def taken_s(samples: Samples, figure: Figure) -> Taken | None:
    """Of every sample; None where answers were not streamed and the figure is one of tokens.

    Not known is the first token of a good answer that came whole, and the time per token of one
    with a single token or with all of them in one chunk.
    """
    if figure == "latency":
        return Taken(samples.latency_s, np.ones(len(samples), np.bool_))
    streams = samples.streams
    if streams is None:
        return None
    is_good = samples.is_success
    if figure == "ttft":
        took_s = (streams.rows["first_token_us"] - samples.records["due_us"]) / 1e6
        is_known = streams.rows["flaw"] != Flaw.WHOLE
    else:
        took_s = _per_token_s(samples, streams)
        is_known = (streams.rows["tokens"] > 1) & (streams.rows["chunks"] >= FEWEST_CHUNKS)
    return Taken(np.where(is_good, took_s, np.inf), np.asarray(is_known | ~is_good))


def _per_token_s(samples: Samples, streams: Streams) -> NDArray[np.float64]:
    """(E2E - TTFT) / (output tokens - 1): E2E ends with the answer, not with its last token."""
    rest_us = samples.records["done_us"] - streams.rows["first_token_us"]
    return np.asarray(rest_us / np.maximum(streams.rows["tokens"].astype(np.int64) - 1, 1) / 1e6)
