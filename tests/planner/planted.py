"""A world whose joint is known: silicons of like speed, sizes that scale less than linearly."""

import numpy as np

from recommender.performance.joint import LogNormalJoint
from recommender.planner.ground import Ground

SILICONS, SIZES = 6, (2, 4, 8, 16, 32)
SPREAD = {"level": 3.0, "silicon": 0.4, "size": 0.1, "own": 0.05}


def machines():
    silicon, vcpus = np.meshgrid(np.arange(SILICONS), np.array(SIZES), indexing="ij")
    return silicon.ravel(), vcpus.ravel().astype(float)


def joint():
    silicon, vcpus = machines()
    size = np.log(vcpus / vcpus[0])
    return LogNormalJoint(
        mean=0.9 * np.log(vcpus),
        covariance=SPREAD["level"] ** 2
        + SPREAD["silicon"] ** 2 * (silicon[:, None] == silicon)
        + SPREAD["size"] ** 2 * np.outer(size, size)
        + SPREAD["own"] ** 2 * np.eye(len(silicon)),
    )


def ground(workloads=12, seed=5):
    silicon, vcpus = machines()
    rng = np.random.default_rng(seed)
    price = 0.05 * vcpus * np.exp(rng.normal(0, 0.1, len(vcpus)))
    facts = np.column_stack([np.log2(vcpus), silicon, np.log2(price)])
    return Ground(
        workloads=tuple(f"w{n}" for n in range(workloads)),
        kinds=tuple(("web", "llm_decode")[n % 2] for n in range(workloads)),
        folds=tuple(f"w{n}" for n in range(workloads)),
        instances=tuple(f"s{s}.{v:g}" for s, v in zip(silicon, vcpus, strict=True)),
        log_throughput=joint().draw(workloads, rng),
        usd_per_hour=price,
        features=(facts - facts.mean(axis=0)) / facts.std(axis=0),
    )
