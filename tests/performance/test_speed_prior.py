from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recommender.errors import OutOfRange, RecommenderError
from recommender.performance.silicon import SILICON_FACTS
from recommender.performance.speed_prior import Machine, SpeedPrior

THREADS = {"Zen4": 1, "Zen5": 1}


@pytest.fixture(scope="module")
def prior() -> SpeedPrior:
    return SpeedPrior.bundled()


def machine(silicon, *, vcpus=2.0, threads=None, provider="aws", family=None, arch=None):
    if arch is None:
        arch = SILICON_FACTS[silicon].architecture if silicon else "x86_64"
    if threads is None:
        threads = 1 if arch == "arm64" else THREADS.get(silicon, 2)
    return Machine(
        vcpus=vcpus,
        silicon=silicon,
        threads_per_core=threads,
        architecture=arch,
        clock_ghz=None,
        provider=provider,
        family=family,
    )


def draw(prior, source, *targets, draws=4000, seed=1):
    return prior.draw_log_ratio(source, targets, draws, np.random.default_rng(seed))


def width(column):
    return float(np.ptp(np.quantile(column, (0.1, 0.9))))


def test_a_machine_is_exactly_as_fast_as_itself(prior):
    ratio = draw(prior, machine("IceLake"), machine("IceLake"))
    assert not ratio.any()


def test_another_size_of_the_same_machine_is_nearly_as_fast_per_vcpu(prior):
    ratio = draw(prior, machine("IceLake"), machine("IceLake", vcpus=8))
    assert np.median(ratio) == pytest.approx(0, abs=0.01)
    assert width(ratio) < 0.25


def test_swapping_source_and_target_negates_the_median(prior):
    one, other = machine("Zen4"), machine("Skylake")
    there, back = (np.median(draw(prior, a, b)) for a, b in ((one, other), (other, one)))
    assert there == pytest.approx(-back, abs=0.03)
    assert abs(there) > 0.3


def test_ratios_chain_through_a_third_machine(prior):
    a, b, c = machine("Zen4"), machine("IceLake"), machine("Neoverse-V2")
    direct = np.median(draw(prior, a, c))
    assert direct == pytest.approx(
        np.median(draw(prior, a, b)) + np.median(draw(prior, b, c)), abs=0.05
    )


def test_two_sizes_of_one_silicon_move_together(prior):
    sizes = [machine("SapphireRapids", vcpus=v) for v in (2, 8)]
    ratio = draw(prior, machine("Zen4", provider=None), *sizes)
    assert np.corrcoef(ratio.T)[0, 1] > 0.95


def test_relatives_move_together_more_than_strangers(prior):
    targets = [machine(name) for name in ("Neoverse-V1", "Neoverse-V2", "Zen5")]
    correlation = np.corrcoef(draw(prior, machine("Zen4"), *targets).T)
    assert correlation[0, 1] > correlation[0, 2]


def test_equal_seeds_give_equal_draws(prior):
    pair = machine("Zen4"), machine("IceLake")
    assert np.array_equal(draw(prior, *pair, seed=3), draw(prior, *pair, seed=3))
    assert not np.array_equal(draw(prior, *pair, seed=3), draw(prior, *pair, seed=4))


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_unknown_silicon_is_less_certain_than_known(prior, arch):
    known = machine("Zen3" if arch == "x86_64" else "Neoverse-V1")
    unknown = machine(None, arch=arch, threads=known.threads_per_core)
    target = machine("IceLake" if arch == "x86_64" else "Neoverse-N1")
    assert width(draw(prior, unknown, target)) > 1.3 * width(draw(prior, known, target))
    assert width(draw(prior, target, unknown)) > 1.3 * width(draw(prior, target, known))


def test_two_unknown_machines_are_not_taken_for_the_same(prior):
    unknown = machine(None)
    assert width(draw(prior, unknown, unknown)) > 0.5


def test_a_machine_nobody_benchmarked_is_less_certain_than_a_cloud_type(prior):
    target = machine("IceLake")
    local, cloud = machine("Zen4", provider=None), machine("Zen4")
    assert width(draw(prior, local, target)) > width(draw(prior, cloud, target))


def test_a_known_family_is_more_certain_and_stands_apart_from_its_silicon(prior):
    source = machine("Zen4")
    c5, m5 = (machine("CascadeLake", family=name) for name in ("c5", "m5"))
    anonymous = machine("CascadeLake")
    ratio = draw(prior, source, c5, m5, anonymous)
    assert np.median(ratio[:, 0]) > np.median(ratio[:, 1]) + 0.05
    assert width(draw(prior, anonymous, c5)) < width(draw(prior, anonymous, machine("Skylake")))


def test_a_core_to_itself_is_faster_than_a_shared_one(prior):
    target = machine("SapphireRapids", threads=2)
    whole, shared = (machine("SapphireRapids", threads=t, provider=None) for t in (1, 2))
    to_shared = np.median(draw(prior, whole, target))
    assert to_shared == pytest.approx(-prior.parameters.smt_mean, abs=0.03)
    assert np.median(draw(prior, shared, target)) == pytest.approx(0, abs=0.03)


