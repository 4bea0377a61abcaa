from datetime import date
from decimal import Decimal

import pytest

from pricing import (
    NoPrice,
    OffersByRegion,
    Platform,
    PriceBook,
    Purchase,
    ServerlessComponent,
    UnitItem,
    UnknownInstanceType,
    UnknownRegion,
)


def test_offers_are_those_of_the_region_on_the_terms_asked(small_book):
    assert len(small_book.offers("us-east-1")) == 4
    assert [o.name for o in small_book.offers("us-east-1", Platform.SAGEMAKER)] == ["ml.m5.large"]
    (spot,) = small_book.offers("us-east-1", purchase=Purchase.SPOT)
    assert spot.usd_per_hour == Decimal("0.040")
    assert [o.usd_per_hour for o in small_book.offers("eu-west-1")] == [Decimal("0.107")]


def test_an_unknown_region_names_the_near_ones_and_all_there_are(small_book):
    with pytest.raises(UnknownRegion, match=r"'us-east-11'; did you mean us-east-1") as caught:
        small_book.offers("us-east-11")
    assert caught.value.hint == "regions in the book: eu-west-1, us-east-1"
    assert caught.value.exit_code == 2
    assert small_book.require_region("eu-west-1") == "eu-west-1"


@pytest.mark.parametrize("name", ["m5.large", "ml.m5.large", "ML.M5.Large", " m5.large "])
def test_a_machine_answers_to_both_its_names(small_book, name):
    assert small_book.instance(name).name == "m5.large"


def test_an_unknown_machine_names_the_near_ones_in_the_same_spelling(small_book):
    with pytest.raises(UnknownInstanceType, match=r"did you mean ml\.m5\.large") as caught:
        small_book.instance("ml.m5.larg")
    assert " m5." not in str(caught.value)
    with pytest.raises(UnknownInstanceType, match=r"did you mean m5\.large"):
        small_book.instance("m5-larg")


def test_an_ec2_machine_is_not_taken_for_a_hosting_type(small_book):
    with pytest.raises(UnknownInstanceType, match="exists on EC2 only") as caught:
        small_book.instance("ml.m5.8xlarge")
    assert caught.value.hint == "hosting types of that family: ml.m5.large, ml.m5.xlarge"


def test_patterns_fit_either_name_once_and_keep_the_book_s_order(small_book):
    def names(*patterns):
        return [i.name for i in small_book.matching(patterns)]

    assert names("ml.m5.*") == ["m5.large", "m5.xlarge"]
    assert names("m5.*") == ["m5.large", "m5.xlarge", "m5.8xlarge"]
    assert names("m5.xlarge", "ml.*", "M5.LARGE") == ["m5.large", "m5.xlarge"]
    assert names() == []


def test_a_family_sagemaker_does_not_host_is_said_to_be_so(bundled):
    with pytest.raises(UnknownInstanceType, match=r"t3\.medium exists on EC2 only") as caught:
        bundled.instance("ml.t3.medium")
    assert caught.value.hint == "SageMaker hosts no t3; use EC2, or another family"


@pytest.mark.parametrize(
    ("pattern", "near"), [("ml.m55.*", r"ml\.m5"), ("ml.m5.huge", r"ml\.m5\.large")]
)
def test_a_pattern_that_fits_nothing_is_an_error(small_book, pattern, near):
    with pytest.raises(UnknownInstanceType, match=near):
        small_book.matching(["m5.large", pattern])


def test_cheapest_is_the_lowest_price_that_fits(small_book):
    assert small_book.cheapest("us-east-1").purchase is Purchase.SPOT
    assert small_book.cheapest("us-east-1", Platform.SAGEMAKER).name == "ml.m5.large"
    big = small_book.cheapest("us-east-1", fits=lambda o: o.instance.memory_gib > 8)
    assert big.name == "m5.8xlarge"
    with pytest.raises(NoPrice, match="sagemaker on-demand offer in us-east-1 that fits"):
        small_book.cheapest(
            "us-east-1",
            Platform.SAGEMAKER,
            Purchase.ON_DEMAND,
            fits=lambda o: o.instance.vcpus > 2,
        )


