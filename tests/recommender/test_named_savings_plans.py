"""Ranking under a savings plan by name: at the rates in the price book, or not at all."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from measured_runs import NOW, SLO, demand
from pydantic import ValidationError

from dashboard.asked_again import asked_again
from pricing import (
    Confidence,
    NoPrice,
    OffersByRegion,
    PlanRate,
    PlanRatesByRegion,
    Platform,
    PriceBasis,
    Purchase,
    SavingsPlan,
    exact_usd,
    save_book,
)
from recommender.cli.app import cli
from recommender.cli.price_terms import taken_terms
from recommender.demand import Constraints
from recommender.errors import BadRequest
from recommender.offered import offered
from recommender.recommend import recommend
from recommender.recommendation import Recommendation
from recommender.request import QuickRequest, Source
from recommender.simulation.market import market_of
from recommender.simulation.scaling_policy import AlarmTiming
from recommender.simulation.served import Terms
from recommender.simulation.traffic import TrafficTrace
from recommender.simulation.ways.compare import compare
from recommender.store import open_store

FEW = ("c7i.large", "ml.c7i.large", "ml.m6i.large", "ml.c7i.xlarge")
PLAN = SavingsPlan.ONE_YEAR_NO_UPFRONT
RATIOS = {"ml.c7i.large": Decimal("0.72"), "ml.c7i.xlarge": Decimal("0.55")}
SEEN = date(2026, 11, 12)


def rate_of(offer, ratio, plan=PLAN):
    return PlanRate(
        instance=offer.instance,
        plan=plan,
        usd_per_hour=offer.usd_per_hour * ratio,
        region=offer.region,
        observed_on=SEEN,
        source="AWS savings plan file",
        basis=PriceBasis.REPORTED,
        confidence=Confidence.HIGH,
    )


def with_rates(book, ratios, plan=PLAN):
    """ratios: of each machine's on-demand price in us-east-1, by its name on SageMaker."""
    rates = [
        rate_of(offer, ratios[offer.name], plan)
        for offer in book.offers("us-east-1", Platform.SAGEMAKER)
        if offer.name in ratios
    ]
    return replace(book, plan_rates_by_region=PlanRatesByRegion.of(rates))


def with_on_demand(book, ratios):
    """The book in which on-demand costs what the plan would."""
    here = [
        replace(offer, usd_per_hour=offer.usd_per_hour * ratios[offer.name])
        if offer.name in ratios
        else offer
        for offer in book.offers("us-east-1")
    ]
    return replace(book, offers_by_region=OffersByRegion.of(here))


@pytest.fixture(scope="session")
def planned(book):
    return with_rates(book, RATIOS)


def bought(found):
    return {(e.option.instance_type, e.option.purchase): e for e in found.ranked}


def test_machines_with_a_rate_rank_under_the_plan_at_that_rate_and_the_others_do_not(
    answer, planned
):
    found = answer(book=planned, savings_plans={"sagemaker": PLAN}, instance_types=FEW)
    options = bought(found)
    under = {name for name, purchase in options if purchase == "savings-plan"}
    assert under == set(RATIOS)
    listed = options["ml.c7i.large", "on-demand"]
    saved = options["ml.c7i.large", "savings-plan"]
    assert Decimal(saved.cost.items[0].usd) == Decimal(listed.cost.items[0].usd) * Decimal("0.72")
    assert saved.cost.items[1:] == listed.cost.items[1:]
    price = saved.cost.price
    assert (price.basis, price.source) == ("reported", "AWS savings plan file")
    assert str(price.observed_on) == SEEN.isoformat()
    (said,) = (line for line in found.assumptions if "avings plan" in line)
    assert "1y-no-upfront on sagemaker is at the price book's rates" in said


def test_ranking_under_a_plan_is_ranking_at_its_rates_on_demand(run, book, planned, prior):
    """Whatever was asked: the same fleets, in the same order, for the same money."""
    types = tuple(RATIOS)
    asked = demand(
        savings_plans={"sagemaker": PLAN}, purchases=("savings-plan",), instance_types=types
    )
    same = demand(purchases=("on-demand",), instance_types=types, platforms=("sagemaker",))
    under = recommend(run, asked, planned, prior, NOW)
    plain = recommend(run, same, with_on_demand(book, RATIOS), prior, NOW)
    machines = [e for e in under.ranked if e.option.platform == "sagemaker"]
    assert [e.option.text for e in machines] == [e.option.text for e in plain.ranked]
    assert [e.cost.usd_per_month for e in machines] == [e.cost.usd_per_month for e in plain.ranked]
    assert [e.performance for e in machines] == [e.performance for e in plain.ranked]


