"""Savings plans, which no table holds, and the peaks that datasheets state."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import (
    MEMORY_CLASSES,
    SILICON,
    Platform,
    PriceBasis,
    Purchase,
    memory_class,
    peaks_of,
    under_savings_plans,
)

RATIOS = st.decimals("0.01", "0.72", places=2)


@given(saving=RATIOS, usd=st.decimals("0.001", "200", places=4))
def test_a_plan_saves_its_share_to_the_last_digit(bundled, saving, usd):
    listed = bundled.offer("ml.m5.large", "us-east-1", Platform.SAGEMAKER)
    on_demand = replace(listed, usd_per_hour=usd)
    (planned,) = under_savings_plans([on_demand], {Platform.SAGEMAKER: saving})
    assert planned.usd_per_hour + usd * saving == usd
    assert (planned.purchase, planned.basis) == (Purchase.SAVINGS_PLAN, PriceBasis.DERIVED)
    assert on_demand.source in planned.source
    assert planned.observed_on == on_demand.observed_on


def test_spot_and_other_platforms_are_under_no_plan(small_book):
    offers = small_book.offers("us-east-1")
    plans = {Platform.SAGEMAKER: Decimal("0.3")}
    (planned,) = under_savings_plans(offers, plans)
    assert planned.name == "ml.m5.large"
    both = under_savings_plans(offers, {**plans, Platform.EC2: Decimal("0.2")})
    assert {(each.name, each.purchase) for each in both} == {
        ("ml.m5.large", Purchase.SAVINGS_PLAN),
        ("m5.large", Purchase.SAVINGS_PLAN),
        ("m5.8xlarge", Purchase.SAVINGS_PLAN),
    }


@pytest.mark.parametrize(
    ("name", "precision", "tera_ops"),
    [
        ("g4dn.xlarge", "FP16", 65.0),
        ("g4dn.xlarge", "INT8", 130.0),
        ("g6.xlarge", "FP8", 242.0),
        ("g6f.large", "FP16", 121.0),  # of the whole device it is a slice of
        ("p5.48xlarge", "BF16", 989.0),
        ("inf1.xlarge", "INT8", 128.0),
        ("inf2.xlarge", "BF16", 190.0),
        ("trn2.48xlarge", "FP8", 1299.0),
    ],
)
def test_peaks_are_those_of_the_datasheet(bundled, name, precision, tera_ops):
    peaks = peaks_of(bundled.instance(name).accelerator)
    assert peaks.tera_ops[precision] == tera_ops
    assert peaks.source


def test_tensor_cores_before_ampere_do_not_know_bf16(bundled):
    assert "BF16" not in peaks_of(bundled.instance("g4dn.xlarge").accelerator).tera_ops
    assert "BF16" in peaks_of(bundled.instance("g5.xlarge").accelerator).tera_ops


def test_a_device_without_a_datasheet_has_no_peak(bundled):
    assert peaks_of(bundled.instance("dl1.24xlarge").accelerator) is None


@pytest.mark.parametrize(
    ("silicon", "gb_s"),
    [("IceLake", 204.8), ("SapphireRapids", 307.2), ("Zen3", 204.8), ("Neoverse-V1", 307.2)],
)
def test_memory_bandwidth_is_channels_times_transfers(silicon, gb_s):
    assert memory_class(silicon).bandwidth_gb_s == pytest.approx(gb_s)


def test_every_memory_class_is_of_a_silicon_the_books_may_name():
    assert set(MEMORY_CLASSES) <= SILICON
    assert memory_class(None) is None
    assert memory_class("Neoverse-V3") is None  # not stated by anybody


def test_every_silicon_in_the_book_has_a_memory_class(bundled):
    named = {machine.cpu.silicon for machine in bundled.instances} - {None}
    assert named <= set(MEMORY_CLASSES)
