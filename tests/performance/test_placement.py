"""Where a machine stands among those of the catalogue, by planted truth and by real benchmarks."""

import os
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from loadtests.environment import Environment
from loadtests.modes.capacity import Capacity
from loadtests.modes.ladder import ServiceModel
from recommender.machines import likely_machines, machine_here
from recommender.performance.measured_size import MeasuredSize
from recommender.performance.model import PerformanceModel
from recommender.performance.silicon import SILICON_FACTS
from recommender.performance.speed_prior import SpeedPrior
from recommender.placement.benchmarks import BENCHMARKS, Rate, Rates, measure_rates
from recommender.placement.fit import COUNTERPARTS, fit_kinds, read_machines
from recommender.placement.here import place, placed_here
from recommender.placement.likeness import FLAGS, Kinds

FOLDER = os.environ.get("RECOMMENDER_GROUNDTRUTH")
KINDS = Kinds.bundled()
TODAY = date(2026, 11, 21)


def environment(**changes):
    """A machine that says nothing of itself but its architecture."""
    silent = Environment(
        host="lab",
        kernel="6.1",
        architecture="x86_64",
        cpu_vendor=None,
        cpu_name=None,
        cpu_family=None,
        cpu_model_number=None,
        cpu_flags=(),
        cores=4,
        threads_per_core=None,
        memory_gib=8.0,
        python="3.11",
        locust="2.47",
        tool="0.1",
    )
    return silent.model_copy(update=changes)


SAPPHIRE_RAPIDS = {
    "cpu_vendor": "GenuineIntel",
    "cpu_family": 6,
    "cpu_model_number": 143,
    "cpu_stepping": 8,
}


def kind_of(silicon, threads):
    return next(
        each for each in KINDS.kinds if (each.silicon, each.threads_per_core) == (silicon, threads)
    )


def rates_of(kind, times=1.0):
    """As a machine in the middle of its kind would be measured here."""
    by_name = {
        name: Rate(per_s=times * float(np.exp(mean + KINDS.offsets[name][0])), noise_ratio=0.01)
        for name, mean in zip(KINDS.benchmarks, kind.means, strict=True)
    }
    return Rates(by_name=by_name, cores=4, crowding_ratio=0.98, seconds=1.0)


@pytest.mark.parametrize("kind", KINDS.kinds, ids=lambda kind: f"{kind.silicon}-{kind.groups}")
def test_a_machine_in_the_middle_of_a_kind_is_likest_to_it_or_to_its_twin(kind):
    """Silent about itself. Some silicons differ in nothing that is measured: none is ruled out."""
    silent = environment(architecture=kind.architecture)
    found = place(silent, rates_of(kind), KINDS)
    best = next(iter(found.silicons.values()))
    assert found.silicons[kind.silicon] >= best / 5
    assert found.unseen < 0.2


def test_what_a_cpu_says_of_itself_is_believed_without_benchmarks():
    found = place(environment(**SAPPHIRE_RAPIDS), None, KINDS)
    assert found.silicon == "SapphireRapids"
    assert found.silicons["SapphireRapids"] > 0.9


def test_benchmarks_that_say_otherwise_outweigh_a_borrowed_name():
    """A hypervisor that shows every guest a Skylake, on a machine of another make."""
    said = environment(
        cpu_vendor="GenuineIntel", cpu_family=6, cpu_model_number=85, cpu_stepping=4
    )
    found = place(said, rates_of(kind_of("Zen4", 1)), KINDS)
    assert found.silicons.get("Skylake", 0.0) < 0.5
    assert found.silicon != "Skylake"


def test_a_silent_container_is_placed_by_its_benchmarks():
    found = place(environment(), rates_of(kind_of("Zen5", 1)), KINDS)
    assert found.silicon == "Zen5"
    assert found.threads_per_core == 1
    assert machine_here(environment(), found).silicon == "Zen5"


