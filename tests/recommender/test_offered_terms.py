"""Ranking on the user's own terms: their machines, their savings plans, what serving costs."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured_runs import NOW, Server, demand, measure

from pricing import OwnMachine, Platform, Purchase
from recommender.candidates import how_to_measure
from recommender.cost import LOAD_BALANCER, OVERHEAD, fleet_items, grows_with_requests
from recommender.errors import BadRequest
from recommender.offered import offered
from recommender.recommend import recommend
from recommender.recommendation import RejectReason

FEW = ("c7i.large", "ml.c7i.large")


def rack(**changes):
    return OwnMachine.model_validate(
        {
            "name": "rack",
            "usd_per_hour": "0.031",
            "vcpus": 8,
            "memory_gib": 32,
            "architecture": "x86_64",
            "silicon": "Zen3",
            "physical_cores": 4,
            "observed_on": date(2026, 11, 21),
            "source": "my_machines.csv, line 2",
            **changes,
        }
    )


@pytest.fixture(scope="module")
def beside(answer):
    """Own machine and two of AWS's."""
    return answer(own_machines=(rack(),), instance_types=(*FEW, "rack"))


def options(found):
    return {each.option.instance_type: each for each in found.ranked}


def test_a_machine_of_one_s_own_ranks_beside_aws_s(beside):
    own = options(beside)["rack"]
    assert (own.option.platform, own.option.purchase) == ("own", "on-demand")
    assert own.cost.price.source == "my_machines.csv, line 2"
    (item,) = own.cost.items
    assert (item.name, item.usd_per_unit) == ("rack", "0.031")
    assert Decimal(item.usd) == own.option.replicas * 730 * Decimal("0.031")
    assert set(options(beside)) == {"rack", *FEW}


def test_its_speed_is_told_from_its_silicon_and_less_surely_than_aws_s(beside, answer):
    """Nobody benchmarked that very machine, but many of its silicon."""
    own = options(beside)["rack"].performance
    assert own.basis.value == "transferred"
    unknown = options(answer(own_machines=(rack(silicon=None),), instance_types=("rack", *FEW)))[
        "rack"
    ].performance
    assert unknown.basis.value == "predicted"
    assert width(unknown.capacity_rps) > width(own.capacity_rps)


def width(found):
    return found.high / found.low


def test_whatever_the_platforms_asked_for_it_is_considered(answer):
    for platforms in (("sagemaker",), ("ec2",), ("own",)):
        found = answer(
            own_machines=(rack(),),
            platforms=platforms,
            purchases=("spot",),
            instance_types=("rack", *FEW),
        )
        assert "rack" in options(found)
    assert {each.option.platform for each in found.ranked} == {"own"}


def test_a_container_for_one_architecture_runs_on_no_machine_of_the_other(answer):
    found = answer(
        own_machines=(rack(architecture="arm64", silicon=None),),
        architectures=("x86_64",),
        instance_types=("rack", "c7g.large", *FEW),
    )
    refused = {each.option.instance_type: each.reason for each in found.rejected}
    assert refused == {"rack": RejectReason.ARCHITECTURE, "c7g.large": RejectReason.ARCHITECTURE}
    assert set(options(found)) == set(FEW)


def test_one_has_only_so_many(answer):
    enough, short = rack(machines=4), rack(name="shelf", machines=1)
    found = answer("1500rps", own_machines=(enough, short), instance_types=("rack", "shelf"))
    assert options(found)["rack"].option.replicas in (2, 3, 4)
    (refused,) = found.rejected
    assert (refused.option.instance_type, refused.reason) == ("shelf", RejectReason.LIMIT)
    assert "there are 1" in refused.detail


def test_what_ran_on_it_is_measured_there(book, prior):
    simulated = measure(Server(vcpus=(8.0,), instance_type="rack"))
    asked = demand(own_machines=(rack(),), instance_types=("rack",))
    found = recommend(simulated.run, asked, book, prior, NOW)
    assert options(found)["rack"].performance.basis.value == "measured"


@pytest.mark.parametrize("name", ["m5.large", "ml.m5.large", "M5.Large"])
def test_a_name_of_aws_s_is_refused(answer, name):
    with pytest.raises(BadRequest, match=f"line 2: {name} is the name of a machine"):
        answer(own_machines=(rack(name=name),))


def test_a_name_is_spelled_as_its_owner_spells_it(answer):
    found = answer(own_machines=(rack(name="Rack-1"),), instance_types=("rack*",))
    assert [each.option.instance_type for each in found.ranked] == ["Rack-1"]


def test_how_to_measure_one_names_the_file_it_stands_in(book):
    assert how_to_measure(rack().instance).endswith("--measured-on rack --offers CSV")
    assert how_to_measure(book.instance("m5.large")).endswith("--measured-on m5.large")


