"""What a refresh believes, what follows from it, and that a book is whole or not there at all."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pricing.refresh
from pricing import (
    BadPriceBook,
    Confidence,
    NoPrice,
    OffersByRegion,
    Platform,
    PriceBasis,
    Purchase,
    ServerlessComponent,
    Shelf,
    UnitItem,
    UnknownRegion,
)
from pricing.errors import SourceUnavailable
from pricing.merging import in_force
from pricing.parts import KeptParts
from pricing.plausible import require_plausible
from pricing.quarantine import QUARANTINE_FILE
from pricing.refresh import Wanted, fetch, publish, refreshed_book
from pricing.sources import (
    Hourly,
    Refused,
    Seen,
    SeenPrice,
    ServerlessMemory,
    SpotAdvice,
)

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
REGION = "us-east-1"
HOSTING = Hourly("m5.large", Platform.SAGEMAKER)
ON_DEMAND = Hourly("m5.large", Platform.EC2)
SPOT = Hourly("m5.large", Platform.EC2, Purchase.SPOT)
SECOND = ServerlessMemory(1024, ServerlessComponent.ON_DEMAND)


@dataclass
class Told:
    """A source that was told what to see, or how to fail, by region."""

    by_region: dict
    name: str = "told"
    identity: str = "a test"
    asked: list = field(default_factory=list)

    def seen(self, region, report):
        self.asked.append(region)
        report("looking")
        answer = self.by_region.get(region, Seen())
        if isinstance(answer, Exception):
            raise answer
        return answer


def price(what, usd, region=REGION, observed_on=TODAY, **changes):
    return SeenPrice(
        **{
            "what": what,
            "usd": Decimal(usd),
            "region": region,
            "observed_on": observed_on,
            "source": "a test",
            "basis": PriceBasis.REPORTED,
            "confidence": Confidence.HIGH,
            **changes,
        }
    )


def wanted(*sources, regions=(REGION,), accepted=(), is_hosting=lambda _: False):
    return Wanted(
        name="2026-11-22",
        on=TODAY,
        sources=sources,
        regions=regions,
        is_hosting=is_hosting,
        accepted=accepted,
    )


def refreshed(book, *prices, accepted=(), is_hosting=lambda _: False, **seen):
    found = Seen(prices=prices, **seen)
    asked = wanted(Told({}), accepted=accepted, is_hosting=is_hosting)
    return refreshed_book(asked, book, {REGION: found})


def row(book, what, region=REGION):
    return next(
        (
            offer
            for offer in book.offers(region, what.platform, what.purchase)
            if offer.instance.name == what.instance
        ),
        None,
    )


def reasons(done):
    return {row.what: row.reason for row in done.quarantined}


def with_offers(book, *offers):
    """The book with these rows in place of those of the same machine and terms."""
    rows = {
        (o.region, o.instance.name, o.platform, o.purchase): o
        for r in book.regions
        for o in book.offers(r)
    }
    rows |= {(o.region, o.instance.name, o.platform, o.purchase): o for o in offers}
    return replace(book, offers_by_region=OffersByRegion.of(rows.values()))


@pytest.fixture
def follows(small_book, make_offer):
    """Hosting by the ratio rule and spot by Spot Advisor's saving."""
    machine = small_book.instance("m5.large")
    derived = {"basis": PriceBasis.DERIVED, "confidence": Confidence.LOW}
    return with_offers(
        small_book,
        make_offer(
            machine, "0.1152", Platform.SAGEMAKER,
            source="EC2 on-demand x 1.2 (hosting rule)", **derived,
        ),
        make_offer(
            machine, "0.0384", purchase=Purchase.SPOT, interruption_band="5-10%",
            source="Spot Advisor saving of 2025-06-28 x on-demand", **derived,
        ),
    )  # fmt: skip


def test_a_price_that_is_believed_stands_with_its_day_and_source(small_book):
    done = refreshed(small_book, price(HOSTING, "0.12"))
    new = row(done.book, HOSTING)
    assert (new.usd_per_hour, new.observed_on, new.source) == (Decimal("0.12"), TODAY, "a test")
    assert done.book.published_on == TODAY


def test_a_row_that_was_not_refreshed_keeps_its_day(small_book):
    done = refreshed(small_book, price(HOSTING, "0.12"))
    for what in (ON_DEMAND, SPOT, Hourly("m5.8xlarge", Platform.EC2)):
        assert row(done.book, what) == row(small_book, what)
    assert done.book.offers("eu-west-1") == small_book.offers("eu-west-1")


