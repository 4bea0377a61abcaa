"""vLLM results of a folder of benchmark tables, as runs the serving prior is fitted to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.errors import NotMeasured
from recommender.performance.ground_truth import read_table
from recommender.performance.llm_serving.machine_facts import MachineFacts
from recommender.performance.llm_serving.prior import Runs
from recommender.performance.llm_serving.step_time import (
    SATURATED,
    SINGLE_USER,
    TTFT,
    Question,
)
from recommender.performance.transfer.catalogue import read_catalogue

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SERVING_KINDS", "ServingResults", "parameters_in_name", "read_serving_results"]

SERVING_KINDS = (SATURATED, SINGLE_USER, TTFT)
_TRUTH = ("vendor", "instance", "family", "workload", "kind", "value", "scored")
_SERVED = ("workload", "prompt_tokens", "output_tokens")
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([mbt])(?![a-z0-9])")
_TIMES = {"m": 1e6, "b": 1e9, "t": 1e12}


def parameters_in_name(name: str) -> float | None:
    """2e9 of "gemma-2b"; None where the name does not say."""
    found = _SIZE.search(name.lower())
    return None if found is None else float(found[1]) * _TIMES[found[2]]


def model_of(workload: str) -> str:
    """The second part of "vllm:gemma-2b:chat:sat_tok_s"."""
    return workload.split(":")[1]


@dataclass(frozen=True)
class ServingResults:
    """`runs`: columns workload, kind, model, row (of `facts`), log_rate, silicon, family.

    `tokens`: (prompt, output) of each kind of prompt, by its name in the workload.
    """

    facts: MachineFacts
    runs: pd.DataFrame
    tokens: dict[str, tuple[float, float]]

    def tokens_of(self, workload: str) -> tuple[float, float]:
        prompt = workload.split(":")[2]
        if prompt not in self.tokens:
            known = ", ".join(sorted(self.tokens))
            raise NotMeasured(
                f"nothing says how long the prompts of {workload!r} are",
                hint=f"vllm.csv.gz knows {known}",
            )
        return self.tokens[prompt]

    def question(self, workload: str, kind: str, parameters: float) -> Question:
        prompt, output = self.tokens_of(workload)
        return Question(kind, parameters, prompt, output)

    def runs_of(self, wanted: pd.Series) -> list[Runs]:
        """Runs of models whose name says their size."""
        found = []
        for (workload, kind), rows in self.runs[wanted].groupby(["workload", "kind"]):
            parameters = parameters_in_name(model_of(str(workload)))
            if parameters is not None:
                found.append(
                    Runs(
                        self.question(str(workload), str(kind), parameters),
                        rows.row.to_numpy(dtype=np.intp),
                        rows.log_rate.to_numpy(dtype=np.float64),
                    )
                )
        return found


def read_serving_results(data_dir: Path) -> ServingResults:
    facts = MachineFacts.of(read_catalogue(data_dir))
    truth = read_table(data_dir / "truth.csv.gz", _TRUTH)
    shown = truth.kind.isin(SERVING_KINDS) & truth.value.gt(0) & truth.scored.eq(1)
    for split in ("workload_split", "instance_split"):
        if split in truth:
            shown &= truth[split].eq("dev")
    truth = truth[shown]
    row = facts.machines.get_indexer(pd.MultiIndex.from_frame(truth[["vendor", "instance"]]))
    runs = truth.assign(row=row, model=truth.workload.map(model_of))
    runs = runs[runs.row.ge(0)]
    runs = runs.assign(log_rate=np.log(runs.value), silicon=facts.silicon[runs.row])
    served = read_table(data_dir / "vllm.csv.gz", _SERVED)
    tokens = served.groupby("workload")[["prompt_tokens", "output_tokens"]].median()
    columns = ["workload", "kind", "model", "row", "log_rate", "silicon", "family"]
    return ServingResults(
        facts,
        runs[columns].reset_index(drop=True),
        {
            str(name): (float(prompt), float(output))
            for name, prompt, output in tokens.reset_index().to_numpy()
        },
    )
