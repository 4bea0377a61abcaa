"""Sources that need an AWS account: the real boto3 at moto's server, and at one of ours where moto
has no service."""

from decimal import Decimal

import pytest

from pricing import AcceleratorKind, Architecture, Platform, Purchase
from pricing.errors import BadOffer, SourceRefused, SourceUnavailable
from pricing.sources import Hourly
from pricing.sources.aws import Aws
from pricing.sources.instance_types import InstanceTypes
from pricing.sources.price_list import PriceList
from pricing.sources.spot_history import SpotHistory

LIST = "AWSPriceListService.GetProducts"


def quiet(_):
    pass


@pytest.fixture
def price_list(account):  # noqa: ARG001 - credentials and endpoints
    return PriceList(Aws.as_configured())


def listed(price_list, region="us-east-1"):
    return price_list.seen(region, quiet)


def test_every_page_of_every_question_is_read(price_list, account):
    seen = listed(price_list)
    assert len(seen.prices) == 19
    assert {price.what for price in seen.prices} >= {
        Hourly("m5.xlarge", Platform.SAGEMAKER),
        Hourly("g5.xlarge", Platform.EC2),
    }
    assert set(account.asked) == {LIST}
    assert len(account.asked) > 8, "more pages than questions"


def test_a_region_is_asked_for_by_its_code(price_list):
    seen = listed(price_list, "eu-west-3")
    ((price,), _) = seen.prices, seen.refused
    assert (str(price.what), price.usd) == ("ml.g4dn.xlarge", Decimal("0.861"))


def test_throttling_is_waited_out(price_list, account):
    account.faults.extend([None] * 10)
    account.faults.append((400, "ThrottlingException"))
    assert len(listed(price_list).prices) == 19
    assert not account.faults


@pytest.mark.parametrize(
    ("status", "code", "error", "says"),
    [
        (400, "ThrottlingException", SourceUnavailable, "throttling us"),
        (400, "ExpiredTokenException", SourceRefused, "expired"),
        (403, "AccessDeniedException", SourceRefused, "may not"),
        (400, "UnrecognizedClientException", SourceRefused, "does not take"),
        (500, "InternalErrorException", SourceUnavailable, "InternalErrorException"),
    ],
)
def test_what_aws_says_becomes_a_message_and_advice(
    price_list, account, status, code, error, says
):
    account.faults.extend([(status, code)] * 2)
    with pytest.raises(error, match=says) as caught:
        listed(price_list)
    assert "AWS Price List" in str(caught.value)
    assert caught.value.hint


def test_an_item_that_cannot_be_read_is_told_and_the_rest_is_used(price_list, account):
    account.items = ['{"product": {}}', "not JSON", *account.items]
    seen = listed(price_list)
    assert len(seen.prices) == 19
    told = [refused.reason for refused in seen.refused]
    assert any("KeyError 'sku'" in reason for reason in told)
    assert any("not JSON" in reason for reason in told)


def test_an_answer_that_is_no_price_list_is_told(price_list, account):
    account.faults.append((200, "no list"))
    with pytest.raises(BadOffer, match="cannot be read"):
        listed(price_list)


def test_no_network_is_told(account, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SourceUnavailable, match="cannot be reached") as caught:
        listed(PriceList(Aws.as_configured()))
    assert "is kept" in caught.value.hint
    assert account.asked == []


@pytest.mark.usefixtures("no_account")
def test_without_credentials_it_says_how_to_go_without(monkeypatch, published):
    monkeypatch.setenv("AWS_ENDPOINT_URL", published.url)
    aws = Aws.as_configured()
    assert not aws.has_credentials()
    with pytest.raises(SourceRefused, match="no AWS credentials") as caught:
        listed(PriceList(aws))
    assert "--source offer-file" in caught.value.hint


@pytest.mark.usefixtures("no_account")
def test_a_profile_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "of-nobody")
    with pytest.raises(SourceRefused, match="of-nobody"):
        Aws.as_configured()


def spot(account, *rows):
    account.spot = rows
    return SpotHistory(Aws.as_configured()).seen("us-east-1", quiet)


def test_spot_is_the_median_of_the_zones(account):
    zones = zip("abcdef", ("0.30", "0.50", "0.40", "0.90", "0.35", "0.45"), strict=True)
    seen = spot(account, *(("g5.xlarge", f"us-east-1{zone}", usd) for zone, usd in zones))
    (price,) = seen.prices
    assert price.what == Hourly("g5.xlarge", Platform.EC2, Purchase.SPOT)
    assert price.usd == Decimal("0.45")
    assert price.note == "0.3 to 0.9 by zone"
    assert len(account.asked) == 2, "two pages"


