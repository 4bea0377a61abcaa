"""`recommender prices refresh` from the fixtures to a book in force, and what a user is told when
it cannot be done."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import pytest
from click.testing import CliRunner
from price_servers import OFFER, PLANS

from pricing import (
    OffersByRegion,
    Platform,
    PricingError,
    Purchase,
    SavingsPlan,
    Shelf,
    load_book,
    save_book,
)
from pricing.sources.spot_advisor import SpotAdvisor
from recommender.cli.prices_refresh import refresh_command

SPOT = (
    ("g5.xlarge", "us-east-1a", "0.45"),
    ("g5.xlarge", "us-east-1b", "0.41"),
    ("m5.large", "us-east-1a", "0.00001"),
)
RECOMMENDER = (
    *(sys.executable, "-c", "from recommender.cli import main; main()"),
    *("prices", "refresh"),
)
REGIONS = ("us-east-1", "eu-west-1", "eu-west-3")
FROM_ACCOUNT = ("--source", "price-list", "--source", "spot-history", "--source", "spot-advisor")


@pytest.fixture
def arguments(published):
    return (
        *("--offer-url", published.url),
        *("--spot-advisor-url", f"{published.url}/spot-advisor-data.json"),
    )


@pytest.fixture(scope="session")
def few_regions(tmp_path_factory):
    """The bundled book, of few regions: it is read and written whole each time."""
    bundled = load_book()
    kept = {region: partial(bundled.offers, region) for region in REGIONS}
    folder = tmp_path_factory.mktemp("books") / "few-regions"
    save_book(replace(bundled, name="few-regions", offers_by_region=OffersByRegion(kept)), folder)
    return folder


@pytest.fixture
def refresh(arguments, few_regions):
    def run(*more, start=("--prices", str(few_regions))):
        return CliRunner().invoke(refresh_command, [*arguments, *start, *more])

    return run


@pytest.fixture
def shelf(own_home):
    return Shelf(own_home / "data" / "price-books")


def told(result):
    assert result.exception is None, result.exception
    return result.output


def failed(result):
    assert isinstance(result.exception, PricingError), result.output
    return result.exception


def prices(book):
    return {
        (offer.name, offer.purchase): offer
        for offer in book.offers("us-east-1")
        if offer.source.startswith(("AWS Price List", "EC2 Desc", "Spot Advisor saving of 2026"))
    }


def without(book, name):
    left = tuple(offer for offer in book.offers("us-east-1") if offer.instance.name != name)
    machines = tuple(machine for machine in book.instances if machine.name != name)
    return replace(book, instances=machines, offers_by_region=OffersByRegion.of(left))


def quarantined(folder):
    with (folder / "quarantine.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("no_account")
def test_without_an_account_the_public_files_make_a_book(refresh, shelf, bundled):
    output = told(refresh(start=()))
    assert "no AWS credentials: reading what is public" in output
    book = shelf.newest().book
    assert book.published_on == datetime.now(UTC).date()
    found = prices(book)
    assert {name: str(offer.usd_per_hour) for (name, _), offer in found.items()} == {
        "ml.m5.xlarge": "0.23",
        "ml.t2.medium": "0.056",
        "ml.g6e.2xlarge": "2.8026",
        "ml.g7e.2xlarge": "4.2039",
        "g5.xlarge": "1.006",
        "p5.4xlarge": "6.88",
        "g4dn.xlarge": "0.18936",
    }
    assert book.regions == bundled.regions
    assert book.offers("eu-west-1") == bundled.offers("eu-west-1")
    assert book.accelerator_offers == bundled.accelerator_offers


def test_with_an_account_it_is_asked_page_by_page(refresh, account, shelf):
    account.spot = SPOT
    document = json.loads(
        told(refresh(*FROM_ACCOUNT, "--json", "--quiet")).partition("\nwritten")[0]
    )
    assert document["regions"][0]["taken"] == 20
    assert [row["what"] for row in document["quarantined"]] == ["m5.large spot"]
    book = shelf.book(document["book"])
    spot = book.offer("g5.xlarge", "us-east-1", Platform.EC2, Purchase.SPOT)
    assert (spot.usd_per_hour, spot.interruption_band) == (Decimal("0.45"), ">20%")
    (row,) = quarantined(shelf.folders()[book.name])
    assert row["reason"].startswith("is 0.00 times on-demand's 0.096 USD")


@pytest.mark.usefixtures("account")
def test_a_machine_that_the_book_does_not_know_joins_it(
    refresh, shelf, moto_url, monkeypatch, tmp_path
):
    """As one would that is newer than the release. Every source of an account is asked."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", moto_url)
    bundled = load_book()
    save_book(without(bundled, "m5.xlarge"), tmp_path / "older")
    output = told(refresh(start=("--prices", str(tmp_path / "older"))))
    assert "us-east-1, instance-types, 2 of 5" in output
    assert "spot at 0.00001 USD" in output, "moto's one price is not believed"
    book, known = shelf.newest().book, bundled.instance("m5.xlarge")
    joined = book.instance("ml.m5.xlarge")
    assert (joined.vcpus, joined.memory_gib) == (known.vcpus, known.memory_gib)
    assert joined.source == "EC2 DescribeInstanceTypes"
    hosting = book.offer("ml.m5.xlarge", "us-east-1", Platform.SAGEMAKER)
    assert hosting.usd_per_hour == Decimal("0.23")


