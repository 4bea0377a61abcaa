"""AWS's public files of savings plans' rates: which are read, and files that cannot be right."""

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from price_servers import PLANS, PLANS_INDEX

from pricing import Confidence, PriceBasis, SavingsPlan
from pricing.errors import BadOffer, SourceUnavailable
from pricing.sources import PlanHourly
from pricing.sources.savings_plan_file import SavingsPlanFile, _Reading

HOSTED = ("m5.xlarge", "t2.medium", "g6e.2xlarge", "g7e.2xlarge")


def quiet(_):
    pass


def read(published, region="us-east-1"):
    return SavingsPlanFile(published.url).seen(region, quiet)


def told(published):
    return json.loads(published.files[PLANS])


def terms_of(document):
    return document["terms"]["savingsPlan"]


def hosting(term, machine="ml.m5.xlarge"):
    return next(
        rate for rate in term["rates"] if rate["discountedUsageType"].endswith(f"Host:{machine}")
    )


def usd(seen):
    return {str(price.what): price.usd for price in seen.prices}


def test_each_of_the_six_plans_has_a_rate_for_each_machine_that_is_hosted(published):
    seen = read(published)
    assert {price.what for price in seen.prices} == {
        PlanHourly(machine, plan) for machine in HOSTED for plan in SavingsPlan
    }
    assert seen.refused == ()
    assert published.asked == [PLANS_INDEX, PLANS]


def test_rates_are_those_of_hosting_and_of_no_other_use(published):
    """The fixture has notebooks, training, studio, HyperPod and more of the same machine."""
    names = {"3YPXFW2FJXS3D9VM": "1y-partial-upfront", "FIXPLAN3YALLUPF1": "3y-all-upfront"}
    found = usd(read(published))
    for term in terms_of(told(published)):
        if term["sku"] in names:
            rate = Decimal(hosting(term)["discountedRate"]["price"])
            assert found[f"ml.m5.xlarge {names[term['sku']]}"] == rate
    document = told(published)
    for term in terms_of(document):
        for rate in term["rates"]:
            if ":".join(rate["discountedUsageType"].split(":")[:-1]) not in ("USE1-Host", "Host"):
                rate["discountedRate"]["price"] = "0.0999"
    published.serve(PLANS, document)
    assert usd(read(published)) == found


def test_a_rate_says_its_day_its_source_and_that_it_was_read(published):
    (price,) = (p for p in read(published).prices if str(p.what) == "ml.t2.medium 1y-no-upfront")
    assert (price.usd, price.observed_on) == (Decimal("0.0448"), date(2026, 11, 12))
    assert (price.basis, price.confidence) == (PriceBasis.REPORTED, Confidence.HIGH)
    assert price.source.startswith("AWS savings plan file of 2026-11-12, rate FIXPLAN1YNOUPFR1.")
    assert price.region == "us-east-1"


def test_what_stands_first_in_the_file_does_not_matter(published):
    expected, document = read(published), told(published)
    document = {"terms": document.pop("terms"), **document}
    published.serve(PLANS, document)
    assert read(published) == expected


def test_a_compressed_file_is_the_same_file_and_the_index_is_asked_for_once(published):
    source = SavingsPlanFile(published.url)
    plain = source.seen("us-east-1", quiet)
    published.gzipped = True
    assert source.seen("us-east-1", quiet) == plain
    assert published.asked.count(PLANS_INDEX) == 1


def test_nothing_is_known_of_a_region_that_the_index_does_not_name(published):
    assert read(published, "us-esat-1").prices == ()


def test_it_says_how_much_it_has_read(published):
    said = []
    SavingsPlanFile(published.url).seen("us-east-1", said.append)
    assert said == ["AWSMachineLearningSavingsPlans, 0 MB of 0"] * 2


def test_a_term_is_not_held_beyond_its_rates_of_hosting(published):
    document = told(published)
    (other,) = (r for r in terms_of(document)[0]["rates"] if "Cluster" in r["discountedUsageType"])
    for term in terms_of(document):
        term["rates"] += [other] * 500
    reading, content = _Reading("a file", "us-east-1"), json.dumps(document).encode()
    for start in range(0, len(content), 10_000):
        reading.take(content[start : start + 10_000])
        assert (len(reading._found), len(reading._products)) == (0, 0)
    assert [len(term.rates) for term in reading._terms] == [len(HOSTED)] * 6


