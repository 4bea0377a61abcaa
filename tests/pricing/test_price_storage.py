"""The files of a price book: what is written is what is read, and nonsense is refused."""

import json
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pricing
from pricing import (
    INTERRUPTION_BANDS,
    SCHEMA_VERSION,
    SILICON,
    Accelerator,
    AcceleratorKind,
    AcceleratorOffer,
    AcceleratorStatus,
    Architecture,
    BadPriceBook,
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
    UnknownPriceBook,
    Unpriced,
    bundled_books,
    load_book,
    save_book,
)

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12
)
LINES = st.lists(WORDS, min_size=1, max_size=2).map(" ".join)
REGIONS = st.sampled_from(["us-east-1", "eu-west-3", "ap-south-2"])
MONEY = st.decimals(min_value="0.00000001", max_value=1000, places=8, allow_nan=False)
AMOUNTS = st.floats(min_value=0.001, max_value=1e6, allow_nan=False)
PROVENANCE = {
    "region": REGIONS,
    "observed_on": st.dates(),
    "source": LINES,
    "basis": st.sampled_from(PriceBasis),
    "confidence": st.sampled_from(Confidence),
    "note": st.none() | LINES,
}
CPUS = st.builds(
    Cpu,
    architecture=st.sampled_from(Architecture),
    vendor=LINES,
    model=st.none() | LINES,
    clock_ghz=st.none() | AMOUNTS,
    silicon=st.none() | st.sampled_from(sorted(SILICON)),
    silicon_note=st.none() | LINES,
)
ACCELERATORS = st.builds(
    Accelerator,
    kind=st.sampled_from(AcceleratorKind),
    model=LINES,
    count=st.sampled_from([0.125, 0.25, 0.5, 1.0, 8.0, 16.0]),
    memory_gib=AMOUNTS,
)


@st.composite
def machines(draw, name):
    hosted = draw(st.booleans())
    burstable = draw(st.booleans())
    vcpus = draw(st.integers(1, 256))
    return InstanceType(
        name=name,
        hosting_name=f"ml.{name}" if hosted else None,
        batch_transform=hosted and draw(st.booleans()),
        vcpus=vcpus,
        physical_cores=draw(st.none() | st.integers(1, vcpus)),
        memory_gib=draw(AMOUNTS),
        cpu=draw(CPUS),
        accelerators=draw(st.just(()) | st.tuples(ACCELERATORS)),
        network_gbps=draw(st.none() | AMOUNTS),
        burstable=burstable,
        baseline_ratio=draw(st.floats(0.01, 0.99)) if burstable else None,
        current_generation=draw(st.booleans()),
        spot_supported=draw(st.none() | st.booleans()),
        source=draw(LINES),
    )


@st.composite
def offers(draw, instances):
    purchase = draw(st.sampled_from(Purchase))
    machine = draw(st.sampled_from(instances))
    hosted = machine.hosting_name is not None and purchase is Purchase.ON_DEMAND
    bands = st.none() | st.sampled_from(sorted(INTERRUPTION_BANDS))
    return Offer(
        **draw(st.fixed_dictionaries(PROVENANCE)),
        instance=machine,
        platform=draw(st.sampled_from([Platform.EC2, Platform.SAGEMAKER]))
        if hosted
        else Platform.EC2,
        purchase=purchase,
        usd_per_hour=draw(MONEY),
        interruption_band=draw(bands) if purchase is Purchase.SPOT else None,
    )


def unique(values, key):
    return st.lists(values, max_size=4, unique_by=key).map(tuple)


@st.composite
def accelerator_offers(draw):
    retired_on = draw(st.none() | st.dates())
    return AcceleratorOffer(
        **draw(st.fixed_dictionaries(PROVENANCE)),
        name=draw(LINES),
        platform=draw(st.sampled_from(Platform)),
        fp32_tflops=draw(AMOUNTS),
        fp16_tflops=draw(AMOUNTS),
        memory_gib=draw(AMOUNTS),
        usd_per_hour=draw(MONEY),
        status=AcceleratorStatus.RETIRED if retired_on else AcceleratorStatus.CURRENT,
        retired_on=retired_on,
    )


@st.composite
def plan_rates(draw, instances):
    """None where no machine is SageMaker's."""
    hosted = [machine for machine in instances if machine.hosting_name is not None]
    if not hosted:
        return ()
    rates = st.builds(
        PlanRate,
        **PROVENANCE,
        instance=st.sampled_from(hosted),
        plan=st.sampled_from(SavingsPlan),
        usd_per_hour=MONEY,
    )
    return draw(unique(rates, lambda r: (r.region, r.instance.name, r.plan)))


