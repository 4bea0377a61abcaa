"""What a token costs a vLLM server on a CPU, and how that grows with the model and the prompt.

A machine is four quantities (FIELDS), of a model of N parameters kept in BF16 (2 bytes each):

    step_s          a step's own time: scheduling, kernel starts, thread barriers
    weight_bytes_s  bytes of weights read a second, by every step once
    prefill_flops   floating-point operations a second on a prompt (2 N for each token of it)
    sequence_s      what each sequence of a batch adds to a step: its attention and sampling

A request of P prompt and O output tokens then takes

    first token     START step + 2 N P / flops
    a step alone    a = step + 2 N / bytes
    one user        first token / O + a                        seconds per output token
    saturated       b = 2 N P / flops / O + penalty 2 N / flops + sequence
                    max(a / BATCH + b, b / (1 - a O / WINDOW_S)), and never worse than one user

The second form of "saturated" is the benchmark's own window: where a request takes a good part
of it, only batches that finish inside count, B = WINDOW_S X / O, to which X = 1 / (a / B + b)
solves.
`penalty` is how much worse a batch of single tokens uses the units than a prompt does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.errors import OutOfRange

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "FIELDS",
    "SATURATED",
    "SINGLE_USER",
    "TTFT",
    "Question",
    "log_rates",
]

FIELDS = ("step_s", "weight_bytes_s", "prefill_flops", "sequence_s")
SATURATED, SINGLE_USER, TTFT = "vllm_sat", "vllm_sync", "vllm_ttft"
"""Output tokens per second with all the users a server takes, and with one; 1 / TTFT of one."""

BYTES_PER_PARAMETER = 2.0
FLOPS_PER_PARAMETER = 2.0
START_STEPS = 5.0
BATCH = 30.0
WINDOW_S = 70.0
_SIGN = np.array([1.0, -1.0, -1.0, 1.0])  # does more of the field take more time?
_MOST_OF_WINDOW = 0.999


@dataclass(frozen=True, slots=True)
class Question:
    """Which rate of which model, asked with which prompts."""

    kind: str
    parameters: float
    prompt_tokens: float
    output_tokens: float

    def __post_init__(self) -> None:
        if self.kind not in {SATURATED, SINGLE_USER, TTFT}:
            raise OutOfRange(f"{self.kind!r} is none of {SATURATED}, {SINGLE_USER} and {TTFT}")
        for name in ("parameters", "prompt_tokens", "output_tokens"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise OutOfRange(f"{name} is {value}; it must be finite and more than zero")


def log_rates(question: Question, fields: Floats, log_penalty: float) -> tuple[Floats, Floats]:
    """(ln rate, its slopes) of machines whose log fields are `fields`, shape (machines, 4).

    Slopes are by each log field and, last, by `log_penalty`: shape (machines, 5).
    """
    parts = _Parts.of(question, fields, log_penalty)
    match question.kind:
        case "vllm_ttft":
            time, share, penalty = _added(parts.first)
        case "vllm_sync":
            time, share, penalty = _added(parts.single_user)
        case _:
            time, share, penalty = parts.saturated()
    slopes = np.column_stack([-share * _SIGN, -penalty])
    return -np.log(time), slopes


@dataclass(frozen=True, slots=True)
class _Parts:
    """Seconds by field, shape (machines, 4), of what each is named for.

    `single_user` is of one token. `sequence` is what each of a batch adds to a step.
    `decode_s` is the part of `sequence` that the penalty multiplies. `filled` is the share of
    the window that one request alone takes.
    """

    first: Floats
    single_user: Floats
    step: Floats
    sequence: Floats
    decode_s: Floats
    filled: Floats

    @classmethod
    def of(cls, question: Question, fields: Floats, log_penalty: float) -> _Parts:
        step_s, weight_bytes_s, flops, sequence_s = np.exp(fields).T
        work = FLOPS_PER_PARAMETER * question.parameters
        none = np.zeros_like(step_s)
        prompt_s = work * question.prompt_tokens / flops
        decode_s = np.exp(log_penalty) * work / flops
        reading_s = BYTES_PER_PARAMETER * question.parameters / weight_bytes_s
        step = np.column_stack([step_s, reading_s, none, none])
        each_s = prompt_s / question.output_tokens + decode_s
        first = np.column_stack([START_STEPS * step_s, none, prompt_s, none])
        return cls(
            first=first,
            single_user=first / question.output_tokens + step,
            step=step,
            sequence=np.column_stack([none, none, each_s, sequence_s]),
            decode_s=decode_s,
            filled=np.minimum(
                step.sum(axis=1) * question.output_tokens / WINDOW_S, _MOST_OF_WINDOW
            ),
        )

    def saturated(self) -> tuple[Floats, Floats, Floats]:
        alone_s, alone, alone_penalty = _added(self.single_user)
        full_s, full, full_penalty = _added(self.step / BATCH + self.sequence, self.decode_s)
        cut_s, cut, cut_penalty = _added(self.sequence, self.decode_s)
        cut_s = cut_s / (1 - self.filled)
        of_step = self.step / self.step.sum(axis=1)[:, None]
        cut = cut + of_step * (self.filled / (1 - self.filled))[:, None]
        choice = np.where(alone_s <= np.maximum(full_s, cut_s), 0, np.where(cut_s > full_s, 1, 2))
        pick = choice, np.arange(len(choice))
        return (
            np.stack([alone_s, cut_s, full_s])[pick],
            np.stack([alone, cut, full])[pick],
            np.stack([alone_penalty, cut_penalty, full_penalty])[pick],
        )


def _added(parts: Floats, penalised_s: Floats | float = 0.0) -> tuple[Floats, Floats, Floats]:
    """(total, each part's share of it, the penalised part's share)."""
    total = parts.sum(axis=1)
    return total, parts / total[:, None], np.broadcast_to(penalised_s, total.shape) / total
