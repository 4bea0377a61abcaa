"""Which products of the price list are prices of inference, and which only look like one."""

import copy
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from price_servers import DATA, everything_listed, listed

from pricing import Platform, PriceBasis, Purchase, ServerlessComponent, UnitItem
from pricing.sources import Hourly, ServerlessMemory
from pricing.sources.products import Product, prices_in

HOSTED = Hourly("m5.xlarge", Platform.SAGEMAKER)
G5 = Hourly("g5.xlarge", Platform.EC2)


def product(item):
    return Product(
        sku=item["product"]["sku"],
        attributes={"servicecode": item["serviceCode"], **item["product"]["attributes"]},
        terms=item["terms"].get("OnDemand", {}),
        published_on=date(2026, 9, 20),
    )


def read(items, region="us-east-1"):
    return prices_in(map(product, items), region)


def of(sku, **attributes):
    """One product of the fixtures, other attributes than there."""
    (item,) = (each for each in everything_listed() if each["product"]["sku"] == sku)
    item["product"]["attributes"] |= attributes
    return item


def hosting(**attributes):
    return of("JDZQJFUVUR8SUWHS", **attributes)


def dimension(item):
    (term,) = item["terms"]["OnDemand"].values()
    (only,) = term["priceDimensions"].values()
    return only


def with_price(item, usd, **changes):
    dimension(item).update({"pricePerUnit": {"USD": usd}, **changes})
    return item


def reason_of(items):
    prices, refused = read(items)
    assert prices == ()
    (one,) = refused
    return one.reason


def test_the_fixtures_hold_these_prices_of_inference_and_no_other():
    prices, refused = read(everything_listed())
    serverless = {
        f"serverless {gb * 1024} MiB on-demand": Decimal("0.00002") * gb for gb in range(1, 7)
    }
    assert {str(price.what): price.usd for price in prices} == serverless | {
        "ml.m5.xlarge": Decimal("0.23"),
        "ml.t2.medium": Decimal("0.056"),
        "ml.g6e.2xlarge": Decimal("2.8026"),
        "ml.g7e.2xlarge": Decimal("4.2039"),
        "g5.xlarge on-demand": Decimal("1.006"),
        "p5.4xlarge on-demand": Decimal("6.88"),
        "serverless 2048 MiB provisioned-usage": Decimal("0.00001"),
        "serverless 2048 MiB provisioned-duration": Decimal("0.0000233"),
        "endpoint-storage": Decimal("0.14"),
        "data-in": Decimal("0.016"),
        "data-out": Decimal("0.016"),
        "load-balancer": Decimal("0.0225"),
        "load-balancer-capacity": Decimal("0.008"),
    }
    assert refused == ()


def test_the_bulk_file_and_the_api_tell_the_same():
    offer = json.loads((DATA / "bulk_offer_AmazonSageMaker_us-east-1.json").read_text())
    from_file = [
        {
            "product": told,
            "serviceCode": "AmazonSageMaker",
            "terms": {"OnDemand": offer["terms"]["OnDemand"][sku]},
        }
        for sku, told in offer["products"].items()
    ]
    here = [item for item in everything_listed() if item["serviceCode"] == "AmazonSageMaker"]
    assert read(from_file) == read(here)


def test_a_price_says_where_and_when_it_was_seen():
    ((price,), _) = read([hosting()])
    assert price.source == "AWS Price List of 2026-09-20, SKU JDZQJFUVUR8SUWHS"
    assert (price.observed_on, price.region) == (date(2026, 9, 20), "us-east-1")
    assert price.basis is PriceBasis.REPORTED


@pytest.mark.parametrize(
    ("component", "usage"),
    [
        ("Notebook", "Notebk"),
        ("Training", "Train"),
        ("Processing", "Processing"),
        ("Cluster", "Cluster"),
        ("studio-jupyterlab", "Studio:JupyterLab"),
        ("Hosting-Reserved", "Host"),
    ],
)
def test_the_price_of_another_component_is_not_taken_for_hosting(component, usage):
    item = hosting(component=component, usagetype=f"USE1-{usage}:ml.m5.xlarge")
    assert read([with_price(item, "0.19")]) == ((), ())


def test_a_notebook_does_not_pull_t2_down():
    """0.0464 is the notebook's price, 0.056 the endpoint's."""
    prices, _ = read(listed("sagemaker_ml_instance"))
    (t2,) = (price for price in prices if str(price.what) == "ml.t2.medium")
    assert t2.usd == Decimal("0.056")


@pytest.mark.parametrize(
    "usage", ["USE1-Host-Reserved:ml.m5.xlarge", "USE1-HostPlan:ml.m5.xlarge"]
)
def test_reserved_hosting_at_nothing_is_passed_over(usage):
    assert read([with_price(hosting(usagetype=usage), "0.0000000000")]) == ((), ())


