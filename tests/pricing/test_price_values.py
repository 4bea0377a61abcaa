from datetime import date
from decimal import Decimal

import pytest

from pricing import (
    Accelerator,
    AcceleratorKind,
    AcceleratorOffer,
    AcceleratorStatus,
    Architecture,
    Cpu,
    InstanceType,
    Platform,
    Purchase,
    ServerlessComponent,
    ServerlessOffer,
    UnitItem,
    UnitPrice,
)

CPU = Cpu(architecture=Architecture.X86_64, vendor="Intel")


@pytest.mark.parametrize("usd", ["0", "-0.1", "NaN", "Infinity"])
def test_a_price_is_a_number_above_zero(make_machine, make_offer, usd):
    with pytest.raises(ValueError, match="usd_per_hour"):
        make_offer(make_machine("m5.large", 2, 8.0), usd)


@pytest.mark.parametrize("field", ["source", "region"])
@pytest.mark.parametrize("text", ["", "  ", "two\nlines", " padded"])
def test_a_price_without_source_or_region_does_not_exist(make_machine, make_offer, field, text):
    with pytest.raises(ValueError, match=field):
        make_offer(make_machine("m5.large", 2, 8.0), "0.1", **{field: text})


@pytest.mark.parametrize("field", ["region", "observed_on", "source", "basis", "confidence"])
def test_no_part_of_a_price_s_origin_can_be_left_out(seen, field):
    whole = {"region": "us-east-1", "item": UnitItem.DATA_IN, "usd": Decimal("0.016"), **seen}
    assert UnitPrice(**whole).unit == "GB"
    with pytest.raises(TypeError, match=field):
        UnitPrice(**{name: value for name, value in whole.items() if name != field})


def test_sagemaker_endpoints_are_never_offered_on_spot(make_machine, make_offer):
    with pytest.raises(ValueError, match="spot means EC2"):
        make_offer(make_machine("m5.large", 2, 8.0), "0.04", Platform.SAGEMAKER, Purchase.SPOT)


def test_a_machine_sagemaker_does_not_host_has_no_hosting_price(make_machine, make_offer):
    with pytest.raises(ValueError, match="not a SageMaker hosting type"):
        make_offer(make_machine("t3.large", 2, 8.0, hosted=False), "0.1", Platform.SAGEMAKER)


def test_serverless_is_not_sold_by_the_machine(make_machine, make_offer):
    with pytest.raises(ValueError, match="not sold by the machine"):
        make_offer(make_machine("m5.large", 2, 8.0), "0.1", Platform.SERVERLESS)


def test_an_offer_is_named_as_its_platform_spells_it(make_machine, make_offer):
    m5 = make_machine("m5.large", 2, 8.0)
    assert make_offer(m5, "0.115", Platform.SAGEMAKER).name == "ml.m5.large"
    assert make_offer(m5, "0.096").name == "m5.large"


@pytest.mark.parametrize(
    ("band", "bounds"),
    [("<5%", (0.0, 0.05)), ("5-10%", (0.05, 0.1)), (">20%", (0.2, 1.0)), (None, None)],
)
def test_an_interruption_band_has_numeric_bounds(make_machine, make_offer, band, bounds):
    spot = make_offer(
        make_machine("m5.large", 2, 8.0), "0.04", purchase=Purchase.SPOT, interruption_band=band
    )
    assert spot.interruption_ratio_per_month == bounds


def test_only_spot_is_interrupted_and_only_in_known_bands(make_machine, make_offer):
    m5 = make_machine("m5.large", 2, 8.0)
    with pytest.raises(ValueError, match="only spot"):
        make_offer(m5, "0.1", interruption_band="<5%")
    with pytest.raises(ValueError, match="known: <5%"):
        make_offer(m5, "0.1", purchase=Purchase.SPOT, interruption_band="7%")


def test_a_slice_of_a_device_gives_all_its_memory_and_eight_devices_an_eighth_each():
    eighth = Accelerator(kind=AcceleratorKind.GPU, model="L4", count=0.125, memory_gib=2.79)
    eight = Accelerator(kind=AcceleratorKind.GPU, model="H100", count=8.0, memory_gib=640.0)
    assert (eighth.is_fractional, eighth.memory_gib_per_device) == (True, 2.79)
    assert (eight.is_fractional, eight.memory_gib_per_device) == (False, 80.0)


def test_a_machine_has_accelerators_of_one_kind():
    gpu = Accelerator(kind=AcceleratorKind.GPU, model="L4", count=1.0, memory_gib=22.0)
    with pytest.raises(ValueError, match="one kind"):
        InstanceType(
            name="x.y", vcpus=2, memory_gib=4.0, cpu=CPU, source="s", accelerators=(gpu, gpu)
        )


def test_serverless_has_memory(seen):
    with pytest.raises(ValueError, match="memory_mib is 0"):
        ServerlessOffer(
            region="us-east-1",
            memory_mib=0,
            component=ServerlessComponent.ON_DEMAND,
            usd_per_second=Decimal("0.00002"),
            **seen,
        )


def test_a_device_and_a_half_does_not_exist():
    with pytest.raises(ValueError, match="whole"):
        Accelerator(kind=AcceleratorKind.GPU, model="L4", count=1.5, memory_gib=33.0)


def test_a_burstable_machine_sustains_its_baseline_and_others_everything(make_machine):
    t2 = InstanceType(
        name="t2.medium",
        vcpus=2,
        memory_gib=4.0,
        cpu=CPU,
        source="data sheet",
        burstable=True,
        baseline_ratio=0.2,
    )
    assert t2.sustained_vcpus == pytest.approx(0.4)
    assert make_machine("m5.large", 2, 8.0).sustained_vcpus == 2.0


@pytest.mark.parametrize(
    "spoiled",
    [
        {"burstable": True},
        {"baseline_ratio": 0.2},
        {"burstable": True, "baseline_ratio": 1.5},
        {"vcpus": 0},
        {"memory_gib": float("nan")},
        {"physical_cores": 3},
        {"batch_transform": True},
    ],
)
def test_a_machine_that_contradicts_itself_is_refused(spoiled):
    sound = {"name": "x.y", "vcpus": 2, "memory_gib": 4.0, "cpu": CPU, "source": "data sheet"}
    assert InstanceType(**sound).family == "x"
    with pytest.raises(ValueError, match=r"\w"):
        InstanceType(**{**sound, **spoiled})


def test_silicon_is_one_of_the_known_keys_or_not_known():
    with pytest.raises(ValueError, match="SapphireRapids"):
        Cpu(architecture=Architecture.X86_64, vendor="Intel", silicon="Sapphire")


def test_a_retired_accelerator_is_not_available_and_says_since_when(seen):
    fields = {
        "region": "us-east-1",
        "name": "ml.eia2.medium",
        "platform": Platform.EC2,
        "fp32_tflops": 1.0,
        "fp16_tflops": 8.0,
        "memory_gib": 2.0,
        "usd_per_hour": Decimal("0.12"),
        **seen,
    }
    retired = AcceleratorOffer(
        **fields, status=AcceleratorStatus.RETIRED, retired_on=date(2023, 4, 15)
    )
    assert not retired.available
    assert AcceleratorOffer(**fields, status=AcceleratorStatus.CURRENT).available
    with pytest.raises(ValueError, match="more than zero"):
        AcceleratorOffer(**{**fields, "fp16_tflops": 0.0}, status=AcceleratorStatus.CURRENT)
    with pytest.raises(ValueError, match="retired_on"):
        AcceleratorOffer(**fields, status=AcceleratorStatus.RETIRED)