@st.composite
def books(draw):
    names = draw(
        st.lists(
            st.from_regex(r"[a-z]\d[a-z]?\.(\d\d?x)?large", fullmatch=True),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    instances = tuple(draw(machines(name)) for name in names)
    serverless = st.builds(
        ServerlessOffer,
        **PROVENANCE,
        memory_mib=st.integers(1, 10_000),
        component=st.sampled_from(ServerlessComponent),
        usd_per_second=MONEY,
    )
    units = st.builds(UnitPrice, **PROVENANCE, item=st.sampled_from(UnitItem), usd=MONEY)
    unpriced = st.builds(
        Unpriced,
        instance=st.sampled_from(instances),
        region=REGIONS,
        platform=st.sampled_from(Platform),
        reason=LINES,
    )
    return PriceBook(
        name=draw(LINES),
        published_on=draw(st.dates()),
        sources=draw(st.lists(LINES, max_size=2).map(tuple)),
        notes=draw(st.lists(LINES, max_size=2).map(tuple)),
        instances=instances,
        offers_by_region=OffersByRegion.of(
            draw(
                unique(
                    offers(instances),
                    lambda o: (o.region, o.instance.name, o.platform, o.purchase),
                )
            )
        ),
        plan_rates_by_region=PlanRatesByRegion.of(draw(plan_rates(instances))),
        serverless_offers=draw(
            unique(serverless, lambda s: (s.region, s.memory_mib, s.component))
        ),
        accelerator_offers=draw(
            unique(accelerator_offers(), lambda a: (a.region, a.platform, a.name))
        ),
        unit_prices=draw(unique(units, lambda u: (u.region, u.item))),
        unpriced_rows=draw(unique(unpriced, lambda u: (u.region, u.platform, u.instance.name))),
    )


@given(books())
@settings(max_examples=60, deadline=None)
def test_a_book_written_and_read_is_the_same_book(book):
    with TemporaryDirectory() as folder:
        save_book(book, Path(folder) / "book")
        assert load_book(Path(folder) / "book") == book


def test_the_bundled_book_written_again_is_the_same_to_the_byte(bundled, tmp_path):
    save_book(bundled, tmp_path / "again")
    original = bundled_books()[-1]
    files = sorted(path.relative_to(original) for path in original.rglob("*") if path.is_file())
    again = sorted(p.relative_to(tmp_path / "again") for p in tmp_path.rglob("*") if p.is_file())
    assert again == files
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (original / file).read_bytes(), file


def test_only_the_region_asked_for_is_read(small_book, tmp_path):
    save_book(small_book, tmp_path / "book")
    (tmp_path / "book/offers/eu-west-1.csv").write_text("nonsense\n")
    book = load_book(tmp_path / "book")
    assert book.regions == ("eu-west-1", "us-east-1")
    assert len(book.offers("us-east-1")) == 4
    with pytest.raises(BadPriceBook, match=r"eu-west-1\.csv, line 1: columns are nonsense"):
        book.offers("eu-west-1")


def test_a_book_without_rates_has_no_folder_for_them_and_one_with_them_is_read_lazily(
    small_book, planned_book, tmp_path
):
    save_book(small_book, tmp_path / "small")
    assert not (tmp_path / "small/savings_plans").exists()
    assert load_book(tmp_path / "small").plan_rates("us-east-1") == ()
    save_book(planned_book, tmp_path / "planned")
    (file,) = (tmp_path / "planned/savings_plans").iterdir()
    text = file.read_text()
    file.write_text("nonsense\n")
    book = load_book(tmp_path / "planned")
    assert book.plan_rates("eu-west-1") == ()
    assert book.offers("us-east-1") == small_book.offers("us-east-1")
    with pytest.raises(BadPriceBook, match=r"savings_plans/us-east-1\.csv, line 1: columns"):
        book.plan_rates("us-east-1")
    file.write_text(text)
    assert book.plan_rates("us-east-1") == planned_book.plan_rates("us-east-1")


def test_a_book_is_never_written_over_another(small_book, tmp_path):
    save_book(small_book, tmp_path / "book")
    with pytest.raises(BadPriceBook, match="exists") as caught:
        save_book(small_book, tmp_path / "book")
    assert "new folder" in caught.value.hint


def test_a_book_that_cannot_be_written_whole_leaves_nothing(small_book, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pricing.storage, "offer_to_row", full)
    with pytest.raises(OSError, match="No space"):
        save_book(small_book, tmp_path / "book")
    assert list(tmp_path.iterdir()) == []


def test_the_newest_bundled_book_is_the_default(bundled):
    assert bundled.name == bundled_books()[-1].name
    assert load_book(bundled.name).name == bundled.name


def test_a_book_that_is_not_there_names_those_that_are(bundled):
    with pytest.raises(UnknownPriceBook, match="neither a known price book nor a folder") as err:
        load_book("2026-11-12")
    assert bundled.name in str(err.value.hint)
    assert err.value.exit_code == 2


def test_an_installation_without_books_says_so(monkeypatch):
    monkeypatch.setattr(pricing.shelf, "bundled_books", tuple)
    with pytest.raises(UnknownPriceBook, match="no price book came with"):
        load_book()


def test_a_newer_schema_says_upgrade(small_book, tmp_path):
    save_book(small_book, tmp_path / "book")
    manifest = tmp_path / "book/manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "schema_version": SCHEMA_VERSION + 1, "new": 1}))
    with pytest.raises(BadPriceBook, match=f"schema version {SCHEMA_VERSION + 1}") as caught:
        load_book(tmp_path / "book")
    assert "upgrade" in caught.value.hint
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("manifest.json", '"USD"', '"EUR"', "in EUR"),
        ("manifest.json", "{", "", "is not the manifest"),
        ("manifest.json", '"2026-11-21"', '"soon"', "published_on"),
        ("instances.csv", "m5.large,", "m5.xlarge,", "m5.xlarge is there twice"),
        ("instances.csv", ",2,,8,", ",two,,8,", "instances.csv, line 2"),
        ("instances.csv", ",no,2", ",maybe,2", "line 2: batch_transform is 'maybe'"),
        ("instances.csv", "name,", "nome,", "line 1: columns are nome"),
        ("offers/us-east-1.csv", "0.115", "0", "line 2: usd_per_hour is 0"),
        ("offers/us-east-1.csv", "0.115", "cheap", "line 2: a price is not a number"),
        ("offers/us-east-1.csv", "0.096", "0.096,extra", "line 3: 11 cells"),
        ("offers/us-east-1.csv", "price list", "", "line 2: source is ''"),
        ("offers/us-east-1.csv", "2026-09-01", "", "line 2: "),
        ("offers/us-east-1.csv", "m5.8xlarge", "m6.8xlarge", "not among the book's instance"),
        ("offers/us-east-1.csv", "spot", "on-demand", "us-east-1.csv, line 4: only spot"),
        ("offers/us-east-1.csv", "m5.8xlarge,ec2", "m5.large,ec2", "is there twice"),
        ("unit_prices.csv", ",GB,", ",TB,", "sold by the GB"),
        ("unpriced.csv", "withdrawn in spring", "", "line 2: reason"),
        ("serverless.csv", "2048", "1024", "serverless price us-east-1 1024 on-demand is there"),
    ],
)
def test_a_book_edited_into_nonsense_names_the_file_and_the_line(
    small_book, tmp_path, file, old, new, said
):
    save_book(small_book, tmp_path / "book")
    path = tmp_path / "book" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BadPriceBook) as caught:
        load_book(tmp_path / "book").offers("us-east-1")
    assert said in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1y-no-upfront", "2y-no-upfront", "line 2: '2y-no-upfront' is not a valid SavingsPlan"),
        ("1y-no-upfront", "3y-all-upfront", "m5.large 3y-all-upfront is there twice"),
        ("0.092", "0", "line 2: usd_per_hour is 0"),
        ("m5.large", "m5.8xlarge", "line 2: m5.8xlarge is not a SageMaker hosting type"),
        ("m5.large", "m6.large", "line 2: instance 'm6.large' is not among"),
    ],
)
def test_rates_edited_into_nonsense_name_the_file_and_the_line(
    planned_book, tmp_path, old, new, said
):
    save_book(planned_book, tmp_path / "book")
    path = tmp_path / "book/savings_plans/us-east-1.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BadPriceBook, match=r"savings_plans/us-east-1\.csv") as caught:
        load_book(tmp_path / "book").plan_rates("us-east-1")
    assert said in str(caught.value)