def test_a_machine_that_may_be_two_is_drawn_as_either():
    """Half of the draws start from each: the spread is that of both, and of which it is."""
    prior = SpeedPrior.bundled()
    (slow, fast), target = (
        [replace(machine_here(environment()), silicon=name) for name in ("Skylake", "Zen5")],
        replace(machine_here(environment()), silicon="IceLake", provider="aws"),
    )
    service = ServiceModel(1, np.full(100, 0.01), 100.0, 0.01)
    capacity = Capacity(80.0, 75.0, 85.0, "confirmed", service, 0.01)
    sizes = [MeasuredSize(1.0, capacity, 0.01, None, None)]
    likely = ((slow, 0.5), (fast, 0.5))
    of_slow, of_fast, of_both = (
        np.log(PerformanceModel(sizes, slow, prior, likely=each).speed_ratios([target]))
        for each in (((slow, 1.0),), ((fast, 1.0),), likely)
    )
    assert of_slow.shape == of_fast.shape == of_both.shape
    middle = (of_slow.mean() + of_fast.mean()) / 2
    assert of_both.mean() == pytest.approx(middle, abs=0.1)
    assert of_both.std() > 1.2 * max(of_slow.std(), of_fast.std())


def test_what_is_left_of_the_unlikely_is_shared_by_the_likely():
    found = place(environment(), rates_of(kind_of("Skylake", 2)), KINDS)
    likely = likely_machines(environment(), found)
    assert sum(share for _, share in likely) == pytest.approx(1)
    assert {machine.silicon for machine, _ in likely} >= {"Skylake", "CascadeLake"}
    assert min(share for _, share in likely) >= 0.02


def test_whole_cores_are_told_from_hardware_threads_of_one_silicon():
    whole, half = (
        place(environment(), rates_of(kind_of("Zen3", threads)), KINDS) for threads in (1, 2)
    )
    assert whole.whole_cores > half.whole_cores
    assert half.threads_per_core is None


def test_a_machine_like_no_other_says_so_and_names_no_silicon():
    odd = rates_of(kind_of("Zen5", 1), times=20.0)
    found = place(environment(), odd, KINDS)
    assert found.unseen > 0.5
    assert found.silicon is None
    assert "like no benchmarked machine" in found.text
    assert machine_here(environment(), found).silicon is None


def test_a_name_that_nobody_knows_is_not_passed_off_as_another():
    found = place(environment(cpu_vendor="GenuineIntel", cpu_family=19), None, KINDS)
    assert found.silicon is None


def test_a_flag_that_a_silicon_cannot_show_rules_it_out():
    """Skylake and Cascade Lake are one core, but for an instruction of the later."""
    rates = rates_of(kind_of("Skylake", 2))
    flags = ("fpu", "avx2", "avx512f")
    older = place(environment(cpu_flags=flags), rates, KINDS)
    newer = place(environment(cpu_flags=(*flags, "avx512_vnni")), rates, KINDS)
    assert older.silicon == "Skylake"
    assert newer.silicon == "CascadeLake"


@pytest.mark.parametrize("rates", [None, rates_of(kind_of("Zen4", 1))])
@pytest.mark.parametrize("said", [{}, SAPPHIRE_RAPIDS])
def test_probabilities_add_up_to_one(said, rates):
    found = KINDS.likeness(environment(**said), rates)
    assert sum(found.shares) + found.unseen == pytest.approx(1)


def test_an_architecture_that_nobody_benchmarked_is_like_nothing():
    found = place(environment(architecture="riscv64"), rates_of(kind_of("Zen4", 1)), KINDS)
    assert found.unseen == pytest.approx(1)
    assert found.silicon is None


def test_a_noisy_measurement_is_less_sure():
    quiet = rates_of(kind_of("IceLake", 2))
    noisy = quiet.model_copy(
        update={
            "by_name": {
                name: rate.model_copy(update={"noise_ratio": 0.5})
                for name, rate in quiet.by_name.items()
            }
        }
    )
    sure, unsure = (place(environment(), rates, KINDS) for rates in (quiet, noisy))
    assert max(sure.silicons.values()) > max(unsure.silicons.values())