@given(ratio=st.decimals("0.2", "0.9", places=2))
def test_a_plan_by_name_is_the_share_that_its_rates_save(book, ratio):
    everywhere = {offer.name: ratio for offer in book.offers("us-east-1", Platform.SAGEMAKER)}
    named = offered(with_rates(book, everywhere), Constraints(savings_plans={"sagemaker": PLAN}))
    share = offered(book, Constraints(savings_plans={"sagemaker": 1 - ratio}))
    usd = [
        {o.name: o.usd_per_hour for o in each.offers("us-east-1", purchase=Purchase.SAVINGS_PLAN)}
        for each in (named, share)
    ]
    assert usd[0] == usd[1]


@pytest.mark.parametrize(
    ("plan", "region"),
    [(PLAN, "eu-west-1"), (SavingsPlan.THREE_YEARS_ALL_UPFRONT, "us-east-1")],
)
def test_a_plan_of_which_the_book_has_no_rate_there_says_what_to_do(answer, planned, plan, region):
    with pytest.raises(NoPrice, match=f"no rate of savings plan {plan} in {region}") as caught:
        answer(book=planned, savings_plans={"sagemaker": plan}, region=region)
    assert "--source savings-plan-file" in caught.value.hint
    assert "--savings-plan 0.3" in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_book_without_rates_is_still_ranked_without_a_plan_and_by_a_share(answer, planned):
    for plans in ({}, {"sagemaker": "0.3"}, {"ec2": "0.2"}):
        found = answer(savings_plans=plans, instance_types=FEW)
        again = answer(book=planned, savings_plans=plans, instance_types=FEW)
        assert again.ranked == found.ranked


def test_by_name_on_sagemaker_and_by_share_on_ec2_at_once(answer, planned):
    plans = {"sagemaker": PLAN, "ec2": "0.2"}
    found = answer(book=planned, savings_plans=plans, instance_types=FEW)
    bases = {
        name: each.cost.price.basis
        for (name, purchase), each in bought(found).items()
        if purchase == "savings-plan"
    }
    assert bases == {"c7i.large": "derived", **dict.fromkeys(RATIOS, "reported")}
    assert any("save 20% on ec2, as was said" in line for line in found.assumptions)


def test_both_forms_survive_a_file_and_the_old_one_is_read():
    kept = Constraints(savings_plans={"sagemaker": PLAN, "ec2": "0.2"})
    assert kept.model_dump(mode="json")["savings_plans"] == {
        "sagemaker": "1y-no-upfront",
        "ec2": "0.2",
    }
    assert Constraints.model_validate_json(kept.model_dump_json()) == kept
    assert Constraints.model_validate(kept.model_dump()) == kept
    old = Constraints.model_validate_json('{"savings_plans": {"sagemaker": "0.30"}}')
    assert old.savings_plans == {"sagemaker": Decimal("0.30")}


@pytest.mark.parametrize(
    "plans", [{"ec2": "1y-no-upfront"}, {"sagemaker": "2y-no-upfront"}, {"sagemaker": "1.5"}]
)
def test_what_is_neither_is_refused(plans):
    with pytest.raises(ValidationError, match="savings_plans"):
        Constraints.model_validate({"savings_plans": plans})


def terms(*plans):
    given = {
        "own_machines": None,
        "savings_plans": plans,
        "self_hosting_usd_per_month": None,
        "load_balancer": None,
    }
    return taken_terms(given)["savings_plans"]


@pytest.mark.parametrize("plan", SavingsPlan)
def test_each_plan_is_typed_by_its_name(plan):
    assert terms(plan.value) == terms(f"sagemaker={plan}") == {"sagemaker": plan}


def test_shares_are_typed_as_before_and_none_takes_a_plan_away():
    assert terms("30%", "ec2=0.2") == {"sagemaker": Decimal("0.3"), "ec2": Decimal("0.2")}
    assert terms("1y-no-upfront", "0") == {}


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("2y-no-upfront", "neither a plan nor", "1y-no-upfront, 1y-partial-upfront"),
        ("ec2=1y-no-upfront", "Compute plans' rates are not read", "ec2=0.3"),
        ("serverless=0.3", "neither a plan nor", "--savings-plan 0.3"),
        ("1.2", "neither a plan nor", "--savings-plan 0.3"),
    ],
)
def test_what_is_no_plan_is_told(text, says, hint):
    with pytest.raises(BadRequest, match=says) as caught:
        terms(text)
    assert hint in caught.value.hint


