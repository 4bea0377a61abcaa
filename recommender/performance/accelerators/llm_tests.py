"""Language models as they were benchmarked: llama-bench's tests, as work.

The folder holds `llm.csv.gz` (one row per model, test and machine) and `instances.csv.gz`. Read
are tests of as many tokens as requests usually have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.performance.accelerators.terms import Passes
from recommender.performance.ground_truth import read_table

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Transformer", "passes_of", "read_machines", "read_tests"]

MICRO_BATCH = 512
"""llama.cpp puts no more prompt tokens into one pass."""
LONGEST = {"narrow": 512, "wide": 4096}
_LLM = (
    *("vendor", "instance", "model_short", "n_params", "size_bytes", "n_prompt", "n_gen"),
    *("effective_backend", "n_gpus", "gpu_name", "n_threads", "tokens_per_s"),
)
_MACHINES = ("vendor", "instance", "uarch", "vcpus", "is_burstable", "pm_CPU_SINGLETHREAD")


@dataclass(frozen=True, slots=True)
class Transformer:
    """Shape of a decoder-only model; context and attention follow from it."""

    layers: int
    attention_width: int
    key_width: int

    @property
    def kv_bytes_per_token(self) -> int:
        """Keys and values of every layer, in FP16."""
        return 2 * 2 * self.layers * self.key_width

    @property
    def attention_flops_per_pair(self) -> int:
        """Scores and weighted sum, for each token and each earlier one."""
        return 4 * self.layers * self.attention_width


MODELS = {
    "smollm135m": Transformer(30, 576, 192),
    "gemma2b": Transformer(18, 2048, 256),
    "llama7b": Transformer(32, 4096, 4096),
}


def read_machines(data_dir: Path) -> pd.DataFrame:
    return read_table(data_dir / "instances.csv.gz", _MACHINES)


def read_tests(data_dir: Path, machines: pd.DataFrame) -> pd.DataFrame:
    """With the columns regime, tokens and log_seconds (of the whole test), and the machine's."""
    rows = read_table(data_dir / "llm.csv.gz", _LLM)
    rows = rows[rows.model_short.isin(list(MODELS)) & rows.tokens_per_s.gt(0)]
    rows = rows.assign(
        regime=np.where(rows.n_gen.gt(0), "narrow", "wide"),
        tokens=rows.n_gen.where(rows.n_gen.gt(0), rows.n_prompt),
    )
    rows = rows[rows.tokens.le(rows.regime.map(LONGEST))]
    rows = rows.assign(log_seconds=np.log(rows.tokens / rows.tokens_per_s))
    facts = machines[["vendor", "instance", "uarch", "vcpus", "is_burstable"]]
    return rows.merge(facts, on=["vendor", "instance"])


def passes_of(rows: pd.DataFrame) -> Passes:
    def of_model(field: str) -> Floats:
        of_each = {name: float(getattr(model, field)) for name, model in MODELS.items()}
        return np.asarray(rows.model_short.map(of_each), dtype=np.float64)

    tokens = rows.tokens.to_numpy(dtype=np.float64)
    is_narrow = rows.regime.eq("narrow").to_numpy()
    # On average half of the tokens of a test are there already when one is computed.
    pairs = tokens * tokens / 2
    return Passes(
        count=np.where(is_narrow, tokens, np.ceil(tokens / MICRO_BATCH)),
        rows=np.where(is_narrow, 1.0, np.minimum(tokens, MICRO_BATCH)),
        parameters=rows.n_params.to_numpy(dtype=np.float64),
        weight_bytes=rows.size_bytes.to_numpy(dtype=np.float64),
        layers=of_model("layers"),
        context_bytes=of_model("kv_bytes_per_token") * pairs,
        attention_flops=of_model("attention_flops_per_pair") * pairs,
    )