def test_every_kind_is_described_in_full():
    assert set(COUNTERPARTS) == set(KINDS.benchmarks) == set(KINDS.offsets) == set(BENCHMARKS)
    for kind in KINDS.kinds:
        assert len(kind.means) == len(KINDS.benchmarks)
        assert len(kind.flags) == len(FLAGS)
    covered = {kind.silicon for kind in KINDS.kinds}
    assert set(SILICON_FACTS) - covered == {"Neoverse-V3"}


def test_hashing_takes_as_long_for_each_byte_however_many_there_are():
    """A rate is per second: longer slices of time change nothing but the noise."""
    short, long = (measure_rates(("sha256",), each, 4) for each in (0.005, 0.02))
    ratio = short.by_name["sha256"].per_s / long.by_name["sha256"].per_s
    assert ratio == pytest.approx(1, rel=0.5)


def test_every_benchmark_runs_and_a_faster_hash_stays_the_faster():
    """SHA-3 works harder than SHA-512 on every silicon of the ground truth."""
    found = measure_rates(slice_s=0.004, tries=2)
    assert set(found.by_name) <= set(BENCHMARKS)
    assert found.by_name["sha512"].per_s > found.by_name["sha3"].per_s
    assert found.by_name["cache"].per_s > found.by_name["memory"].per_s
    assert all(0 <= rate.noise_ratio < 1 for rate in found.by_name.values())
    assert (found.crowding_ratio is None) == (found.cores == 1)


def test_a_placement_is_kept_while_the_machine_is_the_same(tmp_path, monkeypatch):
    asked = []

    def counted():
        asked.append(1)
        return rates_of(kind_of("Zen4", 1))

    monkeypatch.setattr("recommender.placement.here.run_benchmarks", counted)
    first = placed_here(tmp_path, environment(), TODAY)
    assert placed_here(tmp_path, environment(host="another name"), TODAY) == first
    assert len(asked) == 1
    placed_here(tmp_path, environment(cores=8), TODAY)
    assert len(asked) == 2
    placed_here(tmp_path, environment(cores=8), TODAY + timedelta(days=100))
    assert len(asked) == 3
    (tmp_path / "placement.json").write_text("{broken")
    placed_here(tmp_path, environment(cores=8), TODAY)
    assert len(asked) == 4


@pytest.fixture(scope="module")
def ground_truth():
    if FOLDER is None:
        pytest.skip("RECOMMENDER_GROUNDTRUTH does not name the folder")
    return read_machines(Path(FOLDER))


def test_the_bundled_kinds_are_those_of_the_ground_truth(ground_truth):
    refitted = fit_kinds(ground_truth, KINDS.provenance)
    assert refitted == KINDS


def test_families_left_out_are_placed_as_surely_as_is_said(ground_truth):
    """A fifth of the families, each by kinds fitted without it, from its benchmarks alone."""
    machines = ground_truth
    rng = np.random.default_rng(1)
    key = ["uarch", "vendor", "family"]
    names = list(COUNTERPARTS)
    medians = machines.groupby(key)[names].median().sample(frac=0.15, random_state=2)
    said, right = [], []
    for (silicon, vendor, family), means in medians.iterrows():
        left = machines[~((machines.vendor == vendor) & (machines.family == family))]
        kinds = fit_kinds(left, KINDS.provenance)
        arm = silicon.startswith(("Neoverse", "Cortex"))
        errors = [rng.normal(*KINDS.offsets[name]) for name in names]
        by_name = {
            name: Rate(per_s=float(np.exp(mean + error)), noise_ratio=0.02)
            for name, mean, error in zip(names, means, errors, strict=True)
        }
        rates = Rates(by_name=by_name, cores=2, crowding_ratio=None, seconds=1.0)
        found = place(environment(architecture="arm64" if arm else "x86_64"), rates, kinds)
        best, share = next(iter(found.silicons.items()))
        said.append(share)
        right.append(best == silicon)
    assert np.mean(right) == pytest.approx(np.mean(said), abs=0.15)
    assert np.mean(right) > 0.45