@pytest.fixture(scope="module")
def layers(run, prior):
    """Layers over a morning on one machine: layers(book, **constraints)."""
    trace = TrafficTrace(3600.0, np.array([20.0, 200.0, 60.0, 120.0]))
    asked_of = Terms(trace, "hours", AlarmTiming(), draws=8)

    def found(book, **constraints):
        asked = demand("1rps", **{"instance_types": ("ml.c7i.large", "c7i.large")} | constraints)
        market = market_of(run, asked, asked_of, (book, prior), (Platform.SAGEMAKER, Platform.EC2))
        return compare(market, ("layers",)).found[0]

    return found


def test_the_base_of_layers_is_paid_at_the_plan_s_rate(layers, planned):
    plain = layers(planned, platforms=("sagemaker",))
    under = layers(planned, platforms=("sagemaker",), savings_plans={"sagemaker": PLAN})
    assert under.prices["reserved"] == plain.prices["reserved"] * RATIOS["ml.c7i.large"]
    assert "layers: on the base a savings plan saves 28%, at the price book's rate" in under.notes


def test_the_base_of_layers_of_a_machine_without_a_rate_is_paid_on_demand(layers, planned):
    asked = {"platforms": ("sagemaker",), "instance_types": ("ml.m6i.large",)}
    under = layers(planned, savings_plans={"sagemaker": PLAN}, **asked)
    assert under.prices["reserved"] == layers(planned, **asked).prices["reserved"]
    assert any("no savings plan is known" in note for note in under.notes)


def test_no_plan_saves_on_a_base_of_spot(layers, book):
    asked = {"platforms": ("ec2",), "purchases": ("spot",)}
    under = layers(book, savings_plans={"ec2": "0.2"}, **asked)
    assert under.prices == layers(book, **asked).prices


def test_a_form_filled_in_again_says_that_it_has_no_place_for_the_plan():
    request = QuickRequest(
        source=Source(kind="sample"),
        traffic=demand().traffic,
        slo=SLO,
        constraints=Constraints(savings_plans={"sagemaker": PLAN}),
    )
    assert "savings plans" in asked_again(request).left_out


@pytest.fixture(scope="module")
def folder(planned, tmp_path_factory):
    """The book with rates, of one region."""
    written = tmp_path_factory.mktemp("books") / "planned"
    here = OffersByRegion.of(planned.offers("us-east-1"))
    save_book(replace(planned, name="planned", offers_by_region=here), written)
    return written


@pytest.fixture
def shown(folder):
    """What `recommender prices` prints of the book with rates."""

    def run(*arguments):
        given = ["prices", *arguments, "--prices", str(folder)]
        return CliRunner().invoke(cli, given, catch_exceptions=False).output

    return run


def test_a_machine_is_shown_with_its_rates_and_they_are_listed(shown, planned):
    usd = next(
        rate.usd_per_hour
        for rate in planned.plan_rates("us-east-1")
        if rate.name == "ml.c7i.large"
    )
    (line,) = (x for x in shown("show", "ml.c7i.large").splitlines() if "1y-no-upfront" in x)
    assert line.split()[:5] == [
        *("us-east-1", "sagemaker", "1y-no-upfront", exact_usd(usd), "28%"),
    ]
    listed = shown("list", "--purchase", "savings-plan")
    assert "SageMaker 1y-no-upfront" in listed
    assert "2 prices" in listed


@pytest.fixture
def stored(own_home, simulated):
    (own_home / "data").mkdir(parents=True, exist_ok=True)
    asked = demand(instance_types=FEW)
    request = QuickRequest(
        source=Source(kind="sample"), traffic=asked.traffic, slo=SLO, constraints=asked.constraints
    )
    with open_store(None, default_folder=own_home / "data") as store:
        simulated.keep_in(store, request)


@pytest.mark.usefixtures("stored")
def test_as_a_user_types_it(folder):
    def rank(*arguments):
        given = ["rank", "latest", "--savings-plan", "1y-no-upfront", *arguments]
        return CliRunner().invoke(cli, given, standalone_mode=False)

    document = rank("--prices", str(folder), "--json", "-").stdout
    found = Recommendation.model_validate_json(document)
    assert {name for name, purchase in bought(found) if purchase == "savings-plan"} == set(RATIOS)
    assert json.loads(document)["demand"]["constraints"]["savings_plans"] == {
        "sagemaker": "1y-no-upfront"
    }
    shown = rank("--prices", str(folder), "--platform", "sagemaker").stdout
    assert "savings plan" in shown
    without = rank("--prices", "2026-11-21")
    assert isinstance(without.exception, NoPrice)
