"""Books asked again and again: which are trusted, what they hold, what it cost before."""

import shutil
from decimal import Decimal

import pytest

from pricing import (
    HOURS_PER_MONTH,
    Library,
    LineFilter,
    Shelf,
    UnknownPriceBook,
    UnknownRegion,
    bundled_books,
    machine_facts,
    price_history,
    price_lines,
)
from pricing.errors import BadPriceBook
from pricing.quarantine import QUARANTINE_FILE, Quarantined, read_quarantine, write_quarantine

BUNDLED = bundled_books()[-1]
BEFORE, DEARER = "c7i.large,ec2,on-demand,0.08925", "c7i.large,ec2,on-demand,0.09"


@pytest.fixture
def with_book(tmp_path):
    """A shelf with one more: the bundled one, edited."""

    def edited(name, file="offers/us-east-1.csv", before=BEFORE, after=DEARER):
        folder = tmp_path / name
        shutil.copytree(BUNDLED, folder)
        for each, was, now in (
            ("manifest.json", f'"name": "{BUNDLED.name}"', f'"name": "{name}"'),
            (file, before, after),
        ):
            text = (folder / each).read_text()
            assert text.count(was) == 1
            (folder / each).write_text(text.replace(was, now))
        return Shelf(tmp_path)

    return edited


def test_the_newest_trusted_book_is_in_force_and_says_whose_it_is(with_book):
    library = Library(with_book("2999-01-01"))
    assert [(each.name, each.is_bundled, each.is_in_force) for each in library.shelved()] == [
        (BUNDLED.name, True, False),
        ("2999-01-01", False, True),
    ]


def test_a_book_that_cannot_be_trusted_is_named_and_never_read(with_book):
    library = Library(with_book("2999-01-01", after="c7i.large,ec2,on-demand,0"))
    untrusted = library.shelved()[-1]
    assert "c7i.large" in untrusted.fault or "usd_per_hour" in untrusted.fault
    assert library.names() == (BUNDLED.name,)
    with pytest.raises(UnknownPriceBook, match="2999-01-01"):
        library.book("2999-01-01")
    books, faults = library.readable()
    assert [book.name for book in books] == [BUNDLED.name]
    assert faults == (untrusted.fault,)


def test_a_book_that_comes_later_is_seen(tmp_path, with_book):
    library = Library(Shelf(tmp_path))
    assert library.names()[-1] == BUNDLED.name
    with_book("2999-01-01")
    assert library.names()[-1] == "2999-01-01"


def test_a_book_is_asked_for_by_name_alone(tmp_path):
    library = Library(Shelf(tmp_path))
    with pytest.raises(UnknownPriceBook):
        library.book(str(BUNDLED))
    with pytest.raises(UnknownRegion, match="moon-1"):
        library.lines(BUNDLED.name, "moon-1")


def test_a_history_tells_each_book_s_price_and_how_it_moved(with_book):
    books, _ = Library(with_book("2999-01-01")).readable()
    entries = list(price_history(books, ("us-east-1", "moon-1"), LineFilter(names=("c7i.large",))))
    listed = [each for each in entries if each.line.bought_as == "EC2"]
    assert [each.book for each in listed] == [BUNDLED.name, "2999-01-01"]
    assert [each.change_ratio for each in listed] == [
        None,
        Decimal("0.09") / Decimal("0.08925") - 1,
    ]
    spot = [each for each in entries if each.line.bought_as == "EC2 spot"]
    assert [each.change_ratio for each in spot] == [None, 0]


def test_what_was_quarantined_is_read_as_it_was_written(tmp_path):
    row = Quarantined(
        region="us-east-1", what="m5.large", usd="0.2", usd_in_force="0.096",
        observed_on="2026-11-23", source="price list", reason="moves, by +108%",
    )  # fmt: skip
    assert read_quarantine(tmp_path) == ()
    write_quarantine([row], tmp_path)
    assert read_quarantine(tmp_path) == (row,)


def test_a_quarantine_of_another_shape_is_refused(tmp_path):
    (tmp_path / QUARANTINE_FILE).write_text("what,price\nm5.large,0.2\n")
    with pytest.raises(BadPriceBook, match=QUARANTINE_FILE):
        read_quarantine(tmp_path)


def test_what_a_price_comes_to_is_the_price_again(bundled):
    for line in price_lines(bundled, "us-east-1"):
        if line.instance is None:
            assert line.usd_per_vcpu_hour is line.usd_per_gib_hour is None
        else:
            vcpus, gib = line.instance.vcpus, Decimal(line.instance.memory_gib)
            assert line.usd_per_vcpu_hour * vcpus == pytest.approx(line.usd)
            assert line.usd_per_gib_hour * gib == pytest.approx(line.usd)
        if line.unit == "hour":
            assert line.usd_per_month == line.usd * HOURS_PER_MONTH
        else:
            assert line.usd_per_month is None


def test_machines_with_and_without_an_accelerator_are_all_machines(bundled):
    machines = [line for line in price_lines(bundled, "us-east-1") if line.instance is not None]
    with_one = [line for line in machines if LineFilter(accelerator="any").fits(line)]
    without = [line for line in machines if LineFilter(accelerator="none").fits(line)]
    assert with_one
    assert without
    assert len(with_one) + len(without) == len(machines)


def test_a_family_is_its_own_sizes_on_every_platform(bundled):
    wanted = LineFilter(families=("c7g",))
    found = [line for line in price_lines(bundled, "us-east-1") if wanted.fits(line)]
    assert {line.instance.family for line in found} == {"c7g"}
    assert {line.bought_as for line in found} == {"EC2", "EC2 spot", "SageMaker"}


def test_every_fact_of_every_machine_has_a_source(bundled):
    for machine in bundled.instances:
        facts = machine_facts(machine)
        assert {"vCPU", "memory", "architecture", "on SageMaker"} <= {each.name for each in facts}
        assert all(each.value and each.source for each in facts)
