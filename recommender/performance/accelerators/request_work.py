"""From CPU-seconds of a request to the work that an accelerator would do for it.

Symbols
  D  CPU-seconds of a request, measured          h  share of D that stays on the host's CPU
  k  items in a request (tokens, images, rows)   t(k)  CPU-seconds of the model, by its roofline

Where k is said, h is what the roofline leaves of D. Where it is not, h is drawn from what servers
usually spend on requests and Python, and k solves t(k) = (1 - h) D. A decoder makes one pass for
each item; any other model takes all of them in one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.performance.accelerators.roofline import FIRST_WIDE_ROWS
from recommender.performance.accelerators.terms import Passes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.model_files import ModelProfile
    from recommender.performance.accelerators.cpu_roofline import CpuRoofline
    from recommender.performance.accelerators.roofline import GpuRoofline
    from recommender.performance.accelerators.terms import Regime

    Floats = NDArray[np.float64]

__all__ = ["CpuTime", "RequestWork", "request_work"]

# Assumed: four in five servers spend between 5 % and 36 % of a request outside the model.
_HOST_LOGIT_MEAN, _HOST_LOGIT_SD = -1.75, 0.9
_LEAST_HOST_RATIO = 0.02
# Assumed: what a runtime other than llama.cpp's, the only one that was measured, adds.
_OTHER_RUNTIME_SD = 0.3


@dataclass(frozen=True, slots=True)
class CpuTime:
    """What a request took where it was measured; silicon: None where it is not known."""

    seconds: float
    silicon: str | None


@dataclass(frozen=True, slots=True)
class RequestWork:
    """Draws. passes: of one request. host_cpu_s: CPU-seconds beside them, where it was measured.

    error_sd: of the log of a device's time, for what all devices have in common.
    """

    passes: Passes
    host_cpu_s: Floats
    error_sd: float


def request_work(
    profile: ModelProfile,
    items: float | None,
    measured: CpuTime,
    roofline: GpuRoofline,
    rng: np.random.Generator,
    draws: int,
) -> RequestWork:
    """items: None where nobody said; then the CPU's time tells."""
    cpu = roofline.parameters.cpu
    shape, error = rng.standard_normal((2, draws))
    if items is not None and profile.flops_per_item is not None:
        passes = passes_of(profile, np.full(draws, float(items)))
        regime = _regime(passes)
        model_s = cpu.seconds(passes, measured.silicon) * np.exp(cpu.unseen_sd[regime] * error)
        host_s = np.maximum(measured.seconds - model_s, _LEAST_HOST_RATIO * measured.seconds)
        sd = roofline.parameters.regimes[regime].unseen_model_sd
    else:
        host_ratio = 1 / (1 + np.exp(-(_HOST_LOGIT_MEAN + _HOST_LOGIT_SD * shape)))
        host_s = host_ratio * measured.seconds
        passes = _solved(profile, measured.seconds - host_s, measured.silicon, cpu)
        sd = cpu.carried_sd[_regime(passes)]
    other_runtime = 0.0 if profile.format == "gguf" else _OTHER_RUNTIME_SD
    return RequestWork(passes, host_s, float(np.hypot(sd, other_runtime)))


def _solved(
    profile: ModelProfile, model_s: Floats, silicon: str | None, cpu: CpuRoofline
) -> Passes:
    """The CPU's time rises in proportion to the items, from that of the first."""
    first_s, second_s = (
        cpu.seconds(passes_of(profile, np.array([count])), silicon) for count in (1.0, 2.0)
    )
    items = 1 + (model_s - first_s) / (second_s - first_s)
    return passes_of(profile, np.maximum(items, 1.0))


def _regime(passes: Passes) -> Regime:
    return "wide" if float(np.median(passes.rows)) >= FIRST_WIDE_ROWS else "narrow"


def passes_of(profile: ModelProfile, items: Floats) -> Passes:
    """An item of a model whose FLOPs nobody knows is one row."""
    parameters = float(profile.parameters)
    flops = profile.flops_per_item or 2 * parameters
    is_decoder = profile.kind == "decoder"
    ones = np.ones_like(items)
    return Passes(
        count=items if is_decoder else ones,
        rows=ones if is_decoder else items * flops / (2 * parameters),
        parameters=parameters * ones,
        weight_bytes=float(profile.weight_bytes) * ones,
        layers=float(profile.layers) * ones,
        # Half of an answer's tokens are there already when one is computed.
        context_bytes=(profile.kv_bytes_per_token or 0) * items * items / 2,
        attention_flops=0 * ones,
        full_precision=profile.precision == "fp32",
    )
