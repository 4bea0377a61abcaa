"""A prompt on many cores: what they share of it, and what goes with a model's activations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recommender.performance.transfer import Rates, fit_transfer, read_catalogue
from recommender.performance.transfer.rates import PREFILL, workload_of

SPEED = {"IceLake": 0.0, "SapphireRapids": 0.2, "Zen4": 0.3, "Neoverse-V1": -0.2}
CORES = (1, 2, 4, 8, 16, 32, 64)
MODEL_BYTES = {"tiny": 1e8, "middle": 1.5e9, "large": 4e9}
TOKENS, CORES_AS_MUCH, NOISE = 128, 15.0, 0.02
UNSEEN = "llm:tiny:pp128"


def seconds(workload, cores, speed):
    """Of one call. `scale`: how wide and how deep; weights go with its cube."""
    scale = np.cbrt(workload.bytes_ratio)
    moving = workload.bytes_ratio / (6.0 * cores)
    multiplying, between = scale**3 / cores, scale**2 / CORES_AS_MUCH
    work = TOKENS * (multiplying + between) / (20.0 * np.exp(speed))
    return moving + (workload.kind == PREFILL) * work


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted-prefill")
    table = pd.DataFrame(
        {
            "vendor": "aws",
            "instance": f"{silicon}{family}.{cores}",
            "family": f"{silicon}{family}",
            "arch": "aarch64" if silicon.startswith("Neoverse") else "x86_64",
            "uarch": silicon,
            "vcpus": cores,
            "physical_cores": cores,
            "threads_per_core": 1,
        }
        for silicon in SPEED
        for family in range(2)
        for cores in CORES
    )
    table.to_csv(folder / "instances.csv.gz", index=False)
    speed = table.uarch.map(SPEED).to_numpy()
    rng = np.random.default_rng(11)
    workloads = {
        name: workload_of(name, MODEL_BYTES)
        for model in MODEL_BYTES
        for name in (f"llm:{model}:pp{TOKENS}", f"llm:{model}:tg16")
    }
    took = {
        name: seconds(workload, table.vcpus.to_numpy(), speed)
        for name, workload in workloads.items()
    }
    rows = [
        pd.DataFrame(
            {
                "machine": np.arange(len(table)),
                "workload": name,
                "kind": workload.kind,
                "fold": workload.fold,
                "log_rate": rng.normal(0, NOISE, len(table))
                - np.log(took[name] / workload.tokens),
            }
        )
        for name, workload in workloads.items()
    ]
    rates = Rates(pd.concat(rows, ignore_index=True), workloads)
    fit = fit_transfer(rates.without([workloads[UNSEEN].fold]), read_catalogue(folder))
    return fit, rates, took


def test_a_small_model_gains_less_from_more_cores(world):
    fit, rates, _ = world
    cores = fit.catalogue.numbers("cores")
    gains = []
    for model in MODEL_BYTES:
        said = fit.laws[PREFILL].log_rate(rates.workloads[f"llm:{model}:pp{TOKENS}"])
        gains.append(np.exp(said[cores == 64].mean() - said[cores == 1].mean()))
    assert 1 < gains[0] < gains[1] < gains[2] < 64


def test_what_cores_gain_is_carried_to_a_model_fifteen_times_smaller(world):
    """By one measurement on eight cores, from models of like size only."""
    fit, rates, took = world
    truth = np.log(TOKENS / took[UNSEEN])
    cores = fit.catalogue.numbers("cores")
    reference = np.flatnonzero(cores == 8)[:1]
    joint = fit.joints((rates.workloads[UNSEEN],))[UNSEEN]
    told = joint.given(reference, truth[reference], 1e-3)
    error = np.abs(told.mean - truth)
    for few_or_many in (1, 64):
        assert np.median(error[cores == few_or_many]) < 0.05