def test_a_hyperthread_of_silicon_benchmarked_by_the_core_is_slower(prior):
    target = machine("Zen4", threads=1)
    shared = machine("Zen4", threads=2, provider=None)
    assert np.median(draw(prior, shared, target)) == pytest.approx(
        prior.parameters.smt_mean, abs=0.03
    )


def test_not_knowing_whether_the_core_was_shared_widens_the_interval(prior):
    target = machine("Zen4")
    silent = replace(machine("Zen4", provider=None), threads_per_core=None)
    told = machine("Zen4", provider=None)
    assert width(draw(prior, silent, target)) > 1.2 * width(draw(prior, told, target))


def test_the_interval_holds_the_median_and_its_share_of_the_draws(prior):
    source, targets = machine("Zen4"), [machine("IceLake"), machine("Zen5")]
    median, low, high = prior.median_and_interval(source, targets, np.random.default_rng(1))
    assert ((low < median) & (median < high)).all()
    fresh = np.exp(draw(prior, source, *targets, seed=9))
    inside = ((fresh >= low) & (fresh <= high)).mean(axis=0)
    assert inside == pytest.approx(0.8, abs=0.03)


def test_an_architecture_without_a_benchmark_is_refused(prior):
    with pytest.raises(OutOfRange, match="riscv64"):
        draw(prior, machine("Zen4"), machine(None, arch="riscv64", threads=1))


def test_a_kind_of_workload_without_a_fit_is_refused():
    with pytest.raises(OutOfRange, match="'training'"):
        SpeedPrior.bundled("training")


@pytest.mark.parametrize("vcpus", [0.0, -1.0, float("nan")])
def test_a_machine_has_vcpus(vcpus):
    with pytest.raises(OutOfRange, match="more than zero"):
        machine("Zen4", vcpus=vcpus)


def test_a_thousand_machines_cost_one_pass(prior):
    names = [*prior.parameters.silicon]
    targets = [machine(names[i % len(names)], vcpus=1 + i % 96) for i in range(1000)]
    assert draw(prior, machine("Zen4"), *targets, draws=500).shape == (500, 1000)


# --- the artefact ---


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("SapphireRapids", "CascadeLake"),
        ("SapphireRapids", "Skylake"),
        ("GraniteRapids", "SapphireRapids"),
        ("IceLake", "CascadeLake"),
        ("Neoverse-V1", "Neoverse-N1"),
        ("Neoverse-V2", "Neoverse-V1"),
        ("Zen3", "Zen2"),
        ("Zen4", "Zen3"),
        ("Zen5", "Zen4"),
    ],
)
def test_newer_silicon_is_faster_per_vcpu(prior, newer, older):
    assert np.median(draw(prior, machine(older), machine(newer))) > 0.05


def test_every_silicon_the_price_book_names_can_be_predicted(prior):
    for name in SILICON_FACTS:
        assert np.isfinite(draw(prior, machine("Zen4"), machine(name), draws=10)).all()


def test_silicon_without_a_benchmark_says_so_and_is_uncertain(prior):
    assert prior.is_benchmarked(machine("Neoverse-V2"))
    assert not prior.is_benchmarked(machine("Neoverse-V3"))
    assert not prior.is_benchmarked(machine(None))
    unseen, seen = (draw(prior, machine("Zen4"), machine(f"Neoverse-V{n}")) for n in (3, 2))
    assert width(unseen) > width(seen)


def test_the_bundled_prior_states_how_wrong_it_was_on_workloads_it_never_saw(prior):
    assert prior.holdout_error is not None
    assert 0.05 < prior.holdout_error < 0.5
    assert prior.holdout_coverage is not None
    for left_out in ("workload", "workload_measured_elsewhere"):
        row = prior.holdout(left_out)
        assert row is not None
        assert 0.75 <= row.coverage_80 <= 0.88
        assert row.workloads >= 15
        assert row.targets >= 100


def test_the_bundled_prior_names_its_source_and_licence(prior):
    provenance = prior.parameters.provenance
    assert "SpareCores" in provenance.source
    assert provenance.commit == "804d3c71"
    assert provenance.licence == "CC-BY-SA-4.0"
    assert provenance.fitted_on
    assert provenance.command


def test_the_artefact_reads_back_as_it_was_written(prior):
    assert SpeedPrior.from_json(prior.to_json()) == prior


def test_a_damaged_artefact_is_named_as_such():
    with pytest.raises(RecommenderError, match="not readable"):
        SpeedPrior.from_json('{"format": 1}')


def test_an_artefact_of_another_format_is_refused(prior):
    other = SpeedPrior(replace(prior.parameters, format="something/2")).to_json()
    with pytest.raises(RecommenderError, match="something/2"):
        SpeedPrior.from_json(other)
