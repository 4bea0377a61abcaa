import pytest
from measured_runs import demand

from pricing import UnknownInstanceType, UnknownRegion
from recommender.candidates import find_candidates
from recommender.recommendation import RejectReason


@pytest.fixture
def find(book):
    def found(measured=None, **constraints):
        instance = None if measured is None else book.instance(measured)
        return find_candidates(book, demand(**constraints).constraints, instance)

    return found


def names(offers):
    return {offer.name for offer in offers}


def reasons(found):
    return {(each.option.instance_type, each.reason) for each in found.rejected}


def test_every_priced_machine_is_a_candidate_or_rejected_with_a_reason(find, book):
    found = find()
    offered = {(o.name, o.purchase.value) for o in book.offers("us-east-1")}
    judged = {(o.name, o.purchase.value) for o in found.machines}
    refused = {(r.option.instance_type, r.option.purchase) for r in found.rejected}
    assert offered <= judged | refused
    assert not judged & refused


def test_machines_with_accelerators_need_a_measurement_and_say_how_to_make_it(find):
    found = find(instance_types=("ml.g5.xlarge", "g6f.*"))
    assert not found.machines
    assert {each.reason for each in found.rejected} == {RejectReason.NEEDS_MEASUREMENT}
    for each in found.rejected:
        bare = each.option.instance_type.removeprefix("ml.")
        assert f"--measured-on {bare}" in each.remedy
        assert "--payload" in each.remedy


def test_an_accelerator_it_was_measured_on_is_a_candidate_and_its_siblings_are_not(find):
    found = find("g5.xlarge", instance_types=("g5.xlarge", "ml.g5.xlarge", "g5.2xlarge"))
    assert names(found.machines) == {"g5.xlarge", "ml.g5.xlarge"}
    assert ("g5.2xlarge", RejectReason.NEEDS_MEASUREMENT) in reasons(found)


def test_what_ran_on_a_gpu_says_nothing_about_cpus_or_serverless(find):
    found = find("ml.g5.xlarge")
    assert names(found.machines) == {"g5.xlarge", "ml.g5.xlarge"}
    assert not found.serverless
    assert ("c5.large", RejectReason.NEEDS_MEASUREMENT) in reasons(found)
    serverless = [each for each in found.rejected if each.option.platform == "serverless"]
    assert {each.reason for each in serverless} == {RejectReason.NEEDS_MEASUREMENT}


def test_retired_elastic_inference_is_listed_and_never_a_candidate(find):
    found = find()
    retired = [each for each in found.rejected if each.reason is RejectReason.RETIRED]
    assert retired
    assert all("eia" in each.option.accelerator for each in retired)
    assert not any("eia" in name for name in names(found.machines))


def test_a_hosting_type_without_a_price_is_rejected_for_it(find, book):
    found = find()
    unpriced = {row.instance.hosting_name for row in book.unpriced("us-east-1")}
    assert unpriced
    assert not unpriced & names(found.machines)
    assert {(name, RejectReason.NO_PRICE) for name in unpriced} <= reasons(found)


def test_a_wish_for_some_types_is_not_an_empty_wish_when_none_of_them_is_unpriced(find):
    assert not find(instance_types=("c5.large",)).rejected


def test_a_container_for_one_architecture_does_not_run_on_the_other(find):
    found = find(architectures=("x86_64",))
    assert ("c7g.large", RejectReason.ARCHITECTURE) in reasons(found)
    assert not any(o.instance.cpu.architecture.value == "arm64" for o in found.machines)


def test_serverless_is_taken_for_x86(find):
    found = find(architectures=("arm64",), platforms=("serverless",))
    assert not found.serverless
    assert {each.reason for each in found.rejected} == {RejectReason.ARCHITECTURE}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("ml.c5.large",), {"ml.c5.large"}),
        (("c5.large",), {"c5.large"}),
        (("*c5.large",), {"c5.large", "ml.c5.large"}),
        ((" ML.C5.LARGE ",), {"ml.c5.large"}),
        (("ml.c5.large", "m5.large"), {"ml.c5.large", "m5.large"}),
    ],
)
def test_patterns_fit_names_as_each_platform_spells_them(find, patterns, expected):
    assert names(find(instance_types=patterns).machines) == expected


def test_only_spot_means_no_on_demand_of_any_kind(find):
    found = find(purchases=("spot",))
    assert {offer.purchase.value for offer in found.machines} == {"spot"}
    assert not found.serverless
    assert {each.option.purchase for each in found.rejected} == {"spot"}


def test_a_platform_not_asked_for_is_neither_found_nor_rejected(find):
    found = find(platforms=("ec2",))
    assert {offer.platform.value for offer in found.machines} == {"ec2"}
    assert not found.serverless
    assert {each.option.platform for each in found.rejected} == {"ec2"}


def test_a_region_without_a_serverless_price_says_so(find, book):
    region = next(each for each in book.regions if not book.serverless(each))
    found = find(region=region, platforms=("serverless",))
    assert [each.reason for each in found.rejected] == [RejectReason.NO_PRICE]


def test_an_unknown_region_names_close_ones(find):
    with pytest.raises(UnknownRegion, match="us-east-1") as raised:
        find(region="us-eats-1")
    assert raised.value.hint


def test_an_unknown_instance_type_names_close_ones(find):
    with pytest.raises(UnknownInstanceType, match=r"c5\.large"):
        find(instance_types=("c5.lagre",))
