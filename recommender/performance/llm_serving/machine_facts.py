"""What is known of a machine without running anything on it, as columns a linear fit can use.

Each group of columns has a spread per field: how far apart two machines that differ in it may lie,
in logs, before anything was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.performance.llm_serving.step_time import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from recommender.performance.transfer.catalogue import Catalogue

    Floats = NDArray[np.float64]

__all__ = ["MachineFacts"]

_REFERENCE_CORES = 4.0
_KNEES_CORES = (16.0, 48.0)
"""Past these a single process gains less by each further core, or loses."""

_USUAL_LOG2_MB_PER_CORE = 1.0
_FIRST = {  # of a machine of four cores: (log mean, spread), (slope on log cores, spread)
    "step_s": ((np.log(4e-3), 0.5), (0.0, 0.3)),
    "weight_bytes_s": ((np.log(3e10), 0.5), (0.5, 0.3)),
    "prefill_flops": ((np.log(5e11), 1.0), (0.8, 0.3)),
    "sequence_s": ((np.log(9e-4), 0.1), (-0.6, 0.06)),
}
_SPREAD = {"knee": 0.4, "threads": 0.4, "cache": 0.5, "numa": 0.5, "silicon": 0.35, "curve": 0.15}
_UNITS_SPREAD = {"bf16": 0.3, "amx": 0.3, "arm": 0.3, "avx512": 0.3}
_UNITS_SPREAD_OF_FLOPS = {"bf16": 1.0, "amx": 1.0, "arm": 1.0, "avx512": 0.5}
_SEQUENCE_SHARE = 0.3
"""The cost of one more sequence differs by less: sampling is not what the silicons differ in."""


@dataclass(frozen=True)
class MachineFacts:
    """`columns`: (machines, facts). `spread` and `mean`: of each fact's weight, by field."""

    machines: pd.MultiIndex
    names: tuple[str, ...]
    columns: Floats
    silicon: NDArray[np.str_]
    log_cores: Floats

    @classmethod
    def of(cls, catalogue: Catalogue) -> MachineFacts:
        facts = catalogue.facts
        log_cores = np.log(facts.cores.clip(lower=1.0) / _REFERENCE_CORES)
        is_arm = facts.architecture.ne("x86_64")
        # What multiplies BF16 natively: on Arm the extension came with that for bytes.
        bf16 = facts.avx512_bf16.eq(1) | (is_arm & facts.i8mm.eq(1))
        cache = facts.log_l3 - np.log2(facts.cores) - _USUAL_LOG2_MB_PER_CORE
        columns: dict[str, pd.Series] = {
            "level": pd.Series(1.0, facts.index),
            "cores": log_cores,
            **{
                f"knee:{at:g}": (log_cores - np.log(at / _REFERENCE_CORES)).clip(lower=0.0)
                for at in _KNEES_CORES
            },
            "threads": facts.threads.eq(1).astype(float),
            "bf16": bf16.astype(float),
            "amx": facts.amx_int8.eq(1).astype(float),
            "avx512": facts.avx512f.eq(1).astype(float),
            "arm": is_arm.astype(float),
            "cache": cache.clip(-2, 4) / 3,
            "numa": np.log2(facts.numa.clip(lower=1.0)),
        }
        for name in sorted(facts.silicon.unique()):
            columns[f"silicon:{name}"] = facts.silicon.eq(name).astype(float)
            columns[f"curve:{name}"] = columns[f"silicon:{name}"] * log_cores
        table = pd.DataFrame(columns)
        return cls(
            machines=pd.MultiIndex.from_frame(facts[["vendor", "instance"]]),
            names=tuple(table.columns),
            columns=table.to_numpy(dtype=np.float64),
            silicon=facts.silicon.to_numpy(dtype=str),
            log_cores=log_cores.to_numpy(dtype=np.float64),
        )

    def rows(self, wanted: NDArray[np.intp]) -> MachineFacts:
        return MachineFacts(
            self.machines[wanted],
            self.names,
            self.columns[wanted],
            self.silicon[wanted],
            self.log_cores[wanted],
        )

    @property
    def weights_before(self) -> tuple[Floats, Floats]:
        """(mean, spread) of the facts' weights, field after field."""
        mean = np.zeros((len(FIELDS), len(self.names)))
        spread = np.zeros_like(mean)
        for i, field in enumerate(FIELDS):
            units = _UNITS_SPREAD_OF_FLOPS if field == "prefill_flops" else _UNITS_SPREAD
            spread[i] = [_spread_of(name, {**_SPREAD, **units}) for name in self.names]
            if field == "sequence_s":
                spread[i] *= _SEQUENCE_SHARE
            (mean[i, 0], spread[i, 0]), (mean[i, 1], spread[i, 1]) = _FIRST[field]
        return mean.ravel(), spread.ravel()


def _spread_of(name: str, spread: Mapping[str, float]) -> float:
    """Zero for the level and the size, which each field has of its own."""
    return spread.get(name.partition(":")[0], 0.0)