@pytest.mark.parametrize("zero", ["0.0000000000", "0", "-0.1", "NaN"])
def test_a_price_of_nothing_is_refused(zero):
    assert "costs" in reason_of([with_price(hosting(), zero)])


@pytest.mark.parametrize("sku", ["FIXEC2G5XLDEDICA", "FIXEC2G5XLALLOCA", "FIXEC2P54XLCAPBL"])
def test_dedicated_reserved_and_block_capacity_are_not_on_demand(sku):
    assert read([of(sku)]) == ((), ())


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("operatingSystem", "Windows"),
        ("tenancy", "Dedicated"),
        ("tenancy", "Host"),
        ("capacitystatus", "UnusedCapacityReservation"),
        ("marketoption", "CapacityBlock"),
        ("preInstalledSw", "SQL Web"),
        ("operation", "RunInstances:0g00"),
        ("usagetype", "HostBoxUsage:g5"),
        ("locationType", "AWS Local Zone"),
        ("regionCode", "us-east-1-bos-1"),
    ],
)
def test_ec2_is_plain_linux_in_the_region_itself(attribute, value):
    assert len(read([of("FIXEC2G5XLSHARED")])[0]) == 1
    assert read([of("FIXEC2G5XLSHARED", **{attribute: value})]) == ((), ())


def test_money_upfront_is_never_read():
    item = hosting()
    reserved = copy.deepcopy(item["terms"]["OnDemand"])
    item["terms"] = {"Reserved": reserved}
    assert "upfront" in reason_of([item])


def test_a_tiered_price_is_refused():
    item = hosting()
    (term,) = item["terms"]["OnDemand"].values()
    (only,) = term["priceDimensions"].values()
    term["priceDimensions"]["second"] = {**only, "beginRange": "100"}
    assert "2 tiers" in reason_of([item])


@pytest.mark.parametrize(("begin", "end"), [("0", "100"), ("100", "Inf")])
def test_one_tier_of_several_is_refused(begin, end):
    item = with_price(hosting(), "0.23", beginRange=begin, endRange=end)
    assert f"from {begin} to {end}" in reason_of([item])


@pytest.mark.parametrize(
    ("sku", "unit"),
    [
        ("JDZQJFUVUR8SUWHS", "seconds"),
        ("PUE6HBQ8KFHBUN5T", "GB-seconds"),
        ("FIXHOSTSTORAGEG2", "GB"),
        ("FIXDATAIN0000001", "MB"),
    ],
)
def test_a_price_by_another_unit_is_refused(sku, unit):
    assert repr(unit) in reason_of([with_price(of(sku), "0.23", unit=unit)])


@pytest.mark.parametrize("usd", ["0.0000000001", "1E+28"])
def test_what_no_machine_costs_is_refused(usd):
    assert "no machine" in reason_of([with_price(hosting(), usd)])


def test_a_price_in_another_currency_or_none_is_refused():
    item = hosting()
    dimension(item)["pricePerUnit"] = {"CNY": "1.6"}
    assert "no price in USD" in reason_of([item])
    assert "'free'" in reason_of([with_price(hosting(), "free")])


@pytest.mark.parametrize("suffix", ["-Hosting", "-hosting"])
def test_the_name_is_found_where_instance_name_is_missing(suffix):
    item = hosting(instanceType=f"ml.m5.xlarge{suffix}")
    del item["product"]["attributes"]["instanceName"]
    ((price,), _) = read([item])
    assert price.what == HOSTED


@pytest.mark.parametrize("prefix", ["EUW3-", "EU-", "APN1-", ""])
def test_the_region_is_its_code_whatever_the_prefix_of_the_usage_type(prefix):
    item = hosting(regionCode="eu-west-3", usagetype=f"{prefix}Host:ml.m5.xlarge")
    assert read([item], "us-east-1") == ((), ())
    ((price,), _) = read([item], "eu-west-3")
    assert (price.what, price.region) == (HOSTED, "eu-west-3")


def test_two_prices_for_one_machine_are_both_refused():
    """One is wrong, and nothing says which."""
    other = with_price(hosting(), "0.269")
    other["product"]["sku"] = "OTHER"
    prices, refused = read([hosting(), other])
    assert prices == ()
    assert {each.source.rpartition(" ")[2] for each in refused} == {"JDZQJFUVUR8SUWHS", "OTHER"}
    assert "0.23 and 0.269" in refused[0].reason


@pytest.mark.parametrize(
    ("component", "usage"), [("AsyncInf", "AsyncInf"), ("BatchTransform", "Tsform")]
)
def test_other_uses_of_an_endpoint_at_another_price_are_told(component, usage):
    other = hosting(component=component, usagetype=f"USE1-{usage}:ml.m5.xlarge")
    assert read([hosting(), other])[1] == ()
    prices, (refused,) = read([hosting(), with_price(other, "0.25")])
    assert prices[0].usd == Decimal("0.23")
    assert refused.usd == "0.25"
    assert component in refused.reason


