"""Cores that wait for each other: what the law of language models says, and its scatter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recommender.performance.transfer import Rates, fit_transfer, read_catalogue
from recommender.performance.transfer.rates import DECODE, workload_of

SPEED = {"IceLake": 0.0, "SapphireRapids": 0.2, "Zen4": 0.3}
CORES = (1, 2, 4, 8, 16, 32, 64)
ALIKE = 4  # families of one silicon
MODEL_BYTES = {"tiny": 1e8, "small": 4e8, "middle": 1.5e9, "large": 4e9}
TAU_S, HANDOVER_S = 6e-5, 1e-3
NOISE, WAITING_NOISE = 0.01, 0.5
UNSEEN = "llm:small:tg16"


def seconds(size_bytes, cores, speed):
    waiting = (cores - 1) * (TAU_S + HANDOVER_S / cores)
    return waiting, size_bytes / 1e9 / (6.0 * np.exp(speed) * cores / (1 + cores / 20))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted-waiting")
    table = pd.DataFrame(
        {
            "vendor": "aws",
            "instance": f"{silicon}{family}.{cores}",
            "family": f"{silicon}{family}",
            "arch": "x86_64",
            "uarch": silicon,
            "vcpus": cores,
            "physical_cores": cores,
            "threads_per_core": 1,
        }
        for silicon in SPEED
        for family in range(ALIKE)
        for cores in CORES
    )
    table.to_csv(folder / "instances.csv.gz", index=False)
    rng = np.random.default_rng(5)
    workloads = {
        name: workload_of(name, MODEL_BYTES)
        for name in (f"llm:{model}:tg16" for model in MODEL_BYTES)
    }
    rows = []
    for name, workload in workloads.items():
        speed = table.uarch.map(SPEED).to_numpy()
        waiting, working = seconds(workload.bytes_ratio * 1e9, table.vcpus.to_numpy(), speed)
        share = waiting / (waiting + working)
        noise = rng.normal(0, 1, len(table)) * np.hypot(NOISE, WAITING_NOISE * share)
        rows.append(
            pd.DataFrame(
                {
                    "machine": np.arange(len(table)),
                    "workload": name,
                    "kind": DECODE,
                    "fold": workload.fold,
                    "log_rate": noise - np.log(waiting + working),
                }
            )
        )
    catalogue = read_catalogue(folder)
    rates = Rates(pd.concat(rows, ignore_index=True), workloads)
    return fit_transfer(rates.without([workloads[UNSEEN].fold]), catalogue), rates


def test_one_core_waits_for_nobody_and_a_small_model_waits_the_most(world):
    fit, rates = world
    cores = fit.catalogue.numbers("cores")
    tiny, large = (
        fit.laws[DECODE].waiting(rates.workloads[f"llm:{model}:tg16"])
        for model in ("tiny", "large")
    )
    assert np.all(tiny[cores == 1] == 0)
    assert np.all(tiny[cores > 1] > large[cores > 1])
    assert np.all((tiny >= 0) & (tiny < 1))
    waiting, working = seconds(1e8, 64, 0.0)
    at = (cores == 64) & fit.catalogue.facts.silicon.eq("IceLake").to_numpy()
    assert tiny[at] == pytest.approx(waiting / (waiting + working), abs=0.1)


def test_a_call_that_is_mostly_waiting_is_told_less_surely(world):
    fit, rates = world
    assert fit.own[DECODE].by_waiting == pytest.approx(WAITING_NOISE**2, rel=0.5)
    joint = fit.joints((rates.workloads[UNSEEN],))[UNSEEN]
    cores = fit.catalogue.numbers("cores")
    reference = np.flatnonzero(cores == 8)[:1]
    told = joint.given(reference, joint.mean[reference], 1e-3)
    assert told.sd[cores == 64].min() > 1.5 * told.sd[cores == 4].max()


def test_a_wild_measurement_of_waiting_cores_moves_others_less(world):
    """64 cores said half of what they would: of a call that waits, that may well be chance."""
    fit, rates = world
    steady = replace(fit.own[DECODE], by_waiting=0.0)
    cores = fit.catalogue.numbers("cores")
    trusted, many = np.flatnonzero(cores == 8), np.flatnonzero(cores == 64)
    at = np.array([*trusted[:3], many[0]])

    def moved(known):
        joint = known.joints((rates.workloads[UNSEEN],))[UNSEEN]
        told = joint.given(at, joint.mean[at] - np.log(2) * (at == many[0]), 1e-3)
        return np.mean(told.mean[many[1:]] - joint.mean[many[1:]])

    assert 0 > moved(fit) > 0.8 * moved(replace(fit, own={DECODE: steady}))