def test_a_move_over_30_percent_is_quarantined_and_the_old_row_stays(small_book):
    done = refreshed(small_book, price(ON_DEMAND, "0.0960"), price(HOSTING, "0.15"))
    assert row(done.book, HOSTING) == row(small_book, HOSTING)
    assert "+30%" in reasons(done)["ml.m5.large"]
    assert "2026-09-01" in reasons(done)["ml.m5.large"]
    (told,) = done.quarantined
    assert (told.usd, told.usd_in_force) == ("0.15", "0.115")


@pytest.mark.parametrize("name", ["m5.*", "ml.m5.large"])
def test_a_real_cut_of_both_prices_is_taken_once_it_is_accepted(small_book, name):
    """As P4's and P5's of June 2025."""
    cut = (price(HOSTING, "0.0575"), price(ON_DEMAND, "0.048"))
    with pytest.raises(NoPrice, match="replace") as caught:
        refreshed(small_book, *cut)
    assert "-50%" in caught.value.hint
    book = refreshed(small_book, *cut, accepted=("m5.*", name)).book
    assert (row(book, HOSTING).usd_per_hour, row(book, ON_DEMAND).usd_per_hour) == (
        *(Decimal("0.0575"), Decimal("0.048")),
    )


@given(cents=st.integers(1, 40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hosting_is_believed_within_both_bounds_only(small_book, cents):
    usd = Decimal(cents) / 100
    done = refreshed(small_book, price(HOSTING, usd), price(UnitItem.DATA_IN, "0.016"))
    is_right = abs(usd / Decimal("0.115") - 1) <= Decimal("0.3") and (
        Decimal("1.10") <= usd / Decimal("0.096") <= Decimal("1.45")
    )
    assert (row(done.book, HOSTING).usd_per_hour == usd) is (is_right or usd == Decimal("0.115"))
    assert ("ml.m5.large" in reasons(done)) is not is_right


def test_an_ec2_price_taken_for_hosting_is_not_believed(small_book):
    """The commonest of invented prices."""
    done = refreshed(small_book, price(HOSTING, "0.096"), price(UnitItem.DATA_IN, "0.016"))
    assert "1.00 times" in reasons(done)["ml.m5.large"]


def test_of_two_new_prices_that_contradict_each_other_neither_is_believed(small_book):
    done = refreshed(
        small_book,
        price(HOSTING, "0.09"),
        price(ON_DEMAND, "0.096"),
        price(UnitItem.DATA_IN, "0.016"),
    )
    assert set(reasons(done)) == {"ml.m5.large", "m5.large on-demand"}
    for what in (HOSTING, ON_DEMAND):
        assert row(done.book, what) == row(small_book, what)


def test_a_new_ec2_price_is_held_to_the_hosting_price_in_force(small_book):
    done = refreshed(small_book, price(ON_DEMAND, "0.11"), price(UnitItem.DATA_IN, "0.016"))
    assert "1.05 times" in reasons(done)["m5.large on-demand"]


def test_an_older_price_replaces_no_newer_one(small_book):
    early = date(2026, 8, 1)
    done = refreshed(
        small_book,
        price(HOSTING, "0.116", observed_on=early),
        price(UnitItem.DATA_IN, "0.016"),
    )
    assert row(done.book, HOSTING) == row(small_book, HOSTING)
    assert (done.counts[0].older, done.quarantined) == (1, ())


def test_a_refresh_of_older_prices_alone_says_so(small_book):
    with pytest.raises(NoPrice) as caught:
        refreshed(small_book, price(HOSTING, "0.116", observed_on=date(2026, 8, 1)))
    assert "earlier day" in caught.value.hint


@pytest.mark.parametrize(
    ("usd", "is_taken"), [("0.0047", 0), ("0.005", 1), ("0.09", 1), ("0.096", 0)]
)
def test_spot_moves_between_a_twentieth_of_on_demand_and_on_demand(small_book, usd, is_taken):
    done = refreshed(small_book, price(SPOT, usd), price(UnitItem.DATA_IN, "0.016"))
    assert (row(done.book, SPOT).usd_per_hour == Decimal(usd)) is bool(is_taken)
    assert ("m5.large spot" in reasons(done)) is not bool(is_taken)


def test_a_quote_keeps_the_band_and_says_of_which_day_it_is(small_book):
    quoted = row(refreshed(small_book, price(SPOT, "0.05")).book, SPOT)
    assert (quoted.interruption_band, quoted.note) == ("5-10%", "interruption band of 2026-09-01")


def test_serverless_and_quantities_are_refreshed_too(small_book):
    done = refreshed(
        small_book,
        price(SECOND, "0.000021"),
        price(ServerlessMemory(2048, SECOND.component), "0.0001"),
        price(UnitItem.DATA_IN, "0.017"),
        price(UnitItem.DATA_OUT, "0.018"),
    )
    book = done.book
    assert [o.usd_per_second for o in book.serverless(REGION)] == [
        *(Decimal("0.000021"), Decimal("0.00004")),
    ]
    assert book.unit_price(UnitItem.DATA_IN, REGION).usd == Decimal("0.017")
    assert book.unit_price(UnitItem.DATA_OUT, REGION).observed_on == TODAY
    assert set(reasons(done)) == {"serverless 2048 MiB on-demand"}


def test_hosting_by_the_ratio_rule_follows_ec2(follows):
    done = refreshed(follows, price(ON_DEMAND, "0.1"))
    hosting = row(done.book, HOSTING)
    assert (hosting.usd_per_hour, hosting.observed_on) == (Decimal("0.12"), TODAY)
    assert hosting.basis is PriceBasis.DERIVED
    assert hosting.source == "EC2 on-demand x 1.2 (hosting rule)"
    assert done.counts[0].followed == 2


def test_a_spot_estimate_follows_ec2_and_stays_as_old_as_its_saving(follows):
    spot = row(refreshed(follows, price(ON_DEMAND, "0.1")).book, SPOT)
    assert (spot.usd_per_hour, spot.observed_on) == (Decimal("0.04"), date(2026, 9, 1))


def test_a_reported_hosting_price_ends_the_derived_one(follows):
    hosting = row(refreshed(follows, price(HOSTING, "0.115")).book, HOSTING)
    assert hosting.basis is PriceBasis.REPORTED


def advice(saving="0.7", band="<5%"):
    return SpotAdvice(
        region=REGION, instance="m5.large", saving_ratio=Decimal(saving),
        interruption_band=band, observed_on=date(2026, 11, 20),
    )  # fmt: skip


def test_advice_gives_an_estimate_where_nothing_was_quoted(follows):
    spot = row(refreshed(follows, price(ON_DEMAND, "0.1"), advice=(advice(),)).book, SPOT)
    assert (spot.usd_per_hour, spot.interruption_band) == (Decimal("0.03"), "<5%")
    assert (spot.basis, spot.observed_on) == (PriceBasis.DERIVED, date(2026, 11, 20))


def test_an_estimate_is_as_old_as_the_older_of_what_it_rests_on(follows):
    spot = row(refreshed(follows, advice=(advice(),)).book, SPOT)
    assert (spot.usd_per_hour, spot.observed_on) == (Decimal("0.0288"), date(2026, 9, 1))


def test_an_ec2_price_is_held_to_hosting_by_the_rule_where_none_stood_before(follows, make_offer):
    """With nothing in force to follow from, the derived row stays as it is."""
    bigger = make_offer(
        follows.instance("m5.xlarge"), "0.23", Platform.SAGEMAKER, basis=PriceBasis.DERIVED,
        confidence=Confidence.LOW, source="EC2 on-demand x 1.2 (hosting rule)",
    )  # fmt: skip
    ec2 = Hourly("m5.xlarge", Platform.EC2)
    done = refreshed(
        with_offers(follows, bigger), price(ec2, "0.3"), price(UnitItem.DATA_IN, "0.016")
    )
    assert "0.77 times" in reasons(done)["m5.xlarge on-demand"]
    assert row(done.book, ec2) is None


def test_a_quote_outlives_advice_and_takes_its_band(small_book):
    done = refreshed(small_book, advice=(advice(),))
    spot = row(done.book, SPOT)
    assert spot.usd_per_hour == row(small_book, SPOT).usd_per_hour
    assert (spot.interruption_band, spot.note) == ("<5%", "interruption band of 2026-11-20")
    assert done.counts[0].advised == 1


def test_an_old_quote_that_on_demand_has_come_down_to_is_left_out(small_book, make_offer):
    machine = small_book.instance("m5.large")
    dear = make_offer(machine, "0.09", purchase=Purchase.SPOT)
    done = refreshed(with_offers(small_book, dear), price(ON_DEMAND, "0.085"))
    assert row(done.book, SPOT) is None
    assert "come down" in reasons(done)["m5.large spot"]


NEW = Hourly("m9.large", Platform.SAGEMAKER)


def test_a_hosting_type_newer_than_the_book_joins_when_its_machine_is_known(
    small_book, make_machine
):
    machine = make_machine("m9.large", 2, 8.0, hosted=False)
    asked = (price(NEW, "0.12"), price(Hourly("m9.large", Platform.EC2), "0.1"))
    done = refreshed(small_book, *asked, machines=(machine,), is_hosting="ml.m9.large".__eq__)
    assert done.book.instance("ml.m9.large").vcpus == 2
    assert row(done.book, NEW).usd_per_hour == Decimal("0.12")


@pytest.mark.parametrize(
    ("is_described", "says"), [(False, "credentials"), (True, "API names no")]
)
def test_a_hosting_type_that_nobody_knows_is_told(small_book, make_machine, is_described, says):
    machine = make_machine("m9.large", 2, 8.0, hosted=False)
    done = refreshed(
        small_book,
        price(NEW, "0.12"),
        price(HOSTING, "0.115"),
        machines=(machine,) if is_described else (),
        is_hosting=lambda _: not is_described,
    )
    assert says in reasons(done)["ml.m9.large"]
    assert all(machine.name != "m9.large" for machine in done.book.instances)


def test_ec2_machines_of_other_families_are_counted_and_left_out(small_book, make_machine):
    described = (
        make_machine("m5.2xlarge", 8, 32.0, hosted=False),
        make_machine("x1.large", 2, 8.0, hosted=False),
    )
    asked = [price(Hourly(name, Platform.EC2), "0.4") for name in ("m5.2xlarge", "x1.large")]
    done = refreshed(small_book, *asked, machines=described)
    assert done.book.instance("m5.2xlarge").vcpus == 8
    assert done.passed_over == 1
    assert done.quarantined == ()


def test_a_type_without_a_price_that_now_has_one_is_no_longer_unpriced(small_book):
    bigger = Hourly("m5.xlarge", Platform.SAGEMAKER)
    done = refreshed(small_book, price(bigger, "0.23"))
    assert small_book.unpriced_rows
    assert done.book.unpriced_rows == ()
    assert row(done.book, bigger).usd_per_hour == Decimal("0.23")


def test_what_a_source_refused_is_told_with_the_rest(small_book):
    refused = Refused(region=REGION, what="ml.m5.large", reason="tiered", source="list", usd="0.1")
    done = refreshed(small_book, price(UnitItem.DATA_IN, "0.016"), refused=(refused,))
    assert reasons(done) == {"ml.m5.large": "tiered"}


def test_a_second_refresh_from_the_same_source_is_named_once(small_book):
    first = refreshed(small_book, price(HOSTING, "0.12")).book
    second = refreshed(first, price(HOSTING, "0.12")).book
    assert second.sources == (
        "Read by told (a test): us-east-1; last on 2026-11-22.",
        "price list",
    )
    assert len(second.notes) == 1


def test_of_two_sources_the_later_day_counts_and_the_other_is_told(small_book):
    early = price(HOSTING, "0.116", observed_on=date(2026, 11, 1), source="an old mirror")
    done = refreshed(small_book, early, price(HOSTING, "0.118"))
    assert row(done.book, HOSTING).usd_per_hour == Decimal("0.118")
    (told,) = done.quarantined
    assert (told.usd, told.source) == ("0.116", "an old mirror")
    assert "0.118 USD on 2026-11-22" in told.reason


def test_the_bundled_books_own_prices_are_all_believed_and_move_nothing(bundled):
    asked = [price(what, each.usd) for what, each in in_force(bundled, REGION).items()]
    done = refreshed(bundled, *asked)
    (counts,) = done.counts
    assert (counts.seen, counts.taken, counts.moved) == (len(asked), len(asked), 0)
    assert done.quarantined == ()


WHATS = (HOSTING, ON_DEMAND, SPOT, Hourly("m5.8xlarge", Platform.EC2), SECOND, UnitItem.DATA_IN)
PRICES = st.dictionaries(
    st.sampled_from(WHATS),
    st.decimals("0.0001", "3", places=4),
    min_size=1,
)


@given(usd=PRICES, accepted=st.sampled_from([(), ("*",)]), days=st.integers(0, 200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_seen_the_new_book_is_plausible_and_every_price_is_accounted_for(
    follows, usd, accepted, days
):
    observed_on = TODAY - timedelta(days=days)
    asked = [price(what, each, observed_on=observed_on) for what, each in usd.items()]
    try:
        done = refreshed(follows, *asked, accepted=accepted)
    except NoPrice:
        return
    require_plausible(done.book)
    (counts,) = done.counts
    told = [row for row in done.quarantined if "come down" not in row.reason]
    assert counts.seen == counts.taken + counts.older + len(told)
    assert done.book.regions == follows.regions


def test_the_book_is_found_by_its_name_and_is_in_force(small_book, tmp_path):
    done = refreshed(small_book, price(HOSTING, "0.12"))
    folder = publish(done, tmp_path / "books")
    found = Shelf(tmp_path / "books").newest()
    assert (folder.name, found.book.name, found.passed_over) == ("2026-11-22", "2026-11-22", ())
    assert found.book.offers(REGION) == done.book.offers(REGION)
    assert [path.name for path in (tmp_path / "books").iterdir()] == ["2026-11-22"]


def test_what_is_quarantined_stands_in_the_books_folder(small_book, tmp_path):
    done = refreshed(small_book, price(HOSTING, "0.09"), price(UnitItem.DATA_IN, "0.016"))
    folder = publish(done, tmp_path)
    header, line = (folder / QUARANTINE_FILE).read_text().splitlines()
    assert header == "region,what,usd,usd_in_force,observed_on,source,reason"
    assert line.startswith("us-east-1,ml.m5.large,0.09,0.115,2026-11-22,a test,")


@pytest.mark.parametrize("step", ["save_book", "write_quarantine", "require_plausible"])
def test_a_book_that_cannot_be_finished_is_not_there_at_all(
    small_book, tmp_path, monkeypatch, step
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pricing.refresh, step, full)
    with pytest.raises(BadPriceBook, match="No space left on device"):
        publish(refreshed(small_book, price(HOSTING, "0.12")), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def parts(tmp_path):
    return KeptParts(tmp_path / "parts", NOW)


def quiet(_):
    pass


def test_a_refresh_that_stopped_goes_on_where_it_was(small_book, parts):
    seen = Seen(prices=(price(HOSTING, "0.12"),))
    source = Told({REGION: seen, "eu-west-1": SourceUnavailable("gone")})
    asked = wanted(source, regions=(REGION, "eu-west-1"))
    with pytest.raises(SourceUnavailable):
        fetch(asked, small_book, parts, quiet)
    source.by_region["eu-west-1"] = Seen()
    said = []
    assert fetch(asked, small_book, parts, said.append) == {REGION: seen, "eu-west-1": Seen()}
    assert source.asked == [REGION, "eu-west-1", "eu-west-1"]
    assert said[0] == "us-east-1, told, 1 of 2, kept from before"
    assert said[-1] == "eu-west-1, told, 2 of 2 (looking)"


def test_what_was_kept_is_fetched_again_after_the_book_is_whole(small_book, parts):
    source = Told({REGION: Seen(prices=(price(HOSTING, "0.12"),))})
    fetch(wanted(source), small_book, parts, quiet)
    parts.forget((source,), (REGION,))
    fetch(wanted(source), small_book, parts, quiet)
    assert source.asked == [REGION, REGION]


def test_a_part_is_kept_as_it_was_seen(parts, make_machine):
    seen = Seen(
        prices=tuple(price(what, "0.10") for what in WHATS),
        advice=(advice(),),
        machines=(make_machine("m9.large", 2, 8.0),),
        refused=(Refused(region=REGION, what="a", reason="b", source="c"),),
    )
    source = Told({})
    parts.keep(source, REGION, seen)
    assert parts.found(source, REGION) == seen


def test_a_part_from_elsewhere_of_yesterday_or_broken_is_not_taken(parts):
    source = Told({})
    parts.keep(source, REGION, Seen())
    assert parts.found(replace(source, identity="a mirror"), REGION) is None
    assert parts.found(source, "eu-west-1") is None
    later = replace(parts, now=NOW + timedelta(days=1))
    assert later.found(source, REGION) is None
    (file,) = parts.folder.rglob("*.json")
    file.write_text(file.read_text()[:40])
    assert parts.found(source, REGION) is None


def test_a_region_that_no_book_and_no_source_knows_is_a_slip(small_book, parts):
    with pytest.raises(UnknownRegion, match="us-east-1"):
        fetch(wanted(Told({}), regions=("us-esat-1",)), small_book, parts, quiet)


def test_a_region_that_is_new_since_the_release_joins(small_book, parts):
    region = "xx-new-1"
    source = Told({region: Seen(prices=(price(ON_DEMAND, "0.1", region),))})
    asked = wanted(source, regions=(region,))
    done = refreshed_book(asked, small_book, fetch(asked, small_book, parts, quiet))
    assert row(done.book, ON_DEMAND, region).usd_per_hour == Decimal("0.1")
    assert set(done.book.regions) == {*small_book.regions, region}
