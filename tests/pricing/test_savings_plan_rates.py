"""Rates of savings plans in a book: what a refresh believes and carries over, how they list."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pricing import (
    BadPriceBook,
    Confidence,
    LineFilter,
    NoPrice,
    OffersByRegion,
    PlanRatesByRegion,
    Platform,
    PriceBasis,
    Purchase,
    SavingsPlan,
    Shelf,
    compare_books,
    implausible,
    line_row,
    lines_of,
    price_history,
    price_lines,
    under_savings_plans,
)
from pricing.parts import KeptParts
from pricing.plausible import require_plausible
from pricing.refresh import Wanted, publish, refreshed_book
from pricing.sources import Hourly, PlanHourly, Seen, SeenPrice

REGION = "us-east-1"
TODAY = date(2026, 11, 22)
HOSTING, ON_DEMAND = Hourly("m5.large", Platform.SAGEMAKER), Hourly("m5.large", Platform.EC2)
PLAN = PlanHourly("m5.large", SavingsPlan.ONE_YEAR_NO_UPFRONT)
LONG = PlanHourly("m5.large", SavingsPlan.THREE_YEARS_ALL_UPFRONT)


def price(what, usd, observed_on=TODAY, **changes):
    return SeenPrice(
        **{
            "what": what,
            "usd": Decimal(usd),
            "region": REGION,
            "observed_on": observed_on,
            "source": "a test",
            "basis": PriceBasis.REPORTED,
            "confidence": Confidence.HIGH,
            **changes,
        }
    )


def refreshed(book, *prices, accepted=()):
    asked = Wanted(
        name="2026-11-22",
        on=TODAY,
        sources=(),
        regions=(REGION,),
        is_hosting=lambda _: False,
        accepted=accepted,
    )
    return refreshed_book(asked, book, {REGION: Seen(prices=prices)})


def rates(book, region=REGION):
    return {rate.plan: rate for rate in book.plan_rates(region)}


def reasons(done):
    return {row.what: row.reason for row in done.quarantined}


def test_a_rate_that_is_believed_stands_with_its_day_and_source(small_book):
    done = refreshed(small_book, price(PLAN, "0.09"))
    (rate,) = done.book.plan_rates(REGION)
    assert (rate.name, rate.plan, rate.usd_per_hour) == ("ml.m5.large", PLAN.plan, Decimal("0.09"))
    assert (rate.observed_on, rate.source) == (TODAY, "a test")
    assert (done.counts[0].taken, done.counts[0].moved, done.quarantined) == (1, 1, ())
    assert done.book.offers(REGION) == small_book.offers(REGION)


def test_a_rate_that_was_not_refreshed_keeps_its_day(planned_book):
    book = refreshed(planned_book, price(PLAN, "0.09")).book
    assert rates(book)[LONG.plan] == rates(planned_book)[LONG.plan]
    assert rates(book)[PLAN.plan].observed_on == TODAY
    untouched = refreshed(planned_book, price(HOSTING, "0.115")).book
    assert untouched.plan_rates(REGION) == planned_book.plan_rates(REGION)
    assert list(untouched.plan_rates_by_region) == [REGION]


def test_rates_of_a_region_that_was_not_asked_are_carried_over(planned_book):
    asked = Wanted(
        name="b", on=TODAY, sources=(), regions=("eu-west-1",), is_hosting=lambda _: False
    )
    found = Seen(prices=(price(ON_DEMAND, "0.108", region="eu-west-1"),))
    book = refreshed_book(asked, planned_book, {"eu-west-1": found}).book
    assert book.plan_rates(REGION) == planned_book.plan_rates(REGION)


@pytest.mark.parametrize(
    ("usd", "is_taken"), [("0.0115", 0), ("0.0116", 1), ("0.1149", 1), ("0.115", 0), ("0.2", 0)]
)
def test_a_rate_lies_between_a_tenth_of_on_demand_and_on_demand(small_book, usd, is_taken):
    done = refreshed(small_book, price(PLAN, usd), price(HOSTING, "0.115"))
    assert bool(rates(done.book)) is bool(is_taken)
    if not is_taken:
        assert "times on-demand's 0.115" in reasons(done)["ml.m5.large 1y-no-upfront"]


def test_a_rate_is_held_to_the_on_demand_price_that_is_refreshed_with_it(planned_book):
    done = refreshed(planned_book, price(PLAN, "0.118"), price(HOSTING, "0.12"), accepted=("*",))
    assert rates(done.book)[PLAN.plan].usd_per_hour == Decimal("0.118")


@pytest.mark.parametrize("machine", ["m5.xlarge", "m5.8xlarge", "m9.large"])
def test_a_machine_without_an_on_demand_price_there_has_no_rate(small_book, machine):
    """Not hosted there, not hosted at all, and not known at all."""
    asked = price(PlanHourly(machine, PLAN.plan), "0.09"), price(HOSTING, "0.115")
    done = refreshed(small_book, *asked)
    assert rates(done.book) == {}
    assert "no on-demand price there" in reasons(done)[f"ml.{machine} 1y-no-upfront"]


@pytest.mark.parametrize("usd", ["0.0643", "0.12"])
def test_a_move_over_30_percent_is_quarantined_and_the_old_rate_stays(planned_book, usd):
    done = refreshed(planned_book, price(PLAN, usd), price(HOSTING, "0.13"))
    assert rates(done.book) == rates(planned_book)
    (told,) = done.quarantined
    assert (told.what, told.usd, told.usd_in_force) == (str(PLAN), usd, "0.092")
    assert "over 30%" in told.reason
    accepted = refreshed(
        planned_book, price(PLAN, usd), price(HOSTING, "0.13"), accepted=("m5.*",)
    )
    assert rates(accepted.book)[PLAN.plan].usd_per_hour == Decimal(usd)


def test_an_older_rate_replaces_no_newer_one(planned_book):
    early = price(PLAN, "0.09", observed_on=date(2026, 8, 1))
    done = refreshed(planned_book, early, price(HOSTING, "0.115"))
    assert rates(done.book) == rates(planned_book)
    assert done.counts[0].older == 1


def test_a_rate_to_which_on_demand_has_come_down_is_left_out_and_told(planned_book):
    done = refreshed(
        planned_book, price(HOSTING, "0.09"), price(ON_DEMAND, "0.07"), accepted=("m5.*",)
    )
    assert set(rates(done.book)) == {LONG.plan}
    (told,) = done.quarantined
    assert (told.what, told.usd_in_force) == (str(PLAN), "0.092")
    assert told.reason.endswith("left out of the new book")


def test_a_refresh_of_rates_alone_that_are_all_refused_says_so(small_book):
    with pytest.raises(NoPrice) as caught:
        refreshed(small_book, price(PLAN, "0.2"))
    assert "1.74 times on-demand's" in caught.value.hint


WHATS = (HOSTING, ON_DEMAND, *(PlanHourly("m5.large", plan) for plan in SavingsPlan))


@given(
    usd=st.dictionaries(st.sampled_from(WHATS), st.decimals("0.005", "0.3", places=4), min_size=1),
    accepted=st.sampled_from([(), ("*",)]),
    days=st.integers(0, 200),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_seen_the_new_book_is_plausible_and_every_rate_is_accounted_for(
    planned_book, usd, accepted, days
):
    seen_on = TODAY - timedelta(days=days)
    asked = [price(what, each, observed_on=seen_on) for what, each in usd.items()]
    try:
        done = refreshed(planned_book, *asked, accepted=accepted)
    except NoPrice:
        return
    require_plausible(done.book)
    (counts,) = done.counts
    told = [row for row in done.quarantined if "left out" not in row.reason]
    assert counts.seen == counts.taken + counts.older + len(told)


def test_a_book_with_rates_is_published_and_in_force(small_book, tmp_path):
    done = refreshed(small_book, price(PLAN, "0.09"))
    publish(done, tmp_path)
    found = Shelf(tmp_path).newest()
    assert found.passed_over == ()
    assert found.book.plan_rates(REGION) == done.book.plan_rates(REGION)


@pytest.mark.parametrize("usd", ["0.116", "0.01"])
def test_a_book_whose_rates_were_edited_into_nonsense_is_not_trusted(planned_book, usd):
    odd = tuple(replace(r, usd_per_hour=Decimal(usd)) for r in planned_book.plan_rates(REGION))
    book = replace(planned_book, plan_rates_by_region=PlanRatesByRegion.of(odd))
    (*_, said) = implausible(book.offers(REGION), odd)
    assert said.startswith("ml.m5.large under 3y-all-upfront costs")
    with pytest.raises(BadPriceBook, match="under 1y-no-upfront"):
        require_plausible(book)


def test_a_rate_twice_or_of_another_region_is_no_rate(planned_book):
    one, other = planned_book.plan_rates(REGION)
    with pytest.raises(ValueError, match=r"m5\.large 1y-no-upfront is there twice"):
        PlanRatesByRegion.of([one, replace(other, plan=one.plan)])
    with pytest.raises(ValueError, match="of eu-west-1 stands among the savings plan rates"):
        PlanRatesByRegion({REGION: lambda: (replace(one, region="eu-west-1"),)}).open(REGION)
    with pytest.raises(ValueError, match="there is no savings plan rate in us-east-1"):
        PlanRatesByRegion({REGION: tuple}).open(REGION)


def test_what_was_fetched_of_plans_is_kept_as_it_was_seen(tmp_path):
    class Source:
        name, identity = "plans", "here"

    seen = Seen(prices=(price(PLAN, "0.09"), price(HOSTING, "0.115"), price(LONG, "0.05")))
    parts = KeptParts(tmp_path, datetime(2026, 11, 22, tzinfo=UTC))
    parts.keep(Source(), REGION, seen)
    assert parts.found(Source(), REGION) == seen


def test_rates_are_lines_of_their_own_with_their_plan_and_what_they_save(planned_book, small_book):
    plain = list(price_lines(small_book, REGION))
    both = list(price_lines(planned_book, REGION))
    assert [line for line in both if line.plan is None] == plain
    one, other = (line for line in both if line.plan is not None)
    assert (one.what, one.purchase, one.bought_as) == (
        *("ml.m5.large", Purchase.SAVINGS_PLAN, "SageMaker 1y-no-upfront"),
    )
    assert one.saving_ratio == Decimal("0.2")
    assert line_row(one)["purchase"] == "savings-plan 1y-no-upfront"
    assert one.key != other.key
    wanted = LineFilter(purchases=(Purchase.SAVINGS_PLAN,))
    assert set(lines_of(planned_book, (REGION,), wanted)) == {one, other}


def test_a_comparison_and_a_history_tell_each_plan_apart(planned_book, small_book):
    assert len(compare_books(small_book, planned_book).added) == 2
    moved = refreshed(planned_book, price(LONG, "0.055")).book
    (move,) = compare_books(planned_book, moved).moved
    assert (move.after.plan, move.change_ratio) == (LONG.plan, Decimal("0.1"))
    entries = price_history(
        (planned_book, moved), (REGION,), LineFilter(purchases=(Purchase.SAVINGS_PLAN,))
    )
    changes = {
        entry.line.plan: entry.change_ratio for entry in entries if entry.before is not None
    }
    assert changes == {PLAN.plan: 0, LONG.plan: Decimal("0.1")}


def test_under_a_plan_by_name_offers_have_its_rate_and_where_it_comes_from(planned_book):
    offers, known = planned_book.offers(REGION), planned_book.plan_rates(REGION)
    rate = rates(planned_book)[LONG.plan]
    (planned,) = under_savings_plans(offers, {Platform.SAGEMAKER: LONG.plan}, known)
    assert (planned.name, planned.purchase) == ("ml.m5.large", Purchase.SAVINGS_PLAN)
    assert planned.usd_per_hour == rate.usd_per_hour
    assert planned.provenance == rate.provenance
    assert planned.basis is PriceBasis.REPORTED
    assert not list(under_savings_plans(offers, {Platform.EC2: LONG.plan}, known))
    assert not list(under_savings_plans(offers, {Platform.SAGEMAKER: LONG.plan}))


def test_an_ec2_price_that_hosting_follows_may_leave_a_rate_behind(planned_book):
    """Hosting by the ratio rule comes down with EC2's price, below what the plan asks."""
    derived = tuple(
        replace(o, source="EC2 on-demand x 1.2 (hosting rule)", basis=PriceBasis.DERIVED)
        if o.platform is Platform.SAGEMAKER
        else o
        for o in planned_book.offers(REGION)
    )
    book = replace(planned_book, offers_by_region=OffersByRegion.of(derived))
    done = refreshed(book, price(ON_DEMAND, "0.07"))
    assert set(rates(done.book)) == {LONG.plan}
    assert "left out" in reasons(done)[str(PLAN)]
