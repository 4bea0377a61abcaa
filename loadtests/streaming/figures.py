"""What streamed answers come to: TTFT, TPOT, ITL, tokens per second, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.intervals import (
    QUANTILES,
    Interval,
    Quantile,
    dependent_quantile,
    mean_of_batches,
    quantile_in,
)
from loadtests.slo import TokenObjective
from loadtests.streaming.answer import CountedBy, Flaw
from loadtests.streaming.taken import taken_s

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from loadtests.samples import Samples
    from loadtests.slo import Objective, TokenFigure
    from loadtests.streaming.streams import Streams

__all__ = ["TokenFigures", "token_figures"]

SPANS = 10  # of the run, over which its tokens per second are averaged
FEWEST_ANSWERS = 10
ONE_EACH = 1.02  # tokens to a chunk, up to which a gap between chunks is one between tokens


class TokenFigures(BaseModel):
    """Of the steady part; counts too. Quantiles are empty, or None, where notes say why.

    answers: good ones. due_to_first: due to first output token, failures infinitely late: what a
    ttft objective is judged by; in a closed loop due is sent. ttft: sent to first output token, of
    good answers. tpot: of each request, failures infinitely slow. itl: gaps between output chunks;
    a stream that failed after its first token ends in an infinite one. counted_by: whose count the
    tokens are.
    tokens_per_s: of all requests together. tokens_per_s_each: 1/TPOT, its median over requests.
    flaws: by name, streams that ended otherwise than they should.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: int
    due_to_first: tuple[Quantile, ...]
    ttft: tuple[Quantile, ...]
    tpot: tuple[Quantile, ...]
    itl: tuple[Quantile, ...]
    output_tokens: int
    tokens_per_answer: float | None
    tokens_per_chunk: float | None
    counted_by: Literal["usage", "chunks", "both", "nobody"]
    tokens_per_s: Interval
    tokens_per_s_each: Interval
    flaws: dict[str, int]
    notes: tuple[str, ...] = ()

    def at(self, figure: TokenFigure, quantile: float) -> Interval:
        """As objectives are judged by it; not-known for a quantile that was not summarised."""
        quantiles = {"ttft": self.due_to_first, "tpot": self.tpot, "itl": self.itl}
        return quantile_in(quantiles[figure], quantile)


def token_figures(
    samples: Samples, steady: Samples, objectives: Iterable[Objective]
) -> TokenFigures | None:
    """samples: of all the run, since tokens come after their request was due. None: no streams."""
    streams = steady.streams
    if streams is None:
        return None
    wanted = [each for each in objectives if isinstance(each, TokenObjective)]
    good = steady.take(steady.is_success)
    counts = _counts(good)
    tpot_s, itl_s = _known_s(steady, "tpot"), _gaps_s(steady, streams)
    return TokenFigures(
        answers=len(good),
        due_to_first=_quantiles(_known_s(steady, "ttft"), "ttft", wanted),
        ttft=_quantiles(_sent_to_first_s(good), "ttft", wanted),
        tpot=_quantiles(tpot_s, "tpot", wanted),
        itl=_quantiles(itl_s, "itl", wanted),
        tokens_per_s=_tokens_per_s(samples, steady),
        tokens_per_s_each=_reciprocal(_quantiles(tpot_s, "tpot", ())),
        flaws=_flaws(streams),
        notes=_notes(counts, len(tpot_s), len(itl_s), _flaws(streams)),
        **counts,
    )


def _quantiles(
    values: NDArray[np.float64], figure: TokenFigure, objectives: Iterable[TokenObjective]
) -> tuple[Quantile, ...]:
    if len(values) == 0:
        return ()
    limits = {each.quantile: each.limit_s for each in objectives if each.figure == figure}
    return tuple(
        dependent_quantile(values, quantile, limits.get(quantile))
        for quantile in sorted({*QUANTILES, *limits})
    )


def _known_s(samples: Samples, figure: Literal["ttft", "tpot"]) -> NDArray[np.float64]:
    taken = taken_s(samples, figure)
    return np.empty(0) if taken is None else taken.known_s


def _sent_to_first_s(good: Samples) -> NDArray[np.float64]:
    if good.streams is None:
        return np.empty(0)
    seen = good.streams.rows["flaw"] != Flaw.WHOLE
    first_us = good.streams.rows["first_token_us"]
    return np.asarray((first_us - good.records["sent_us"])[seen] / 1e6)