@pytest.mark.usefixtures("account")
def test_regions_are_refreshed_each_with_its_own_prices(refresh, shelf):
    regions = ("--region", "us-east-1", "--region", "eu-west-3")
    assert "eu-west-3" in told(refresh(*regions, "--source", "price-list"))
    book = shelf.newest().book
    usd = {
        region: book.offer("ml.g4dn.xlarge", region, Platform.SAGEMAKER).usd_per_hour
        for region in ("us-east-1", "eu-west-3")
    }
    assert usd == {"us-east-1": Decimal("0.7364"), "eu-west-3": Decimal("0.861")}
    seen = book.offer("ml.g4dn.xlarge", "eu-west-3", Platform.SAGEMAKER)
    assert seen.source.endswith("SKU FIXHOSTG4DNXLPA1")


def test_an_account_is_used_where_there_is_one(refresh, account):
    """The first question shows it; that it then fails is the test's own doing."""
    account.faults.extend([(403, "AccessDeniedException")])
    assert "may not" in str(failed(refresh()))
    assert account.asked == ["AWSPriceListService.GetProducts"]


@pytest.mark.usefixtures("no_account")
def test_a_second_book_of_a_day_has_a_name_of_its_own(refresh, shelf):
    day = datetime.now(UTC).date().isoformat()
    for _ in range(3):
        told(refresh("--source", "offer-file"))
    assert list(shelf.folders())[-3:] in (
        [day, f"{day}.2", f"{day}.3"],
        [f"{day}.2", f"{day}.3", f"{day}.4"],  # on the day of the bundled book
    )


@pytest.mark.usefixtures("no_account")
def test_a_name_is_given_once(refresh, shelf):
    told(refresh("--book", "before-the-sale", "--source", "offer-file"))
    assert "before-the-sale" in shelf.folders()
    again = refresh("--book", "before-the-sale")
    assert "never changed in place" in str(again.exception)
    assert "make a book's name" in str(refresh("--book", "../elsewhere").exception)


@pytest.mark.usefixtures("no_account")
def test_a_cut_is_quarantined_until_it_is_accepted(refresh, published, shelf):
    for item in published.items:
        if item["product"]["sku"] in ("FIXHOSTG6E2XLAR1", "FIXASYNG6E2XLAR1"):
            (term,) = item["terms"]["OnDemand"].values()
            (only,) = term["priceDimensions"].values()
            only["pricePerUnit"]["USD"] = "1.40"
    published.serve_offers()
    output = told(refresh("--source", "offer-file"))
    assert "1 not used, with reasons in quarantine.csv" in output
    assert "ml.g6e.2xlarge at 1.4 USD moves -50% from 2.8026 USD" in output
    output = told(refresh("--source", "offer-file", "--accept", "g6e.*"))
    assert "0.62 times EC2's" in output, "one price of a pair alone is no cut"
    book = shelf.newest().book
    held = book.offer("ml.g6e.2xlarge", "us-east-1", Platform.SAGEMAKER)
    assert held.usd_per_hour == Decimal("2.8026")


@pytest.mark.usefixtures("no_account")
def test_a_fault_leaves_the_book_in_force_and_what_was_fetched(refresh, published, shelf):
    whole = published.files[OFFER]
    published.files[OFFER] = whole[: len(whole) // 2]
    fault = failed(refresh("--source", "offer-file", "--source", "spot-advisor"))
    assert fault.exit_code == 1
    assert "malformed or cut short" in str(fault)
    assert "price book few-regions stays in force" in fault.hint
    assert not shelf.user_folder.exists()
    del published.files["/spot-advisor-data.json"]
    published.files[OFFER] = whole
    failed(refresh("--source", "offer-file", "--source", "spot-advisor"))
    published.serve_advice()
    published.asked.clear()
    told(refresh("--source", "offer-file", "--source", "spot-advisor"))
    assert published.asked == ["/spot-advisor-data.json"], "the offer file was kept"


@pytest.mark.usefixtures("no_account")
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--region", "us-esat-1"), "did you mean us-east-1"),
        (("--source", "price-list"), "no AWS credentials"),
        (("--source", "spot-history"), "no AWS credentials"),
        (("--offer-url", "http://127.0.0.1:9", "--source", "spot-advisor"), None),
    ],
)
def test_what_cannot_be_asked_for_is_told(refresh, given, says):
    result = refresh(*given)
    if says is None:
        told(result)
    else:
        assert says in str(failed(result))


