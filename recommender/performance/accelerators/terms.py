"""What a forward pass costs on a GPU: terms in seconds that add up.

Symbols
  n  passes, one after the other       B  bytes of the weights          BW  memory bandwidth
  m  rows (tokens, positions) a pass   N  parameters                    F   peak FLOP/s
  L  layers                            W  watts of the board            q   share of a device

    t = (a B n / BW + b L n + c 2 N m n / F + ...) / q

An additive roofline (Williams et al. 2009 take the largest term; kernels of one stream overlap
little). Every term is a datasheet figure times a coefficient, so its log is linear in the logs of
the coefficients, and those of one kind of device depart from the common ones by a factor.

One row a pass ("narrow": a token after the other) and many ("wide": a prompt, an image) run
different kernels, and have coefficients of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pricing import GpuSpec

    Floats = NDArray[np.float64]

__all__ = [
    "REGIMES",
    "TERMS",
    "TRAITS",
    "Device",
    "HostSpeeds",
    "Passes",
    "Regime",
    "Term",
    "loadings",
    "log_seconds",
]

Regime = Literal["narrow", "wide"]
Component = Literal["memory", "launch", "compute", "fill"]
REGIMES: tuple[Regime, ...] = get_args(Regime)

LAUNCH_S = 1e-5
WATTS_PER_TFLOPS = 1.0  # about what boards may draw for each at their peak, by datasheets
FILL_ROWS = 16
WIDE_ROWS = 128
_NOTHING_S = 1e-15
_EMULATES_DOT_PRODUCTS, _TENSOR_CORES = 6.1, 7.0
_WIDE_TILES, _CUDA_GRAPHS, _UNSUITED_TENSOR_CORES = 7.5, 8.0, 9.0


@dataclass(frozen=True, slots=True)
class Passes:
    """Work; each field a number or an array, which broadcast.

    count: n. rows: m. context_bytes: read besides the weights, in all (keys and values of earlier
    tokens). attention_flops: in all. full_precision: computes in FP32, which has no tensor cores.
    """

    count: Floats
    rows: Floats
    parameters: Floats
    weight_bytes: Floats
    layers: Floats
    context_bytes: Floats
    attention_flops: Floats
    full_precision: bool = False

    @property
    def flops(self) -> Floats:
        return 2 * self.parameters * self.rows * self.count

    def only(self, keep: NDArray[np.bool_]) -> Passes:
        """Where every field is an array."""
        return Passes(
            self.count[keep],
            self.rows[keep],
            self.parameters[keep],
            self.weight_bytes[keep],
            self.layers[keep],
            self.context_bytes[keep],
            self.attention_flops[keep],
            self.full_precision,
        )

    def together(self, batch: int) -> Passes:
        """As many requests in the same passes: weights are read once, contexts for each."""
        return replace(
            self,
            rows=self.rows * batch,
            context_bytes=self.context_bytes * batch,
            attention_flops=self.attention_flops * batch,
        )


@dataclass(frozen=True, slots=True)
class Device:
    """What a model runs on.

    fraction: share of one device. split: over how many devices a model is spread. host: the
    silicon of the CPU that launches the kernels; None where it is not known.
    """

    spec: GpuSpec
    fraction: float = 1.0
    split: int = 1
    host: str | None = None


@dataclass(frozen=True, slots=True)
class HostSpeeds:
    """Of one thread, by silicon, in PassMark's points; common: where it is not known."""

    by_silicon: dict[str, float]
    common: float

    def slowness(self, silicon: str | None) -> float:
        """Log of a thread's time, over that of a common host."""
        return float(np.log(self.common / self.by_silicon.get(silicon or "", self.common)))


@dataclass(frozen=True, slots=True)
class Term:
    """prior: mean and deviation of the coefficient's log, before any measurement."""

    name: str
    component: Component
    prior: tuple[float, float]