@pytest.mark.parametrize("file", ["instances.csv", "serverless.csv", "unpriced.csv"])
def test_a_missing_or_unreadable_file_is_named(small_book, tmp_path, file):
    save_book(small_book, tmp_path / "book")
    (tmp_path / "book" / file).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadPriceBook, match=f"{file} cannot be read"):
        load_book(tmp_path / "book")
    (tmp_path / "book" / file).unlink()
    with pytest.raises(BadPriceBook, match=f"{file} cannot be read"):
        load_book(tmp_path / "book")


def test_an_empty_region_file_is_not_a_region_without_machines(small_book, tmp_path):
    save_book(small_book, tmp_path / "book")
    path = tmp_path / "book/offers/us-east-1.csv"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    with pytest.raises(BadPriceBook, match="no offer in us-east-1"):
        load_book(tmp_path / "book").offers("us-east-1")


def test_money_is_written_in_full_however_small(small_book, tmp_path):
    price = UnitPrice(
        region="us-east-1",
        item=UnitItem.DATA_OUT,
        usd=Decimal("1E-9"),
        observed_on=date(2026, 1, 1),
        source="price list",
        basis=PriceBasis.REPORTED,
        confidence=Confidence.LOW,
    )
    book = PriceBook(
        name="tiny",
        published_on=date(2026, 11, 21),
        sources=(),
        notes=(),
        instances=small_book.instances,
        offers_by_region=small_book.offers_by_region,
        unit_prices=(price,),
    )
    save_book(book, tmp_path / "book")
    assert ",0.000000001," in (tmp_path / "book/unit_prices.csv").read_text()


def test_a_half_written_book_of_an_earlier_crash_is_in_nobody_s_way(small_book, tmp_path):
    (tmp_path / ".book.partial/offers").mkdir(parents=True)
    save_book(small_book, tmp_path / "book")
    assert load_book(tmp_path / "book") == small_book
    shutil.rmtree(tmp_path / "book")
    assert list(tmp_path.iterdir()) == []