@pytest.mark.usefixtures("no_account")
def test_rates_of_savings_plans_are_read_alone_and_carried_over(refresh, shelf, few_regions):
    before = load_book(few_regions)
    told(refresh("--source", "savings-plan-file", "--book", "plans"))
    book = shelf.book("plans")
    rates = {(rate.name, rate.plan): rate for rate in book.plan_rates("us-east-1")}
    assert len(rates) == 24
    rate = rates["ml.m5.xlarge", SavingsPlan.ONE_YEAR_NO_UPFRONT]
    assert (str(rate.usd_per_hour), rate.observed_on.isoformat()) == ("0.184", "2026-11-12")
    assert book.offers("us-east-1") == before.offers("us-east-1")
    told(refresh("--source", "offer-file", "--book", "later", start=("--prices", "plans")))
    assert shelf.book("later").plan_rates("us-east-1") == book.plan_rates("us-east-1")
    again = refresh("--source", "savings-plan-file", "--json", start=("--prices", "later"))
    assert '"moved": 0' in told(again)


@pytest.mark.usefixtures("no_account")
def test_rates_are_among_what_is_public(refresh, shelf):
    output = told(refresh())
    assert "us-east-1, savings-plan-file, 4 of 5" in output
    assert len(shelf.newest().book.plan_rates("us-east-1")) == 24


@pytest.mark.usefixtures("no_account")
def test_a_rate_above_on_demand_is_quarantined_and_half_a_file_leaves_the_book_in_force(
    refresh, published, shelf
):
    whole = published.files[PLANS]
    published.files[PLANS] = whole[: len(whole) // 2]
    fault = failed(refresh("--source", "savings-plan-file"))
    assert "price book few-regions stays in force" in fault.hint
    published.files[PLANS] = whole.replace(b'"price": "0.1840"', b'"price": "0.2310"')
    output = told(refresh("--source", "savings-plan-file", "--book", "plans"))
    assert "ml.m5.xlarge 1y-no-upfront at 0.231 USD costs 0.231 USD an hour, 1.00 times" in output
    (row,) = quarantined(shelf.user_folder / "plans")
    assert (row["what"], row["usd"]) == ("ml.m5.xlarge 1y-no-upfront", "0.231")
    assert len(shelf.book("plans").plan_rates("us-east-1")) == 23


@pytest.mark.usefixtures("no_account")
def test_ctrl_c_keeps_what_was_fetched_and_says_so(refresh, published, shelf, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    both = ("--source", "offer-file", "--source", "spot-advisor")
    with monkeypatch.context() as patch:
        patch.setattr(SpotAdvisor, "seen", interrupted)
        stopped = refresh(*both)
    assert stopped.exit_code == 130
    assert "goes on where it was" in stopped.output
    assert not shelf.user_folder.exists()
    published.asked.clear()
    told(refresh(*both))
    assert published.asked == ["/spot-advisor-data.json"]


@pytest.mark.usefixtures("no_account")
def test_a_book_edited_by_hand_into_nonsense_is_passed_over_by_name(refresh, shelf, bundled):
    told(refresh("--source", "offer-file"))
    name = shelf.newest().book.name
    file = shelf.user_folder / name / "offers" / "us-east-1.csv"
    lines = file.read_text().splitlines()
    lines[6] = lines[6].replace(",0.", ",O.")
    file.write_text("\n".join(lines) + "\n")
    output = told(refresh("--source", "offer-file", start=()))
    assert f"{file}, line 7" in output
    assert f"from price book {bundled.name}" in shelf.newest().book.notes[0]


@pytest.mark.usefixtures("no_account", "published")
def test_as_a_user_starts_it(arguments, few_regions, own_home):
    """The answer to stdout, what was done for it to stderr."""
    done = subprocess.run(
        [*RECOMMENDER, "--prices", few_regions, *arguments, "--source", "offer-file"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "RECOMMENDER_HOME": str(own_home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("price book ")
    assert "us-east-1, offer-file, 1 of 1" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("written: ")