def test_of_several_terms_the_last_to_come_into_force_counts():
    item = hosting()
    (code, term) = next(iter(item["terms"]["OnDemand"].items()))
    old = copy.deepcopy(term)
    old["effectiveDate"] = "2021-03-01T00:00:00Z"
    next(iter(old["priceDimensions"].values()))["pricePerUnit"]["USD"] = "0.269"
    coming = {**old, "effectiveDate": "2027-01-01T00:00:00Z"}
    item["terms"]["OnDemand"] = {"OLD": old, code: term, "COMING": coming}
    assert read([item])[0][0].usd == Decimal("0.23")
    item["terms"]["OnDemand"] = {"COMING": coming}
    assert "2027-01-01" in reason_of([item])


def test_gp3_of_notebooks_is_not_the_storage_of_endpoints():
    item = of("FIXHOSTSTORAGEG2", usagetype="USE1-Host:VolumeUsage.gp3")
    assert read([with_price(item, "0.112")]) == ((), ())


def test_usage_of_provisioned_concurrency_is_the_warm_charge():
    """And Mem its duration: a public table once had them swapped."""
    prices, _ = read(listed("sagemaker_serverless"))
    usd = {price.what: price.usd for price in prices}
    warm = ServerlessMemory(2048, ServerlessComponent.PROVISIONED_USAGE)
    duration = ServerlessMemory(2048, ServerlessComponent.PROVISIONED_DURATION)
    on_demand = ServerlessMemory(2048, ServerlessComponent.ON_DEMAND)
    assert usd[warm] < usd[duration] < usd[on_demand]


def test_data_goes_in_and_out():
    prices, _ = read(listed("sagemaker_storage_data"))
    assert {price.what for price in prices} == {
        *(UnitItem.DATA_IN, UnitItem.DATA_OUT, UnitItem.ENDPOINT_STORAGE)
    }


def test_an_application_load_balancer_is_told_from_all_others():
    """Of network and classic ones, of Outposts, trust stores and reserved capacity."""
    prices, refused = read(listed("elb"))
    assert {price.what: price.usd for price in prices} == {
        UnitItem.LOAD_BALANCER: Decimal("0.0225"),
        UnitItem.LOAD_BALANCER_CAPACITY: Decimal("0.008"),
    }
    assert refused == ()


def test_the_prefix_of_a_region_is_no_other_load_balancer():
    ((price,), _) = read(listed("elb"), "eu-west-1")
    assert (price.what, price.usd) == (UnitItem.LOAD_BALANCER, Decimal("0.0252"))


LISTED = everything_listed()


@given(order=st.permutations(range(len(LISTED))))
def test_order_of_the_list_changes_no_price(order):
    as_listed = read(LISTED)
    as_drawn = read([LISTED[place] for place in order])
    assert set(as_drawn[0]) == set(as_listed[0])
    assert as_drawn[1] == as_listed[1]


G5_ITEM = of("FIXEC2G5XLSHARED")
KNOWN = frozenset(G5_ITEM["product"]["attributes"]) | {"component"}
NEW = st.text(min_size=1).filter(lambda name: name not in KNOWN)


@given(more=st.dictionaries(NEW, st.text()))
def test_attributes_that_nobody_knows_change_nothing(more):
    told = G5_ITEM["product"]
    item = {**G5_ITEM, "product": {**told, "attributes": told["attributes"] | more}}
    ((price,), refused) = read([item])
    assert (price.what, price.usd, refused) == (G5, Decimal("1.006"), ())
    assert price.what.purchase is Purchase.ON_DEMAND


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


def places(value, path=()):
    """Where in a document something stands."""
    yield path
    children = value.items() if isinstance(value, dict) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def with_other(value, path, other):
    if not path:
        return other
    return {**value, path[0]: with_other(value[path[0]], path[1:], other)}


@given(place=st.sampled_from(list(places(G5_ITEM["product"]["attributes"]))), other=JSON)
def test_whatever_stands_for_an_attribute_other_products_are_read(place, other):
    attributes = with_other(G5_ITEM["product"]["attributes"], place, other)
    odd = replace(product(G5_ITEM), sku="ODD", attributes=attributes)
    prices, _ = prices_in([odd, product(hosting())], "us-east-1")
    assert HOSTED in {price.what for price in prices}


@given(place=st.sampled_from(list(places(G5_ITEM["terms"]["OnDemand"]))), other=JSON)
def test_whatever_stands_for_a_term_becomes_a_price_or_a_reason(place, other):
    terms = with_other(G5_ITEM["terms"]["OnDemand"], place, other)
    prices, refused = prices_in([replace(product(G5_ITEM), terms=terms)], "us-east-1")
    assert len(prices) + len(refused) == 1
    assert all(price.usd > 0 for price in prices)
