"""Integrity of the data we ship: each law holds for every row of the newest bundled book."""

import re
from collections import Counter
from datetime import date
from decimal import Decimal

import pytest
from botocore.session import Session

from pricing import (
    AcceleratorKind,
    Architecture,
    Confidence,
    Platform,
    PriceBasis,
    Purchase,
    ServerlessComponent,
    bundled_books,
    implausible,
)

HOME = "us-east-1"
# Types SageMaker's API named when the book was put together and nobody could price.
UNPRICED = {
    "ml.dl1.24xlarge",
    "ml.p5.4xlarge",
    "ml.p5e.48xlarge",
    "ml.p6-b300.48xlarge",
    "ml.p6e-gb200.36xlarge",
    "ml.trn2.48xlarge",
}
CHINA_AND_GOVERNMENT = ("cn-", "us-gov-")


@pytest.fixture(scope="module")
def every_offer(bundled):
    return tuple(offer for region in bundled.regions for offer in bundled.offers(region))


@pytest.fixture(scope="module")
def api_types():
    """What the installed botocore lets an endpoint run on."""
    model = Session().get_service_model("sagemaker")
    return set(model.shape_for("ProductionVariantInstanceType").enum)


@pytest.fixture(scope="module")
def on_demand(every_offer):
    return {
        (offer.region, offer.instance.name): offer.usd_per_hour
        for offer in every_offer
        if (offer.platform, offer.purchase) == (Platform.EC2, Purchase.ON_DEMAND)
    }


def test_every_type_the_api_names_is_priced_or_explained(bundled, api_types):
    """Types newer than the book are not its fault; types it knows are."""
    priced = {offer.name for offer in bundled.offers(HOME, Platform.SAGEMAKER)}
    explained = {row.instance.hosting_name for row in bundled.unpriced(HOME)}
    known = {machine.hosting_name for machine in bundled.instances if machine.hosting_name}
    assert explained == UNPRICED
    assert priced | explained == known
    assert not priced & explained
    assert len(api_types & known) >= 270


def test_the_reasons_for_having_no_price_say_something(bundled):
    for row in bundled.unpriced_rows:
        assert row.region == HOME
        assert len(row.reason.split()) > 5


def test_only_types_the_api_names_are_called_hosting_types(bundled, api_types):
    ours = {machine.hosting_name for machine in bundled.instances if machine.hosting_name}
    newest = {name for name in ours if name.startswith(("ml.g7.", "ml.p6"))}
    assert ours - newest <= api_types
    for never in ("t3.medium", "m7g.large", "g6f.large", "gr6f.4xlarge", "c5.12xlarge"):
        assert bundled.instance(never).hosting_name is None


def test_a_hosting_name_is_the_ec2_name_behind_a_prefix(bundled):
    for machine in bundled.instances:
        assert machine.hosting_name in {None, f"ml.{machine.name}"}


def test_hosting_costs_between_1_10_and_1_45_times_ec2(every_offer, on_demand):
    pairs = Counter()
    for offer in every_offer:
        key = (offer.region, offer.instance.name)
        if offer.platform is Platform.SAGEMAKER and key in on_demand:
            ratio = offer.usd_per_hour / on_demand[key]
            assert Decimal("1.10") <= ratio <= Decimal("1.45"), (key, ratio)
            pairs[offer.region] += 1
    assert pairs[HOME] == 271


def test_the_bundled_book_keeps_the_rules_that_a_user_s_book_is_held_to(bundled):
    assert [
        fault for region in bundled.regions for fault in implausible(bundled.offers(region))
    ] == []


def test_what_took_elastic_inference_s_place_on_sagemaker_is_priced(bundled):
    successors = {m.hosting_name for m in bundled.instances if m.family in {"inf1", "inf2"}}
    assert len(successors) == 8
    priced = {offer.name for offer in bundled.offers(HOME, Platform.SAGEMAKER)}
    assert successors <= priced


def test_spot_is_cheaper_than_on_demand(every_offer, on_demand):
    spots = [offer for offer in every_offer if offer.purchase is Purchase.SPOT]
    assert len(spots) > 6000
    for offer in spots:
        key = (offer.region, offer.instance.name)
        assert offer.usd_per_hour < on_demand.get(key, Decimal("Infinity")), key
        assert offer.instance.spot_supported is not False, key