def test_without_terms_the_book_is_the_book(book):
    assert offered(book, demand().constraints) is book


def test_own_machines_stand_in_every_region(book):
    mine = offered(book, demand(own_machines=(rack(),)).constraints)
    for region in ("us-east-1", "ap-south-1"):
        assert mine.offer("rack", region, Platform.OWN).usd_per_hour == Decimal("0.031")
        assert len(mine.offers(region)) == len(book.offers(region)) + 1


@given(saving=st.decimals("0.01", "0.7", places=2))
def test_a_plan_is_cheaper_by_its_rate_everywhere_and_covers_what_it_covers(book, saving):
    constraints = demand(savings_plans={"sagemaker": saving}).constraints
    mine = offered(book, constraints)
    planned = mine.offers("us-east-1", purchase=Purchase.SAVINGS_PLAN)
    listed = book.offers("us-east-1", Platform.SAGEMAKER)
    assert {each.name for each in planned} == {each.name for each in listed}
    usd = {each.name: each.usd_per_hour for each in listed}
    for each in planned:
        assert each.usd_per_hour == usd[each.name] * (1 - saving)


def test_a_plan_ranks_beside_on_demand_and_says_what_was_said(answer):
    found = answer(savings_plans={"sagemaker": "0.3"}, instance_types=FEW)
    bought = {(e.option.instance_type, e.option.purchase): e for e in found.ranked}
    listed, planned = bought["ml.c7i.large", "on-demand"], bought["ml.c7i.large", "savings-plan"]
    assert Decimal(planned.cost.items[0].usd) == Decimal(listed.cost.items[0].usd) * Decimal("0.7")
    assert planned.cost.items[1:] == listed.cost.items[1:]
    assert planned.cost.price.basis == "derived"
    assert ("c7i.large", "savings-plan") not in bought
    assert any("30% on sagemaker" in line for line in found.assumptions)


def test_who_asks_for_on_demand_asks_for_the_plan_too_and_who_asks_for_spot_does_not(answer):
    plans = {"savings_plans": {"ec2": "0.2"}, "platforms": ("ec2",), "instance_types": FEW}
    purchases = {
        asked: {e.option.purchase for e in answer(**plans, purchases=(asked,)).ranked}
        for asked in ("on-demand", "spot", "savings-plan")
    }
    assert purchases == {
        "on-demand": {"on-demand", "savings-plan"},
        "spot": {"spot"},
        "savings-plan": {"savings-plan"},
    }


def test_ec2_pays_for_a_load_balancer_by_the_hour_and_by_what_passes(book):
    items = fleet_items(book, Platform.EC2, demand("100rps"))
    assert [item.name for item in items] == [LOAD_BALANCER, f"{LOAD_BALANCER} capacity"]
    assert (items[0].quantity, items[0].usd_per_unit) == (730, Decimal("0.0225"))
    gigabytes = Decimal(100 * 3600 * 730 * 360) / 10**9  # 300 bytes in, 60 out
    assert (items[1].quantity, items[1].usd_per_unit) == (gigabytes, Decimal("0.008"))
    assert [grows_with_requests(item.unit) for item in items] == [False, True]


def test_a_load_balancer_can_be_left_out_and_overhead_added(book):
    asked = demand(load_balancer=False, self_hosting_usd_per_month="250")
    for platform in (Platform.EC2, Platform.OWN):
        (item,) = fleet_items(book, platform, asked)
        assert (item.name, item.unit, item.usd) == (OVERHEAD, "month", 250)
    names = [item.name for item in fleet_items(book, Platform.SAGEMAKER, asked)]
    assert names == ["data in", "data out"]


def test_where_no_load_balancer_s_price_is_known_none_is_billed_and_that_is_said(answer, book):
    assert not fleet_items(book, Platform.EC2, demand(region="eu-west-1"))
    found = answer(region="eu-west-1", instance_types=FEW)
    said = [line for line in found.assumptions if line.startswith("EC2 is")]
    (line,) = said
    assert "without a load balancer: its price in eu-west-1 is not known" in line


@given(usd=st.decimals("0.01", "100000", places=2))
def test_overhead_makes_ec2_dearer_by_just_that(book, usd):
    plain, dear = demand(), demand(self_hosting_usd_per_month=usd)
    sums = [
        sum(item.usd for item in fleet_items(book, Platform.EC2, asked)) for asked in (plain, dear)
    ]
    assert sums[1] - sums[0] == usd


def test_the_demand_survives_a_file(answer):
    found = answer(
        own_machines=(rack(),),
        savings_plans={"ec2": "0.2"},
        self_hosting_usd_per_month="12.5",
        instance_types=("rack", *FEW),
    )
    again = type(found).model_validate_json(found.model_dump_json())
    assert again == found
    assert again.demand.constraints.own_machines == (rack(),)
