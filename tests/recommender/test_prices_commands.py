"""`recommender prices`: what a person types, and what comes of it."""

import csv
import io
import json
import shutil
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from measured_runs import NOW, SLO, demand

from pricing import UnknownInstanceType, UnknownPriceBook, UnknownRegion, bundled_books
from recommender.cli import price_books
from recommender.cli.app import cli
from recommender.cli.price_books import book_in_use
from recommender.errors import BadRequest
from recommender.recommend import recommend
from recommender.request import QuickRequest, Source
from recommender.store import RunStatus, open_store
from recommender.stored_run import read_run

FEW = ("c7i.large", "ml.c7i.large", "m6i.large")


@pytest.fixture
def prices():
    """Runs it in this process; an error of ours comes out as it is."""

    def run(*arguments):
        result = CliRunner().invoke(cli, ["prices", *arguments], standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result

    return run


@pytest.fixture
def own_book(own_home):
    """A newer book of the user's: the bundled one, edited."""

    def edited(name, *changes):
        folder = own_home / "data/price-books" / name
        shutil.copytree(bundled_books()[-1], folder)
        manifest = folder / "manifest.json"
        manifest.write_text(
            manifest.read_text().replace('"name": "2026-11-21"', f'"name": "{name}"')
        )
        file = folder / "offers/us-east-1.csv"
        text = file.read_text()
        for before, after in changes:
            assert text.count(before) == 1
            text = text.replace(before, after)
        file.write_text(text)
        return folder

    return edited


@pytest.fixture
def stored(own_home, simulated, book, prior):
    """A finished run in the user's store."""
    folder = own_home / "data"
    folder.mkdir(parents=True, exist_ok=True)
    asked = demand(instance_types=FEW)
    request = QuickRequest(
        source=Source(kind="sample"), traffic=asked.traffic, slo=SLO, constraints=asked.constraints
    )
    with open_store(None, default_folder=folder) as store:
        run = simulated.keep_in(store, request)
        found = recommend(read_run(store, run, SLO), asked, book, prior, NOW)
        store.add_recommendation(run.id, found.model_dump(mode="json"))
        return store.finish(run.id, RunStatus.FINISHED)


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_list_is_cheapest_first_and_names_its_book(prices):
    output = prices("list", "--gpu", "L4", "--max-usd-per-hour", "1").stdout
    lines = output.splitlines()
    assert lines[1].startswith("g6f.large")
    assert "price book 2026-11-21, " in lines[-1]
    assert lines[-1].endswith("days old; USD without tax")


def test_every_form_holds_the_same(prices, tmp_path):
    asked = ("--arch", "arm64", "--vcpus", "4-8", "--memory-gib", "16+", "--platform", "ec2")
    rows = table(prices("list", *asked, "--csv", "-").stdout)
    file = tmp_path / "prices.json"
    shown = prices("list", *asked, "--all", "--json", str(file)).stdout
    document = json.loads(file.read_text())
    assert [row["what"] for row in rows] == [row["what"] for row in document["rows"]]
    assert {row["architecture"] for row in rows} == {"arm64"}
    assert all(row["what"] in shown for row in rows)
    assert f"{len(rows)} prices" in shown
    assert (document["price_book"], document["currency"]) == ("2026-11-21", "USD, without tax")
    prices_usd = [float(row["usd"]) for row in rows]
    assert prices_usd == sorted(prices_usd)


def test_purchase_region_and_glob_are_kept_to(prices):
    asked = ("--purchase", "spot", "--region", "eu-west-1", "--region", "us-east-1")
    rows = table(prices("list", "--instance-type", "c7i.*", *asked, "--csv", "-").stdout)
    assert {row["purchase"] for row in rows} == {"spot"}
    assert {row["region"] for row in rows} == {"eu-west-1", "us-east-1"}
    assert all(row["what"].startswith("c7i.") for row in rows)
    assert all(row["saving_ratio"] and row["interruption_band"] for row in rows)


def test_a_type_without_a_price_says_why(prices):
    output = prices("list", "--instance-type", "ml.trn2.48xlarge").stdout
    assert "ml.trn2.48xlarge in us-east-1: no price on SageMaker: no hosting price seen" in output


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("list", "--gpu", "H1000"), BadRequest, "no machine in price book"),
        (("list", "--region", "us-eats-1"), UnknownRegion, "us-east-1"),
        (("list", "--instance-type", "ml.zz*"), UnknownInstanceType, "fits 'ml.zz\\*'"),
        (("list", "--csv", "-", "--json", "-"), BadRequest, "both ask for stdout"),
        (("show", "ml.m5.lagre"), UnknownInstanceType, r"ml\.m5\.large"),
        (("show", "ml.t3.medium"), UnknownInstanceType, "exists on EC2 only"),
        (("list", "--prices", "2025-01-01"), UnknownPriceBook, "2026-11-21"),
        (("diff", "nowhere"), UnknownPriceBook, "neither a known price book nor a folder"),
        (("history", "zz.large"), UnknownInstanceType, "zz.large"),
        (("history", "m5.large", "--region", "mars-1"), UnknownRegion, "mars-1"),
    ],
)
def test_a_question_that_cannot_be_asked_says_what_can(prices, arguments, error, said):
    with pytest.raises(error, match=said):
        prices(*arguments)


def test_a_span_is_a_number_a_range_or_open(prices):
    for span, vcpus in (("4", {"4"}), ("2-4", {"2", "4"}), ("192+", {"192", "448"})):
        rows = table(prices("list", "--vcpus", span, "--platform", "ec2", "--csv", "-").stdout)
        assert {row["vcpus"] for row in rows} - {"3"} <= vcpus | {"224", "256"}
        assert rows
    with pytest.raises(Exception, match="none of 4, 4-8 and"):
        prices("list", "--vcpus", "many")


