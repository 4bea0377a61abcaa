import os
from dataclasses import replace
from datetime import date
from decimal import Decimal

import botocore.session
import pytest
from botocore.loaders import create_loader
from price_servers import moto_ec2, price_server

from pricing import (
    AcceleratorOffer,
    AcceleratorStatus,
    Architecture,
    Confidence,
    Cpu,
    InstanceType,
    Offer,
    OffersByRegion,
    PlanRate,
    PlanRatesByRegion,
    Platform,
    PriceBasis,
    PriceBook,
    Purchase,
    SavingsPlan,
    ServerlessComponent,
    ServerlessOffer,
    UnitItem,
    UnitPrice,
    Unpriced,
    load_book,
)

SEEN = {
    "observed_on": date(2026, 9, 1),
    "source": "price list",
    "basis": PriceBasis.REPORTED,
    "confidence": Confidence.HIGH,
}


def machine(name, vcpus, memory_gib, *, hosted=True):
    return InstanceType(
        name=name,
        hosting_name=f"ml.{name}" if hosted else None,
        vcpus=vcpus,
        memory_gib=memory_gib,
        cpu=Cpu(architecture=Architecture.X86_64, vendor="Intel"),
        source="data sheet",
    )


def offer(instance, usd_per_hour, platform=Platform.EC2, purchase=Purchase.ON_DEMAND, **changes):
    return Offer(
        **{
            "instance": instance,
            "platform": platform,
            "purchase": purchase,
            "region": "us-east-1",
            "usd_per_hour": Decimal(usd_per_hour),
            **SEEN,
            **changes,
        }
    )


def rate(instance, usd_per_hour, plan=SavingsPlan.ONE_YEAR_NO_UPFRONT, **changes):
    return PlanRate(
        **{
            "instance": instance,
            "plan": plan,
            "region": "us-east-1",
            "usd_per_hour": Decimal(usd_per_hour),
            **SEEN,
            **changes,
        }
    )


@pytest.fixture
def published():
    """The places where prices are published, on loopback."""
    with price_server() as server:
        yield server


@pytest.fixture
def no_account(monkeypatch, tmp_path):
    """No AWS settings but those of the test: not whoever runs it, not the machine's role."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    return monkeypatch


@pytest.fixture(scope="session")
def moto_url():
    with moto_ec2() as url:
        yield url


@pytest.fixture(scope="session")
def botocore_files():
    """Read once: every session of its own reads megabytes anew."""
    return create_loader()


@pytest.fixture
def account(no_account, published, botocore_files):
    """Credentials, and every endpoint at the server on loopback; nothing is asked thrice."""
    no_account.setattr(botocore.session, "create_loader", lambda _path: botocore_files)
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "AKIDFORTHETEST"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", published.url),
        ("AWS_MAX_ATTEMPTS", "2"),
    ):
        no_account.setenv(name, value)
    return published


@pytest.fixture(scope="session")
def bundled():
    return load_book()


@pytest.fixture
def seen():
    return dict(SEEN)


@pytest.fixture
def make_machine():
    return machine


@pytest.fixture
def make_offer():
    return offer


@pytest.fixture
def planned_book(small_book):
    """The small book, with rates of two plans for the one machine that SageMaker has there."""
    machine = small_book.instance("m5.large")
    rates = PlanRatesByRegion.of(
        [rate(machine, "0.092"), rate(machine, "0.05", SavingsPlan.THREE_YEARS_ALL_UPFRONT)]
    )
    return replace(small_book, name="planned", plan_rates_by_region=rates)


@pytest.fixture
def small_book():
    """Three machines, two regions; the third machine is not hosted, the second has no price."""
    small, big, bare = (
        machine("m5.large", 2, 8.0),
        machine("m5.xlarge", 4, 16.0),
        machine("m5.8xlarge", 32, 128.0, hosted=False),
    )
    return PriceBook(
        name="small",
        published_on=date(2026, 11, 21),
        sources=("price list",),
        notes=(),
        instances=(small, big, bare),
        offers_by_region=OffersByRegion.of(
            [
                offer(small, "0.115", Platform.SAGEMAKER),
                offer(small, "0.096"),
                offer(small, "0.040", purchase=Purchase.SPOT, interruption_band="5-10%"),
                offer(bare, "1.536", observed_on=date(2026, 7, 20)),
                offer(small, "0.107", region="eu-west-1"),
            ]
        ),
        serverless_offers=tuple(
            ServerlessOffer(
                region="us-east-1",
                memory_mib=memory_mib,
                component=component,
                usd_per_second=Decimal(usd),
                **SEEN,
            )
            for memory_mib, component, usd in (
                (2048, ServerlessComponent.ON_DEMAND, "0.00004"),
                (1024, ServerlessComponent.ON_DEMAND, "0.00002"),
                (1024, ServerlessComponent.PROVISIONED_USAGE, "0.000005"),
            )
        ),
        accelerator_offers=(
            AcceleratorOffer(
                region="us-east-1",
                name="ml.eia2.medium",
                platform=Platform.SAGEMAKER,
                fp32_tflops=1.0,
                fp16_tflops=8.0,
                memory_gib=2.0,
                usd_per_hour=Decimal("0.168"),
                status=AcceleratorStatus.RETIRED,
                retired_on=date(2023, 4, 15),
                **SEEN,
            ),
        ),
        unit_prices=(
            UnitPrice(region="us-east-1", item=UnitItem.DATA_IN, usd=Decimal("0.016"), **SEEN),
        ),
        unpriced_rows=(
            Unpriced(
                instance=big,
                region="us-east-1",
                platform=Platform.SAGEMAKER,
                reason="withdrawn in spring",
            ),
        ),
    )
