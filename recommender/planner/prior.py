"""What is believed of each workload by those who never saw it, nor one like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.performance.transfer.fitting import fit_transfer
from recommender.planner.ground import HOME
from recommender.planner.planner import among

if TYPE_CHECKING:
    from collections.abc import Callable

    from recommender.performance.joint import LogNormalJoint
    from recommender.performance.transfer.catalogue import Catalogue
    from recommender.performance.transfer.rates import Rates
    from recommender.planner.ground import Ground

    Progress = Callable[[str, float | None], None]

__all__ = ["left_out_priors"]


def left_out_priors(
    ground: Ground, catalogue: Catalogue, rates: Rates, progress: Progress
) -> tuple[LogNormalJoint, ...]:
    """Of the machines of `ground`, for each of its workloads, fitted without its fold."""
    priors: dict[int, LogNormalJoint] = {}
    machines = [(HOME, name) for name in ground.instances]
    rows = catalogue.positions().loc[machines].to_numpy(dtype=np.intp)
    folds = dict.fromkeys(ground.folds)
    for count, fold in enumerate(folds, start=1):
        progress(f"learning from all but {fold} ({count} of {len(folds)})", None)
        fit = fit_transfer(rates.without([fold]), catalogue)
        numbers = [n for n, each in enumerate(ground.folds) if each == fold]
        for kind in dict.fromkeys(ground.kinds[n] for n in numbers):
            own = [n for n in numbers if ground.kinds[n] == kind]
            joints = fit.joints(tuple(rates.workloads[ground.workloads[n]] for n in own))
            for n in own:
                priors[n] = among(joints[ground.workloads[n]], rows)
    return tuple(priors[n] for n in range(len(ground.workloads)))