def test_a_machine_is_shown_with_where_each_fact_comes_from(prices):
    output = " ".join(prices("show", "ml.g6.xlarge", "--region", "us-east-1").stdout.split())
    for fact in (
        "2 threads a core",
        "AMD EPYC 7R13",
        "8 channels of DDR4-3200, 205 GB/s a socket",
        "1 \N{MULTIPLICATION SIGN} NVIDIA L4 (gpu)",
        "FP32 30.3, FP16 121, BF16 121, INT8 242, FP8 242",
        "NVIDIA's datasheet of the product",
        "moto 5.2.1",
        "ml.g6.xlarge: real-time; asynchronous",
        "us-east-1 sagemaker on-demand 1.1267 2026-09-01 reported high",
        "us-east-1 ec2 spot 0.410448 49% >20% 2025-06-28 derived low",
    ):
        assert fact in output


def test_a_file_of_a_machine_holds_its_facts_and_every_price(prices, book):
    document = json.loads(prices("show", "m5.large", "--json", "-").stdout)
    assert {each["fact"] for each in document["machine"]} >= {"vCPU", "CPU generation", "network"}
    assert all(each["source"] for each in document["machine"])
    regions = {row["region"] for row in document["rows"]}
    assert regions <= set(book.regions)
    assert len(regions) == 29
    assert {row["what"] for row in document["rows"]} == {"m5.large", "ml.m5.large"}


def test_an_export_is_the_whole_book_with_where_each_price_comes_from(prices, book):
    rows = table(prices("export").stdout)
    offers = sum(len(book.offers(region)) for region in book.regions)
    others = len(book.serverless_offers) + len(book.unit_prices) + len(book.accelerator_offers)
    assert len(rows) == offers + others
    for column in ("usd", "unit", "region", "observed_on", "source", "basis", "confidence"):
        assert all(row[column] for row in rows), column


def test_history_tells_each_book_s_price_and_the_change(prices, own_book):
    own_book(
        "2999-01-01",
        ("c7i.large,ec2,on-demand,0.08925", "c7i.large,ec2,on-demand,0.0900"),
    )
    rows = table(prices("history", "c7i.large", "--csv", "-").stdout)
    ec2 = [row for row in rows if (row["what"], row["purchase"]) == ("c7i.large", "on-demand")]
    assert [(row["book"], row["usd"], row["change"]) for row in ec2] == [
        ("2026-11-21", "0.08925", ""),
        ("2999-01-01", "0.09", "+0.8%"),
    ]
    assert {row["change"] for row in rows if row["purchase"] == "spot"} == {"", "same"}


def test_history_goes_on_past_a_book_that_cannot_be_read(prices, own_book):
    (own_book("2999-01-01") / "instances.csv").write_text("nonsense\n")
    output = " ".join(prices("history", "m5.large").stdout.split())
    assert "passed over:" in output
    assert "0.115" in output


def test_a_diff_names_the_recommendations_that_would_change(prices, own_book, stored):
    spot = "c7i.large,ec2,spot,0.030345"
    own_book("2999-01-01", (spot, "c7i.large,ec2,spot,0.0800"))
    output = " ".join(prices("diff", "2026-11-21").stdout.split())
    one = "1 \N{MULTIPLICATION SIGN}"
    assert "2026-11-21 to 2999-01-01: 1 prices moved" in output
    assert "+163.6%" in output
    assert "1 of 1 stored recommendations would change" in output
    assert f"{stored.id} simulated: {one} c7i.large (EC2 spot, us-east-1)" in output
    assert f"becomes {one} m6i.large (EC2 spot, us-east-1)" in output


def test_a_diff_that_changes_no_choice_says_so_and_can_be_read_by_a_program(
    prices, own_book, stored
):
    own_book("2999-01-01", ("m7i.large,ec2,on-demand,0.1008", "m7i.large,ec2,on-demand,0.1010"))
    document = json.loads(prices("diff", "2026-11-21", "--json", "-").stdout)
    (moved,) = document["rows"]
    assert (moved["state"], moved["before_usd"], moved["after_usd"]) == (
        "moved",
        "0.1008",
        "0.101",
    )
    (told,) = document["recommendations"]
    assert (told["run"], told["changes"]) == (stored.id, False)
    assert told["before"] == told["after"]


def test_a_run_that_cannot_be_ranked_again_does_not_stop_the_diff(prices, own_book, stored):
    folder = own_book("2999-01-01")
    (folder / "offers/us-east-1.csv").unlink()
    output = " ".join(prices("diff", "2026-11-21", str(folder)).stdout.split())
    assert f"{stored.id} simulated: cannot be ranked again" in output


def test_the_newest_book_is_in_use_unless_it_is_broken(own_book, capsys):
    own_book("2999-01-01")
    assert book_in_use().name == "2999-01-01"
    assert capsys.readouterr().err == ""
    own_book("2999-01-02", ("c7i.large,ec2,on-demand,0.08925", "c7i.large,ec2,on-demand,0.8"))
    assert book_in_use().name == "2999-01-01"
    said = capsys.readouterr().err
    assert "a newer price book is passed over: price book 2999-01-02, us-east-1" in said


def test_an_old_book_says_so_wherever_it_is_used(capsys, prices, monkeypatch):
    later = datetime(2027, 3, 1, tzinfo=UTC)
    monkeypatch.setattr(price_books, "utc_now", lambda: later)
    assert book_in_use("2026-11-21").name == "2026-11-21"
    assert "price book 2026-11-21 is 100 days old" in capsys.readouterr().err
    assert "prices refresh" in prices("list", "--top", "1").stderr
