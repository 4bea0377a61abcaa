"""The fit on a folder of planted truth, and on the real one where a developer has it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recommender.errors import NotMeasured
from recommender.performance.ground_truth import read_benchmarks
from recommender.performance.prior_fit import fit_parameters
from recommender.performance.prior_validation import fit
from recommender.performance.speed_prior import Machine, Provenance, SpeedPrior

GROUND_TRUTH = os.environ.get("RECOMMENDER_GROUNDTRUTH")  # before a test's world is scrubbed
SMT = 0.4
LEVELS = {
    # silicon: (threads per core, architecture, log speed of a vCPU, families)
    "CascadeLake": (2, "x86_64", -0.9, ("m5", "c5")),
    "IceLake": (2, "x86_64", -0.6, ("m6i", "c6i")),
    "SapphireRapids": (2, "x86_64", -0.4, ("m7i", "c7i")),
    "Zen3": (2, "x86_64", -0.5, ("m6a", "c6a")),
    "Zen4": (1, "x86_64", 0.0, ("m7a", "r7a")),
    "Neoverse-N1": (1, "aarch64", -0.6, ("m6g", "c6g")),
    "Neoverse-V1": (1, "aarch64", -0.2, ("m7g", "c7g")),
}
FAMILY = {"c5": 0.12, "m5": -0.12}
ABROAD = {"IceLake": LEVELS["IceLake"], "Zen4": LEVELS["Zen4"]}
ABROAD["EmeraldRapids"] = (2, "x86_64", -0.3, ())
FOREIGN = -0.1
SIGMA = 0.01
SIZES = (2, 4, 8, 16, 32, 64)
GEEKBENCH = ("clang", "pdf_renderer", "asset_compression", "object_remover", "ray_tracer")
PASSMARK = ("INTEGER_MATH", "SORTING", "COMPRESSION")
TRUTH = {
    "web": ("web:1k", "web:64k"),
    "llm_pp": ("llm:small:pp16", "llm:big:pp16"),
    "llm_tg": ("llm:small:tg16", "llm:big:tg16"),
}
SMALL_FAMILIES = ("m5", "c5", "c6i", "m7i", "m7a", "m6g")
PROVENANCE = Provenance(
    source="planted",
    commit="0",
    licence="none",
    fitted_on="2026-01-01",
    command="test",
    workloads=(),
    machines=0,
)


def rows(vendor, table, rng):
    for silicon, (threads, arch, _, families) in table.items():
        for family in families or (f"{vendor}-{silicon}",):
            luck = 0.0 if vendor == "aws" else FOREIGN + rng.normal(0, 0.02)
            for vcpus in SIZES:
                yield {
                    "vendor": vendor,
                    "instance": f"{family}.{vcpus}",
                    "family": family,
                    "measured": 1,
                    "uarch": silicon,
                    "vcpus": vcpus,
                    "threads_per_core": threads,
                    "arch": arch,
                    "is_burstable": 0,
                    "is_metal": 0,
                    "is_flex": 0,
                    "luck": luck + FAMILY.get(family, 0.0),
                }


def speed(machine, taste, rng):
    """Log throughput of a whole machine."""
    level = {**LEVELS, **ABROAD}[machine.uarch][2]
    v = machine.vcpus
    size = np.log(v / (1 + SIGMA * (v - 1)))
    return level + machine.luck + taste[machine.arch] + size + rng.normal(0, 0.02)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(1)
    machines = pd.DataFrame([*rows("aws", LEVELS, rng), *rows("azure", ABROAD, rng)])
    truth = []
    for test in (*(f"gb_mc_{x}" for x in GEEKBENCH), *(f"pm_CPU_{x}" for x in PASSMARK)):
        taste = {"x86_64": rng.normal(0, 0.1), "aarch64": rng.normal(0, 0.1)}
        machines[test] = [np.exp(5 + speed(m, taste, rng)) for m in machines.itertuples()]
        if test.startswith("gb_mc_"):
            alone = np.where(machines.threads_per_core.eq(2), SMT, 0.0)
            machines[test.replace("_mc_", "_sc_")] = (
                machines[test] / machines.vcpus * np.exp(alone)
            )
    for kind, workloads in TRUTH.items():
        for workload in workloads:
            taste = {"x86_64": rng.normal(0, 0.1), "aarch64": rng.normal(0, 0.1)}
            truth += [
                (workload, kind, m.vendor, m.instance, np.exp(speed(m, taste, rng)))
                for m in machines.itertuples()
            ]
    path = tmp_path_factory.mktemp("benchmarks")
    machines.drop(columns="luck").to_csv(path / "instances.csv.gz", index=False)
    columns = ["workload", "kind", "vendor", "instance", "value"]
    pd.DataFrame(truth, columns=columns).to_csv(path / "truth.csv.gz", index=False)
    return path


@pytest.fixture(scope="module")
def parameters(folder):
    return fit_parameters(read_benchmarks(folder), PROVENANCE)


def test_planted_levels_are_found(parameters):
    found = {name: speed.level for name, speed in parameters.silicon.items()}
    intel = ("SapphireRapids", "IceLake", "CascadeLake", "Zen3", "Zen4")
    for one in intel:
        planted = LEVELS[one][2] - LEVELS["IceLake"][2]
        assert found[one] - found["IceLake"] == pytest.approx(planted, abs=0.04)


def test_a_vcpu_is_a_thread_or_a_core_as_the_cloud_sold_it(parameters):
    for name, (threads, *_) in LEVELS.items():
        assert parameters.silicon[name].threads_per_core == threads


def test_the_planted_gain_of_a_core_to_oneself_is_found(parameters):
    assert parameters.smt_mean == pytest.approx(SMT, abs=0.05)


def test_families_at_other_clocks_stand_apart_from_their_silicon(parameters):
    offset = parameters.family_offset
    assert offset["c5/CascadeLake"] == pytest.approx(0.12, abs=0.04)
    assert offset["m5/CascadeLake"] == pytest.approx(-0.12, abs=0.04)
    assert offset["m6i/IceLake"] == pytest.approx(0.0, abs=0.03)


def test_how_far_another_cloud_lies_is_found(parameters):
    assert parameters.foreign_sd == pytest.approx(abs(FOREIGN), abs=0.05)


def test_silicon_only_another_cloud_showed_is_adopted_with_doubt(parameters):
    adopted = parameters.silicon["EmeraldRapids"]
    home = parameters.silicon["IceLake"]
    assert adopted.level - home.level == pytest.approx(0.3 + FOREIGN, abs=0.06)
    assert adopted.level_sd == parameters.foreign_sd
    assert home.level_sd == 0


def test_silicon_nobody_showed_follows_its_lineage(parameters):
    unseen = parameters.silicon["GraniteRapids"]
    whole_core_before = parameters.silicon["SapphireRapids"].level + parameters.smt_mean
    assert not unseen.benchmarked
    assert unseen.threads_per_core == 1
    assert unseen.level > whole_core_before
    assert unseen.level_sd >= 0.1


def test_the_planted_contention_is_the_middle_of_the_scaling_prior(parameters):
    assert np.exp(parameters.scaling["web"].log_sigma_mean) == pytest.approx(SIGMA, rel=0.5)


@pytest.mark.parametrize("flaw", ["is_burstable", "is_metal", "is_flex"])
def test_unfit_machines_are_left_out(folder, tmp_path, flaw):
    machines = pd.read_csv(folder / "instances.csv.gz")
    machines.loc[machines.family.eq("c5"), flaw] = 1
    machines.to_csv(tmp_path / "instances.csv.gz", index=False)
    (tmp_path / "truth.csv.gz").write_bytes((folder / "truth.csv.gz").read_bytes())
    kept = read_benchmarks(tmp_path).rates
    assert "c5" not in set(kept.family)
    assert "m5" in set(kept.family)


def test_a_folder_without_benchmarks_is_named(tmp_path):
    with pytest.raises(NotMeasured, match=r"instances\.csv\.gz is not there"):
        read_benchmarks(tmp_path)


def test_a_table_without_a_needed_column_is_named(folder, tmp_path):
    pd.read_csv(folder / "instances.csv.gz").drop(columns="uarch").to_csv(
        tmp_path / "instances.csv.gz", index=False
    )
    with pytest.raises(NotMeasured, match="no column uarch"):
        read_benchmarks(tmp_path)


@pytest.fixture
def small_folder(folder, tmp_path):
    """The fewest machines that can still spare a silicon and a family."""
    machines = pd.read_csv(folder / "instances.csv.gz")
    kept = machines.vendor.eq("azure") | machines.family.isin(SMALL_FAMILIES)
    machines[kept].to_csv(tmp_path / "instances.csv.gz", index=False)
    (tmp_path / "truth.csv.gz").write_bytes((folder / "truth.csv.gz").read_bytes())
    return tmp_path


@pytest.mark.slow
def test_calibrated_intervals_hold_their_share_of_planted_truth(small_folder):
    fitted = fit(small_folder, fitted_on="2026-01-01", command="test", commit="0")
    rows = {(row.kind, row.left_out): row for row in fitted.holdout}
    own = rows["application", "workload"]
    assert own.coverage_80 >= 0.75
    assert own.error < 0.15
    assert own.workloads == len(GEEKBENCH) + len(PASSMARK)
    assert {left_out for _, left_out in rows} >= {"workload", "silicon", "family"}
    assert fitted.provenance.machines == 2 * len(SMALL_FAMILIES) + 2 * 5
    prior = SpeedPrior(fitted)
    zen, intel = (
        Machine(
            vcpus=2,
            silicon=name,
            threads_per_core=LEVELS[name][0],
            architecture="x86_64",
            clock_ghz=None,
            provider="aws",
        )
        for name in ("Zen4", "IceLake")
    )
    ratio = prior.draw_log_ratio(zen, [intel], 2000, np.random.default_rng(1))
    assert np.median(ratio) == pytest.approx(-0.6, abs=0.1)


@pytest.mark.slow
@pytest.mark.skipif(GROUND_TRUTH is None, reason="RECOMMENDER_GROUNDTRUTH names no folder")
def test_the_bundled_levels_come_from_the_ground_truth():
    benchmarks = read_benchmarks(Path(GROUND_TRUTH))
    bundled = SpeedPrior.bundled().parameters
    refitted = fit_parameters(benchmarks, bundled.provenance)
    assert refitted.silicon == bundled.silicon
    assert refitted.family_offset == bundled.family_offset