def test_a_spot_estimate_says_that_it_is_one(every_offer):
    for offer in every_offer:
        if offer.purchase is Purchase.SPOT:
            estimated = offer.source == "Spot Advisor saving of 2025-06-28 x on-demand"
            assert estimated == (offer.basis is PriceBasis.DERIVED)
            assert not estimated or offer.confidence is Confidence.LOW
            assert not estimated or offer.interruption_band is not None


def test_a_quote_seen_on_the_market_is_preferred_to_an_estimate(bundled):
    quote = bundled.offer("m5.large", HOME, Platform.EC2, Purchase.SPOT)
    assert (quote.usd_per_hour, quote.basis) == (Decimal("0.04366"), PriceBasis.REPORTED)
    assert quote.observed_on == date(2026, 9, 6)


def test_a_derived_price_names_the_rule_it_follows(every_offer):
    for offer in every_offer:
        if offer.basis is PriceBasis.DERIVED:
            rule = " x " in offer.source or "batch transform" in offer.source
            assert rule, offer


def test_no_source_is_an_internal_code_and_no_day_lies_after_the_book(bundled, every_offer):
    rows = (*every_offer, *bundled.serverless_offers, *bundled.accelerator_offers)
    for row in (*rows, *bundled.unit_prices):
        assert not re.search(r"\bS\d{1,2}\b", row.source), row
        assert date(2023, 1, 1) <= row.observed_on <= bundled.published_on, row


def test_prices_outside_the_home_region_are_not_called_certain_unless_reported(every_offer):
    for offer in every_offer:
        if offer.region != HOME and offer.confidence is Confidence.HIGH:
            assert offer.basis is PriceBasis.REPORTED, offer


def test_regions_are_well_formed_and_each_has_an_on_demand_price(bundled):
    assert len(bundled.regions) == 32
    for region in bundled.regions:
        assert re.fullmatch(r"[a-z]{2}-(north|south|east|west|central|[a-z]+)+-\d", region)
        assert not region.startswith(CHINA_AND_GOVERNMENT)
        assert bundled.offers(region, Platform.EC2, Purchase.ON_DEMAND)
        assert bundled.offers(region, Platform.SAGEMAKER, Purchase.ON_DEMAND)


def test_a_cpu_family_is_priced_by_the_vcpu(bundled):
    """A misplaced decimal or a dedicated-tenancy premium (6 or 10 %) would show."""
    for region in bundled.regions:
        rates = {}
        for offer in bundled.offers(region, Platform.EC2, Purchase.ON_DEMAND):
            machine = offer.instance
            # c4.8xlarge has 36 vCPUs and the price of 32
            plain = not machine.accelerators and machine.name != "c4.8xlarge"
            if plain and not machine.burstable:
                rates.setdefault(machine.family, []).append(offer.usd_per_hour / machine.vcpus)
        for family, found in rates.items():
            assert max(found) / min(found) < Decimal("1.015"), (region, family)


def test_serverless_is_linear_in_memory_and_whole_gigabytes(bundled):
    for component in ServerlessComponent:
        offers = bundled.serverless(HOME, component)
        assert [o.memory_mib for o in offers] == [1024, 2048, 3072, 4096, 5120, 6144]
        (rate,) = {offer.usd_per_second / offer.memory_mib for offer in offers}
        assert (
            rate * 1024
            == {
                ServerlessComponent.ON_DEMAND: Decimal("0.00002"),
                ServerlessComponent.PROVISIONED_USAGE: Decimal("0.000005"),
                ServerlessComponent.PROVISIONED_DURATION: Decimal("0.00001165"),
            }[component]
        )


def test_elastic_inference_is_kept_retired_and_never_available(bundled):
    offers = bundled.accelerators(HOME)
    assert {(o.name, o.platform) for o in offers} == {
        (f"ml.eia{generation}.{size}", platform)
        for generation in (1, 2)
        for size in ("medium", "large", "xlarge")
        for platform in (Platform.SAGEMAKER, Platform.EC2)
    }
    assert not any(offer.available for offer in offers)
    assert {offer.retired_on for offer in offers} == {date(2023, 4, 15)}


def test_its_successors_are_fractions_of_a_gpu_on_ec2(bundled):
    fractional = {
        m.name: m.accelerator.count
        for m in bundled.instances
        if m.accelerators and m.accelerator.is_fractional
    }
    assert fractional == {
        "g6f.large": 0.125,
        "g6f.xlarge": 0.125,
        "g6f.2xlarge": 0.25,
        "g6f.4xlarge": 0.5,
        "gr6f.4xlarge": 0.5,
    }
    for name in fractional:
        assert bundled.offer(name, HOME, Platform.EC2).confidence is Confidence.HIGH