def changed(published, **changes):
    """The rate of m5.xlarge's hosting in the first term, otherwise."""
    document = told(published)
    rate = hosting(terms_of(document)[0])
    rate.update(changes)
    published.serve(PLANS, document)
    return read(published)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"discountedRate": {"price": "0.0000", "currency": "USD"}}, "reserved or free"),
        ({"discountedRate": {"price": "cheap", "currency": "USD"}}, "not a number"),
        ({"discountedRate": {"price": "0.17", "currency": "CNY"}}, "no price in USD"),
        ({"discountedRate": {"price": "900000", "currency": "USD"}}, "no machine does"),
        ({"discountedRate": None}, "no price in USD"),
        ({"unit": "Seconds"}, "is sold by 'Seconds'"),
        ({"discountedRegionCode": "eu-west-1"}, "is of 'eu-west-1'"),
        ({"rateCode": "two\nlines"}, "one line of printable text"),
    ],
)
def test_a_rate_that_cannot_be_right_is_refused_by_itself_alone(published, changes, says):
    whole = usd(read(published))
    seen = changed(published, **changes)
    (refused,) = seen.refused
    assert says in refused.reason
    assert refused.what == "ml.m5.xlarge 1y-partial-upfront"
    assert usd(seen) == {name: each for name, each in whole.items() if name != refused.what}


def test_a_rate_of_another_service_is_passed_over(published):
    seen = changed(published, discountedServiceCode="AmazonEC2")
    assert (len(seen.prices), seen.refused) == (len(HOSTED) * 6 - 1, ())


def test_of_two_rates_that_differ_neither_is_taken(published):
    document = told(published)
    rate = hosting(terms_of(document)[0])
    other = {**rate, "discountedRate": {"price": "0.11", "currency": "USD"}}
    terms_of(document)[0]["rates"].append(other)
    published.serve(PLANS, document)
    seen = read(published)
    assert len(seen.prices) == len(HOSTED) * 6 - 1
    assert len(seen.refused) == 2
    assert all("two prices" in refused.reason for refused in seen.refused)


@pytest.mark.parametrize(
    ("length", "payment", "says"),
    [
        ({"duration": 2, "unit": "year"}, "No Upfront", "2 year-no-upfront is none of"),
        ({"duration": 1, "unit": "year"}, "Light", "1y-light is none of"),
        ({"duration": 1, "unit": "year"}, None, "1y-of no product is none of"),
    ],
)
def test_a_plan_that_nobody_knows_is_refused(published, length, payment, says):
    document = told(published)
    terms_of(document)[0]["leaseContractLength"] = length
    if payment is None:
        del document["products"][0]
    else:
        document["products"][0]["attributes"]["purchaseOption"] = payment
    published.serve(PLANS, document)
    seen = read(published)
    assert len(seen.prices) == len(HOSTED) * 5
    assert {refused.reason[: len(says)] for refused in seen.refused} == {says}


@given(at=st.integers(0, 12_000), junk=st.binary(max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_byte_is_wrong_it_is_a_fault_or_a_rate_of_what_was_read(published, at, junk):
    whole = published.files[PLANS]
    reading = _Reading("a file", "us-east-1")
    try:
        reading.take(whole[:at] + junk + whole[at + len(junk) :])
        reading.take(b"")
        seen = reading.seen()
    except BadOffer:
        return
    assert all(price.usd > 0 for price in seen.prices)


@pytest.mark.parametrize("day", [None, "soon"])
def test_a_file_without_a_day_is_refused(published, day):
    document = told(published)
    if day is None:
        del document["publicationDate"]
    else:
        document["publicationDate"] = day
    published.serve(PLANS, document)
    with pytest.raises(BadOffer, match="day"):
        read(published)


@pytest.mark.parametrize(
    "content", [b"{}", b"no JSON", b'{"regions": {"us-east-1": {}}}', b'{"regions": [1]}']
)
def test_an_index_of_another_kind_is_told(published, content):
    published.files[PLANS_INDEX] = content
    with pytest.raises(BadOffer, match="is not the index"):
        read(published)


def test_an_address_without_a_file_is_told(published):
    del published.files[PLANS]
    with pytest.raises(SourceUnavailable, match="404"):
        read(published)