def test_a_missing_offer_is_an_error_with_the_reason_never_a_zero(small_book):
    on_demand = small_book.offer("ml.m5.large", "us-east-1", Platform.SAGEMAKER)
    assert on_demand.usd_per_hour == Decimal("0.115")
    with pytest.raises(NoPrice, match="withdrawn in spring"):
        small_book.offer("m5.xlarge", "us-east-1", Platform.SAGEMAKER)
    with pytest.raises(NoPrice, match=r"no spot price for m5\.8xlarge on ec2 in us-east-1"):
        small_book.offer("m5.8xlarge", "us-east-1", Platform.EC2, Purchase.SPOT)


def test_every_hosting_type_without_a_price_is_named_with_a_reason(small_book):
    def reasons(region):
        return {row.instance.name: row.reason for row in small_book.unpriced(region)}

    assert reasons("us-east-1") == {"m5.xlarge": "withdrawn in spring"}
    assert set(reasons("eu-west-1")) == {"m5.large", "m5.xlarge"}
    assert all("no price for eu-west-1" in reason for reason in reasons("eu-west-1").values())


def test_serverless_answers_by_memory_and_never_borrows_from_another_region(small_book):
    assert [o.memory_mib for o in small_book.serverless("us-east-1")] == [1024, 2048]
    (warm,) = small_book.serverless("us-east-1", ServerlessComponent.PROVISIONED_USAGE)
    assert warm.usd_per_second == Decimal("0.000005")
    assert len(small_book.serverless("us-east-1", None)) == 3
    assert small_book.serverless("eu-west-1") == ()


def test_a_unit_price_is_there_or_an_error(small_book):
    assert small_book.unit_price(UnitItem.DATA_IN, "us-east-1").usd == Decimal("0.016")
    with pytest.raises(NoPrice, match="data-in in eu-west-1") as caught:
        small_book.unit_price(UnitItem.DATA_IN, "eu-west-1")
    assert caught.value.hint == "it has one in: us-east-1"


def test_accelerators_are_those_of_the_region(small_book):
    assert [a.name for a in small_book.accelerators("us-east-1")] == ["ml.eia2.medium"]
    assert small_book.accelerators("eu-west-1") == ()


def test_a_book_knows_its_age_and_that_of_its_prices(small_book):
    assert small_book.age_days(date(2026, 12, 1)) == 10
    assert small_book.observed_between("us-east-1") == (date(2026, 7, 20), date(2026, 9, 1))


def test_the_same_offer_twice_is_refused(make_machine, make_offer):
    m5 = make_machine("m5.large", 2, 8.0)
    with pytest.raises(ValueError, match=r"offer m5\.large ec2 on-demand is there twice"):
        OffersByRegion.of([make_offer(m5, "0.1"), make_offer(m5, "0.2")])


def test_an_offer_on_the_wrong_shelf_is_refused_when_the_region_is_opened(
    make_machine, make_offer
):
    stray = make_offer(make_machine("m5.large", 2, 8.0), "0.1", region="eu-west-1")
    shelf = OffersByRegion({"us-east-1": lambda: (stray,), "eu-west-1": lambda: (stray,)})
    assert shelf["eu-west-1"] == (stray,)
    with pytest.raises(ValueError, match="of eu-west-1 stands among the offers of us-east-1"):
        shelf["us-east-1"]


def test_a_region_is_read_once_and_only_when_asked(make_machine, make_offer):
    read = []

    def reader():
        read.append("us-east-1")
        return (make_offer(make_machine("m5.large", 2, 8.0), "0.1"),)

    shelf = OffersByRegion({"us-east-1": reader})
    assert list(shelf) == ["us-east-1"]
    assert read == []
    assert shelf["us-east-1"] is shelf["us-east-1"]
    assert read == ["us-east-1"]


def test_two_machines_of_one_name_are_refused(small_book, make_machine):
    with pytest.raises(ValueError, match=r"instance type m5\.large is there twice"):
        PriceBook(
            name="twice",
            published_on=date(2026, 11, 21),
            sources=(),
            notes=(),
            instances=(make_machine("m5.large", 2, 8.0), make_machine("m5.large", 4, 8.0)),
            offers_by_region=small_book.offers_by_region,
        )