def test_accelerated_families_and_no_others_have_accelerators(bundled):
    accelerated = re.compile(r"(g\d|gr\d|p\d|inf|trn|dl)")
    for machine in bundled.instances:
        assert bool(machine.accelerators) == bool(accelerated.match(machine.name)), machine.name
        neuron = machine.name.startswith(("inf", "trn"))
        kind = machine.accelerator and machine.accelerator.kind
        assert (kind is AcceleratorKind.NEURON) == neuron, machine.name


def test_one_device_has_the_same_memory_in_every_size_of_a_family(bundled):
    per_device = {}
    for machine in bundled.instances:
        if machine.accelerators and not machine.accelerator.is_fractional:
            per_device.setdefault((machine.family, machine.accelerator.model), set()).add(
                round(machine.accelerator.memory_gib_per_device, 1)
            )
    assert len(per_device) > 15
    assert all(len(found) == 1 for found in per_device.values()), per_device


def test_silicon_agrees_with_vendor_and_architecture(bundled):
    for machine in bundled.instances:
        cpu = machine.cpu
        arm = cpu.architecture is Architecture.ARM64
        assert arm == (cpu.vendor in {"AWS", "NVIDIA"}), machine.name
        if cpu.silicon is not None:
            assert cpu.silicon.startswith("Neoverse") == arm, machine.name
            assert cpu.silicon.startswith("Zen") == (cpu.vendor == "AMD"), machine.name


@pytest.mark.parametrize(
    ("name", "silicon"),
    [
        ("c4.large", "Haswell"),
        ("m4.xlarge", "Broadwell"),
        ("m5.large", "CascadeLake"),
        ("c6i.large", "IceLake"),
        ("m7i.large", "SapphireRapids"),
        ("g5.xlarge", "Zen2"),
        ("g6.xlarge", "Zen3"),
        ("c6g.large", "Neoverse-N1"),
        ("c7g.large", "Neoverse-V1"),
        ("r8g.large", "Neoverse-V2"),
        ("g7e.2xlarge", "EmeraldRapids"),
        ("g7.2xlarge", None),
    ],
)
def test_silicon_is_that_of_the_family(bundled, name, silicon):
    assert bundled.instance(name).cpu.silicon == silicon


def test_a_family_served_from_two_generations_says_so(bundled):
    for family in ("m5", "c5", "r5", "t2"):
        assert bundled.instance(f"{family}.large").cpu.silicon_note.startswith("mixed: ")
    assert bundled.instance("m7i.large").cpu.silicon_note is None


def test_burstable_machines_are_t2_and_t3_with_the_published_baseline(bundled):
    baselines = {m.name: m.baseline_ratio for m in bundled.instances if m.burstable}
    assert baselines == {
        "t2.nano": 0.05,
        "t2.micro": 0.10,
        "t2.small": 0.20,
        "t2.medium": 0.20,
        "t2.large": 0.30,
        "t2.xlarge": 0.225,
        "t2.2xlarge": 0.16875,
        "t3.nano": 0.05,
        "t3.micro": 0.10,
        "t3.small": 0.20,
        "t3.medium": 0.20,
        "t3.large": 0.30,
        "t3.xlarge": 0.40,
        "t3.2xlarge": 0.40,
    }


def test_x86_machines_have_half_as_many_cores_as_vcpus_and_graviton_as_many(bundled):
    for machine in bundled.instances:
        odd = machine.family in {"t2", "g7"} or machine.physical_cores is None
        if machine.cpu.architecture is Architecture.ARM64:
            assert machine.physical_cores == machine.vcpus, machine.name
        elif not odd:
            assert machine.physical_cores * 2 == machine.vcpus, machine.name


def test_batch_transform_takes_the_108_types_of_its_own_enum(bundled):
    model = Session().get_service_model("sagemaker")
    enum = set(model.shape_for("TransformInstanceType").enum)
    ours = {m.hosting_name for m in bundled.instances if m.batch_transform}
    assert ours <= enum
    assert len(ours) == 108


def test_the_books_stay_small(bundled):
    size_bytes = sum(p.stat().st_size for p in bundled_books()[-1].rglob("*") if p.is_file())
    assert size_bytes < 3_000_000
    assert bundled.name == bundled.published_on.isoformat()