def test_of_several_quotes_of_a_zone_the_newest_counts(account):
    seen = spot(account, ("g5.xlarge", "us-east-1a", "0.4"), ("g5.xlarge", "us-east-1a", "0.9"))
    assert [price.usd for price in seen.prices] == [Decimal("0.4")]


def test_spot_for_windows_or_for_nothing_is_not_taken(account):
    seen = spot(
        account,
        ("m5.large", "us-east-1a", "0.000000"),
        ("m5.large", "us-east-1b", "0.2", "Windows"),
    )
    assert seen.prices == ()
    (refused,) = seen.refused
    assert (refused.what, refused.usd) == ("m5.large spot", "0.000000")


@pytest.mark.parametrize("source", [SpotHistory, InstanceTypes])
@pytest.mark.parametrize("code", ["AuthFailure", "OptInRequired"])
def test_a_region_that_is_closed_to_the_account_does_not_stop_a_refresh(account, source, code):
    account.faults.append((401, code))
    seen = source(Aws.as_configured()).seen("af-south-1", quiet)
    (refused,) = seen.refused
    assert "not enabled in this account" in refused.reason


def test_the_same_answer_from_a_region_open_to_all_is_about_the_credentials(account):
    account.faults.append((401, "AuthFailure"))
    with pytest.raises(SourceRefused, match="does not take these credentials"):
        SpotHistory(Aws.as_configured()).seen("us-east-1", quiet)


@pytest.fixture
def at_moto(account, moto_url, monkeypatch):  # noqa: ARG001 - credentials
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", moto_url)
    return Aws.as_configured()


@pytest.fixture
def described(at_moto):
    return InstanceTypes(at_moto).seen("us-east-1", quiet)


def test_machines_are_as_ec2_describes_them(described):
    machines = {machine.name: machine for machine in described.machines}
    g5, m7g = machines["g5.xlarge"], machines["m7g.large"]
    assert (g5.vcpus, g5.physical_cores, g5.memory_gib) == (4, 2, 16)
    assert (g5.accelerator.model, g5.accelerator.count) == ("NVIDIA A10G", 1)
    assert (m7g.cpu.architecture, m7g.physical_cores) == (Architecture.ARM64, 2)
    assert machines["inf2.xlarge"].accelerator.kind is AcceleratorKind.NEURON
    assert machines["dl1.xlarge"].accelerator.kind is AcceleratorKind.GAUDI
    assert machines["p4d.24xlarge"].accelerator.count == 8


def test_an_eighth_of_a_gpu_is_not_none(described):
    """EC2 counts 0 GPUs there."""
    (g6f,) = (each for each in described.machines if each.name == "g6f.large")
    assert g6f.accelerator.count == 0.125
    assert g6f.accelerator.memory_gib == 2.79


def test_machines_agree_with_the_bundled_book(described, bundled):
    books = {machine.name: machine for machine in bundled.instances}
    both = [machine for machine in described.machines if machine.name in books]
    assert len(both) == 6
    for machine in both:
        known = books[machine.name]
        assert (machine.vcpus, machine.physical_cores) == (known.vcpus, known.physical_cores)
        assert machine.memory_gib == known.memory_gib
        assert machine.cpu.architecture is known.cpu.architecture
        assert machine.accelerators == known.accelerators
        assert machine.network_gbps == known.network_gbps


def test_what_ec2_does_not_say_is_not_made_up(described):
    told = {refused.what: refused.reason for refused in described.refused}
    assert "burstable" in told["t3.medium"]
    assert "no CUDA" in told["g4ad.xlarge"]
    assert not {"m5.metal", "mac1.metal"} & {machine.name for machine in described.machines}


def test_motos_spot_prices_are_read_page_by_page(at_moto):
    seen = SpotHistory(at_moto).seen("us-east-1", quiet)
    assert {price.usd for price in seen.prices} == {Decimal("0.00001")}
    assert {price.what.instance for price in seen.prices} >= {"g5.xlarge", "m7g.large"}


def test_sagemakers_api_names_its_hosting_types():
    hosted = Aws.as_configured().hosting_types()
    assert {"ml.m5.xlarge", "ml.g5.xlarge"} <= hosted
    assert "ml.m7g.large" not in hosted