TERMS: dict[Regime, tuple[Term, ...]] = {
    "narrow": (
        Term("weights", "memory", (0.4, 0.3)),
        Term("context", "memory", (0.4, 1.0)),
        Term("launch", "launch", (2.0, 1.0)),
        Term("small_kernels", "launch", (0.0, 1.0)),
        Term("scalar", "compute", (0.0, 1.0)),
        Term("emulation", "compute", (1.0, 1.0)),
    ),
    "wide": (
        Term("weights", "memory", (0.3, 0.7)),
        Term("launch", "launch", (2.3, 1.0)),
        Term("tiles", "launch", (2.0, 1.0)),
        Term("matrix", "compute", (0.7, 1.0)),
        Term("scalar", "compute", (-1.0, 1.0)),
        Term("power", "compute", (0.0, 0.3)),
        Term("fill", "fill", (1.0, 1.0)),
        Term("attention", "compute", (1.0, 1.0)),
    ),
}

TRAITS: dict[Regime, dict[str, tuple[float, float]]] = {
    "narrow": {"no_graphs": (0.2, 0.3)},
    "wide": {
        "no_graphs": (0.2, 0.3),
        "newer_tensor_cores": (0.3, 0.4),
        "first_tensor_cores": (0.0, 0.4),
        "no_tensor_cores": (0.0, 0.7),
        "fill_without_tensor_cores": (0.8, 0.7),
    },
}
"""What sets kinds of device apart, with the prior of its log factor.

Kernels are launched one by one before CUDA graphs (8.0). Tensor cores of Hopper and later are at
their best with instructions that portable kernels do not use.
"""


def log_seconds(regime: Regime, work: Passes, spec: GpuSpec) -> list[Floats]:
    """Of each term of the regime, with every coefficient 1, on a whole device."""
    bandwidth = spec.bandwidth_gb_s * 1e9
    fp32 = spec.fp32_tflops * 1e12
    weights_s = work.count * work.weight_bytes / bandwidth
    launch_s = work.count * work.layers * LAUNCH_S
    scalar_s = work.flops / fp32
    if regime == "narrow":
        emulates = spec.compute_capability < _EMULATES_DOT_PRODUCTS
        seconds = [
            weights_s,
            work.context_bytes / bandwidth,
            launch_s,
            launch_s * (10 / spec.fp32_tflops),
            scalar_s,
            scalar_s * emulates,
        ]
    else:
        peak = fp32 if work.full_precision else spec.fp16_tflops * 1e12
        has_tiles = spec.compute_capability >= _WIDE_TILES
        seconds = [
            weights_s,
            launch_s,
            launch_s * np.minimum(work.rows / WIDE_ROWS, 1.0) * has_tiles,
            work.flops / peak,
            scalar_s,
            work.flops / (spec.board_w / WATTS_PER_TFLOPS * 1e12),
            2 * work.parameters * work.count * FILL_ROWS / peak,
            work.attention_flops / peak,
        ]
    return [np.log(np.maximum(each, _NOTHING_S)) for each in seconds]


def loadings(regime: Regime, term: Term, device: Device, host_slowness: float) -> dict[str, float]:
    """By which parameters the log of a term's coefficient is shifted, and how far.

    host_slowness: log of a thread's time, over that of a common host.
    """
    spec, component = device.spec, term.component
    found = {
        term.name: 1.0,
        f"{component}/{spec.generation}": 1.0,
        f"{component}/{spec.generation}/{spec.name}": 1.0,
    }
    if device.fraction < 1:
        found["slice"] = 1.0
    if component == "launch":
        found["host"] = host_slowness
        if device.split > 1:
            found["split"] = 1.0
    found |= dict.fromkeys(_traits(regime, component, spec), 1.0)
    return found


def _traits(regime: Regime, component: Component, spec: GpuSpec) -> list[str]:
    if component == "launch":
        return ["no_graphs"] if spec.compute_capability < _CUDA_GRAPHS else []
    is_tensor_work = regime == "wide" and component != "memory"
    return _tensor_cores(component, spec) if is_tensor_work else []


def _tensor_cores(component: Component, spec: GpuSpec) -> list[str]:
    capability = spec.compute_capability
    if capability < _TENSOR_CORES:
        return ["no_tensor_cores" if component == "compute" else "fill_without_tensor_cores"]
    if capability < _WIDE_TILES:
        return ["first_tensor_cores"]
    return ["newer_tensor_cores"] if capability >= _UNSUITED_TENSOR_CORES else []