def _gaps_s(samples: Samples, streams: Streams) -> NDArray[np.float64]:
    """Request after request, so that what depends on one another stays together."""
    gaps_s = streams.gaps_in_order() / 1e6
    broke_off = streams.is_kept & ~samples.is_success
    ends = np.cumsum(streams.rows["gaps"], dtype=np.int64)[broke_off]
    return np.asarray(np.insert(gaps_s, ends, np.inf))


def _counts(good: Samples) -> dict[str, object]:
    """In the words of TokenFigures."""
    if good.streams is None:
        raise ValueError("only of streamed answers are tokens counted")
    rows = good.streams.rows
    tokens, chunks = int(rows["tokens"].sum()), int(rows["chunks"].sum())
    return {
        "output_tokens": tokens,
        "tokens_per_answer": tokens / len(rows) if len(rows) else None,
        "tokens_per_chunk": tokens / chunks if chunks else None,
        "counted_by": _counted_by(set(rows["counted_by"].tolist())),
    }


def _counted_by(ways: set[int]) -> Literal["usage", "chunks", "both", "nobody"]:
    if {CountedBy.USAGE, CountedBy.CHUNKS} <= ways:
        return "both"
    if CountedBy.USAGE in ways:
        return "usage"
    return "chunks" if CountedBy.CHUNKS in ways else "nobody"


def _flaws(streams: Streams) -> dict[str, int]:
    numbers, counts = np.unique(streams.rows["flaw"], return_counts=True)
    found = zip(numbers.tolist(), counts.tolist(), strict=True)
    return {Flaw(number).name.lower(): count for number, count in found if number != Flaw.NONE}


def _notes(
    counts: dict[str, object], timed: int, gaps: int, flaws: dict[str, int]
) -> tuple[str, ...]:
    per_chunk = counts["tokens_per_chunk"]
    notes = []
    if flaws.get("whole"):
        notes.append(f"{flaws['whole']} answers came whole: nobody saw their first token")
    if counts["counted_by"] in ("chunks", "both"):
        notes.append("the server did not say how many tokens there were: each chunk counts as one")
    if isinstance(per_chunk, float) and per_chunk > ONE_EACH:
        notes.append(f"itl is between chunks, of {per_chunk:.3g} tokens each")
    if timed == 0:
        notes.append("no answer came in two chunks or more: there is no time per token")
    if gaps == 0:
        notes.append("no answer came in two chunks or more: there are no gaps")
    return tuple(notes)


def _reciprocal(quantiles: tuple[Quantile, ...]) -> Interval:
    """Of the median."""
    middle = quantile_in(quantiles, 0.5)
    value, slow, fast = (
        None if each is None or each <= 0 else 1 / each
        for each in (middle.value, middle.high, middle.low)
    )
    return Interval(value=value, low=slow, high=fast)


def _tokens_per_s(samples: Samples, steady: Samples) -> Interval:
    """Tokens of good answers that came while requests were still being sent, over that time.

    An answer's tokens are taken as evenly spread from its first to its last.
    """
    due_us = steady.records["due_us"]
    if len(due_us) == 0 or due_us[-1] <= due_us[0]:
        return Interval(value=None)
    edges_us = np.linspace(due_us[0], due_us[-1], SPANS + 1)
    came = np.array([_tokens_by(samples, edge_us) for edge_us in edges_us])
    rates = np.diff(came) / (np.diff(edges_us) / 1e6)
    if len(steady) < FEWEST_ANSWERS:
        return Interval(value=float(rates.mean()))
    return mean_of_batches(rates)


def _tokens_by(samples: Samples, instant_us: float) -> float:
    """So many tokens of good answers had come."""
    if samples.streams is None:
        return 0.0
    rows, is_good = samples.streams.rows, samples.is_success
    is_whole = rows["chunks"] == 0
    first_us = np.where(is_whole, samples.records["done_us"], rows["first_token_us"])
    last_us = np.where(is_whole, first_us, rows["last_token_us"])
    tokens = rows["tokens"].astype(np.float64)
    gap_us = np.maximum((last_us - first_us) / np.maximum(tokens - 1, 1), 1e-3)
    came = np.clip(np.floor((instant_us - first_us) / gap_us) + 1, 0, tokens)
    return float(np.sum(came[is_good]))
