"""Sources that need no account: public files over HTTP, whole, cut short and malformed."""

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from price_servers import DATA, EC2_OFFER, OFFER, offer_of

from pricing.errors import BadOffer, SourceUnavailable
from pricing.sources.offer_file import OfferFile, _Reading
from pricing.sources.products import EC2, ELB, SAGEMAKER, prices_in
from pricing.sources.spot_advisor import SpotAdvisor

INDEX = "/offers/v1.0/aws/AmazonSageMaker/current/region_index.json"
ADVICE = "/spot-advisor-data.json"


def quiet(_):
    pass


def read(published, service=SAGEMAKER, region="us-east-1"):
    return OfferFile(service, published.url).seen(region, quiet)


def advice(published, region="us-east-1"):
    return SpotAdvisor(published.url + ADVICE).seen(region, quiet)


def of_ec2(published):
    return [item for item in published.items if item["serviceCode"] == EC2]


def test_the_offer_file_as_it_was_published_is_read(published):
    published.files[OFFER] = (DATA / "bulk_offer_AmazonSageMaker_us-east-1.json").read_bytes()
    index = (DATA / "bulk_region_index_AmazonSageMaker.json").read_bytes()
    published.files[INDEX] = index
    prices = read(published).prices
    assert len(prices) == 15
    assert {price.observed_on for price in prices} == {date(2026, 9, 20)}
    assert published.asked == [INDEX, OFFER]


def test_ec2_is_read_from_its_own_file(published):
    assert {str(price.what) for price in read(published, EC2).prices} == {
        *("g5.xlarge on-demand", "p5.4xlarge on-demand")
    }


def test_load_balancers_are_read_from_their_own_file(published):
    assert {str(price.what) for price in read(published, ELB).prices} == {
        *("load-balancer", "load-balancer-capacity")
    }


def test_a_compressed_file_is_the_same_file(published):
    plain = read(published)
    published.gzipped = True
    assert read(published) == plain


def test_the_index_is_asked_for_once(published):
    source = OfferFile(SAGEMAKER, published.url)
    source.seen("us-east-1", quiet)
    source.seen("us-east-1", quiet)
    assert published.asked.count(INDEX) == 1


def test_nothing_is_sold_in_a_region_that_the_index_does_not_name(published):
    assert read(published, region="us-esat-1").prices == ()


def test_it_says_how_much_it_has_read(published):
    said = []
    OfferFile(SAGEMAKER, published.url).seen("us-east-1", said.append)
    assert said == ["AmazonSageMaker, 0 MB of 0"]


def test_what_follows_the_on_demand_terms_is_not_waited_for(published):
    """Of EC2's file that is the larger part, and here it would be an error."""
    begun = json.dumps(offer_of(of_ec2(published))).encode()
    at = begun.index(b'"Reserved"')
    published.files[EC2_OFFER] = begun[:at] + b'"Reserved": {' + b" " * (1 << 20) + b"no JSON"
    assert len(read(published, EC2).prices) == 2


def test_what_is_not_for_us_is_not_kept(published):
    items = of_ec2(published)
    (dedicated,) = (item for item in items if item["product"]["sku"] == "FIXEC2G5XLDEDICA")
    offer = offer_of(items)
    for number in range(2000):
        offer["products"][f"OTHER{number}"] = dedicated["product"]
        offer["terms"]["OnDemand"][f"OTHER{number}"] = dedicated["terms"]["OnDemand"]
    reading = _Reading("a file", EC2, "us-east-1")
    content = json.dumps(offer).encode()
    for start in range(0, len(content), 10_000):
        reading.take(content[start : start + 10_000])
        assert max(map(len, (reading._products, reading._terms, reading._wanted))) <= 2
    assert len(list(reading.products())) == 2


@given(at=st.integers(0, 4000), junk=st.binary(max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_byte_is_wrong_it_is_a_fault_or_a_price_of_what_was_read(published, at, junk):
    whole = published.files[EC2_OFFER]
    reading = _Reading("a file", EC2, "us-east-1")
    try:
        reading.take(whole[:at] + junk + whole[at + len(junk) :])
        reading.take(b"")
        prices, _ = prices_in(reading.products(), "us-east-1")
    except BadOffer:
        return
    assert all(price.usd > 0 for price in prices)


@pytest.mark.parametrize("day", [None, "soon"])
def test_an_offer_without_a_day_is_refused(published, day):
    offer = offer_of([item for item in published.items if item["serviceCode"] == SAGEMAKER])
    if day is None:
        del offer["publicationDate"]
    else:
        offer["publicationDate"] = day
    published.serve(OFFER, offer)
    with pytest.raises(BadOffer, match="day"):
        read(published)


@pytest.mark.parametrize(
    "content", [b"{}", b"no JSON", b'{"regions": []}', b'{"regions": {"a": 1}}']
)
def test_an_index_of_another_kind_is_told(published, content):
    published.files[INDEX] = content
    with pytest.raises(BadOffer, match="is not the index"):
        read(published)


def test_an_overloaded_server_is_asked_again(published):
    published.faults.append((503, "busy"))
    assert len(read(published).prices) == 15


def test_a_server_that_stays_overloaded_is_told(published, monkeypatch):
    monkeypatch.setattr("urllib3.util.Retry.sleep", lambda *_: None)
    published.faults.extend([(429, "slow down")] * 6)
    with pytest.raises(SourceUnavailable, match="throttles us"):
        read(published)


def test_an_address_without_a_file_is_told(published):
    del published.files[OFFER]
    with pytest.raises(SourceUnavailable, match="404") as caught:
        read(published)
    assert "--offer-url" in caught.value.hint


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nowhere"])
def test_no_network_and_no_address_are_told(monkeypatch, url):
    monkeypatch.setattr("urllib3.util.Retry.sleep", lambda *_: None)
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        OfferFile(SAGEMAKER, url).seen("us-east-1", quiet)


def test_advice_is_of_the_day_on_which_the_file_was_written(published):
    told = {each.instance: each for each in advice(published).advice}
    g4dn = told["g4dn.xlarge"]
    assert (g4dn.saving_ratio, g4dn.interruption_band) == (Decimal("0.64"), "15-20%")
    assert g4dn.observed_on == date(2026, 11, 19)


def test_every_region_is_advised_from_one_file(published):
    source = SpotAdvisor(published.url + ADVICE)
    assert source.seen("us-east-1", quiet).advice
    assert source.seen("eu-west-1", quiet).advice == ()
    assert published.asked == [ADVICE]


def test_advice_that_says_nothing_is_refused(published):
    told = json.loads(published.files[ADVICE])
    told["spot_advisor"]["us-east-1"]["Linux"]["m5.large"]["s"] = 0
    published.serve(ADVICE, told)
    seen = advice(published)
    assert [each.instance for each in seen.advice] == ["g4dn.xlarge"]
    assert [refused.what for refused in seen.refused] == ["m5.large spot"]


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "no JSON",
        '{"ranges": [{"index": 0}], "spot_advisor": {}}',
        '{"ranges": [], "spot_advisor": {"us-east-1": {"Linux": {"m5.large": {"s": 1, "r": 9}}}}}',
        '{"ranges": [], "spot_advisor": {"us-east-1": []}}',
    ],
)
def test_data_of_another_kind_is_told(published, content):
    published.files[ADVICE] = content.encode()
    with pytest.raises(BadOffer, match="not Spot Advisor's data"):
        advice(published)
