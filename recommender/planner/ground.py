"""The benchmark tables as the replay asks them: throughput and price by workload and machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import numpy as np

from recommender.errors import BadRequest
from recommender.performance.ground_truth import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from recommender.performance.transfer.catalogue import Catalogue
    from recommender.performance.transfer.rates import Rates

    Floats = NDArray[np.float64]

__all__ = ["HOME", "Ground", "read_ground"]

HOME = "aws"
PRICE = "price_usd_h_us_east_1"


@dataclass(frozen=True)
class Ground:
    """log_throughput: (workloads, machines), NaN where it was not measured.

    folds: workloads of one are left out together. features: (machines, facts) of the catalogue,
    scaled alike.
    """

    workloads: tuple[str, ...]
    kinds: tuple[str, ...]
    folds: tuple[str, ...]
    instances: tuple[str, ...]
    log_throughput: Floats
    usd_per_hour: Floats
    features: Floats

    def only(self, patterns: Sequence[str]) -> Ground:
        """Workloads that any of the patterns names (web:*); all where there is none."""
        keep = [
            number
            for number, name in enumerate(self.workloads)
            if not patterns or any(fnmatch(name, pattern) for pattern in patterns)
        ]
        if not keep:
            raise BadRequest(
                f"no workload is named {' or '.join(patterns)}",
                hint=f"there are {', '.join(self.workloads)}",
            )
        return self.take(keep)

    def take(self, numbers: Sequence[int]) -> Ground:
        return replace(
            self,
            workloads=tuple(self.workloads[number] for number in numbers),
            kinds=tuple(self.kinds[number] for number in numbers),
            folds=tuple(self.folds[number] for number in numbers),
            log_throughput=self.log_throughput[list(numbers)],
        )


def read_ground(data_dir: Path, catalogue: Catalogue, rates: Rates) -> Ground:
    """Machines of AWS that have a price and no accelerator, on whole-machine workloads."""
    needed = ("vendor", "instance", "mem_gib", "gpu_count", PRICE)
    told = read_table(data_dir / "instances.csv.gz", needed).set_index(["vendor", "instance"])
    facts = catalogue.facts.join(told[list(needed[2:])], on=["vendor", "instance"])
    fit = facts.vendor.eq(HOME) & facts[PRICE].gt(0) & facts.mem_gib.gt(0)
    fit &= facts.gpu_count.fillna(0).eq(0)
    table = rates.table[rates.table.machine.isin(facts.index[fit])].pivot_table(
        index=["kind", "fold", "workload"], columns="machine", values="log_rate"
    )
    facts = facts.loc[table.columns]
    return Ground(
        workloads=tuple(table.index.get_level_values("workload")),
        kinds=tuple(table.index.get_level_values("kind")),
        folds=tuple(table.index.get_level_values("fold")),
        instances=tuple(facts.instance),
        log_throughput=table.to_numpy(dtype=np.float64),
        usd_per_hour=facts[PRICE].to_numpy(dtype=np.float64),
        features=_features(facts),
    )


def _features(facts: pd.DataFrame) -> Floats:
    """What a catalogue says of a machine, each fact of mean 0 and spread 1."""
    told = np.column_stack(
        [
            np.log2(facts.vcpus),
            np.log2(facts.mem_gib / facts.vcpus),
            np.log2(facts[PRICE]),
            facts.architecture.eq("arm64"),
            facts.lineage.eq("amd"),
        ]
    ).astype(np.float64)
    spread = told.std(axis=0)
    scaled = (told - told.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(scaled, dtype=np.float64)
