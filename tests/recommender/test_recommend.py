import itertools
import json
import math
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from measured_runs import NOW, Server, demand, measure

from loadtests.slo import Verdict
from loadtests.validity import Status, Validity
from pricing import OffersByRegion, Platform
from recommender.demand import TrafficFacts
from recommender.errors import NothingMeasured
from recommender.measured import errors_in, response_bytes_mean
from recommender.recommend import recommend
from recommender.recommendation import Basis, Recommendation, RejectReason

FEW = {
    "instance_types": (
        *("c7i.large", "ml.c7i.large", "c7i.xlarge", "ml.c7i.xlarge"),
        *("m6i.large", "ml.m6i.large", "t3.large", "ml.t2.large"),
    )
}
TRAFFIC = st.floats(0.5, 5000).map(lambda rps: f"{rps:.3f}rps")
SOME = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def monthly(found):
    return {
        (each.option.instance_type, each.option.purchase): Decimal(each.cost.usd_per_month)
        for each in found.ranked
    }


def best_usd(found):
    return Decimal(found.best.cost.usd_per_month) if found.best else Decimal("Infinity")


def cheaper_or_equal(one, other):
    """Every option that `other` ranks, `one` ranks for no more."""
    less, more = monthly(one), monthly(other)
    return set(more) <= set(less) and all(less[option] <= more[option] for option in more)


# What holds of every recommendation


def test_every_option_ranked_meets_every_objective(whole_answer):
    for each in whole_answer.ranked:
        assert {verdict.verdict for verdict in each.verdicts} == {Verdict.MET}
        assert [verdict.objective for verdict in each.verdicts] == ["p95<100ms", "error_rate<1%"]


def test_every_offer_is_ranked_or_rejected_once(whole_answer, book):
    seen = [
        (each.option.instance_type, each.option.purchase)
        for each in (*whole_answer.ranked, *whole_answer.rejected)
        if each.option.instance_type
    ]
    assert len(seen) == len(set(seen))
    assert {(o.name, o.purchase.value) for o in book.offers("us-east-1")} <= set(seen)


def test_probabilities_of_being_best_add_up_to_one_at_most(whole_answer):
    assert 0 < sum(each.probability_best for each in whole_answer.ranked) <= 1 + 1e-9


def test_sagemaker_serverless_ec2_and_spot_stand_side_by_side(whole_answer):
    kinds = {(each.option.platform, each.option.purchase) for each in whole_answer.ranked}
    assert kinds == {
        ("sagemaker", "on-demand"),
        ("serverless", "on-demand"),
        ("ec2", "on-demand"),
        ("ec2", "spot"),
    }


def test_every_written_bill_adds_up_to_the_billionth(whole_answer):
    for each in whole_answer.ranked:
        items = [Decimal(item.usd) for item in each.cost.items]
        assert sum(items) == Decimal(each.cost.usd_per_month)
        for item in each.cost.items:
            exact = Decimal(item.quantity) * Decimal(item.usd_per_unit)
            assert abs(Decimal(item.usd) - exact) <= Decimal("0.5e-9")


def test_every_price_has_a_source_a_day_and_a_basis(whole_answer):
    for each in whole_answer.ranked:
        assert each.cost.price.source
        assert each.cost.price.observed_on <= "2026-11-21"
        assert each.cost.price.basis == each.performance.price_basis


def test_json_holds_no_number_that_json_does_not_know(whole_answer):
    def refuse(name):
        raise AssertionError(name)

    text = whole_answer.model_dump_json()
    assert Recommendation.model_validate(json.loads(text, parse_constant=refuse)) == whole_answer


def test_not_a_number_cannot_be_written(whole_answer):
    with pytest.raises(ValueError, match="finite"):
        type(whole_answer.best.performance.latency_s)(p50=math.nan, p90=1, p95=1, p99=1)


def test_latency_quantiles_and_intervals_are_ordered(whole_answer):
    for each in whole_answer.ranked:
        latency = each.performance.latency_s
        assert latency.p50 <= latency.p90 <= latency.p95 <= latency.p99
        assert each.performance.interval.low <= each.performance.interval.median
        assert each.performance.interval.median == latency.p95
        assert each.performance.interval_quantile == 0.95


@pytest.mark.parametrize("traffic", ["1rps", "100rps", "5000rps"])
def test_a_fleet_is_never_busier_than_the_headroom_allows(answer, traffic):
    for each in answer(traffic, **FEW).ranked:
        assert 0 < each.performance.utilization_ratio <= 0.8
        carried = each.performance.capacity_rps.median * 0.8
        assert carried >= float(traffic.removesuffix("rps"))


def test_the_same_question_has_the_same_answer(answer, whole_answer):
    assert answer() == whole_answer


def test_the_order_of_offers_in_the_book_changes_nothing(answer, book):
    offers = OffersByRegion.of(tuple(reversed(book.offers("us-east-1"))))
    assert answer(book=replace(book, offers_by_region=offers), **FEW) == answer(**FEW)


def test_what_is_known_of_a_machine_does_not_depend_on_what_else_was_asked_for(
    answer, whole_answer
):
    among_all = {(each.option.text, each.option.purchase): each for each in whole_answer.ranked}
    for alone in answer(instance_types=("ml.c7i.large", "m6i.large")).ranked:
        same = among_all[alone.option.text, alone.option.purchase]
        assert alone.performance == same.performance
        assert alone.cost == same.cost


# How the answer moves with the question


@SOME
@given(TRAFFIC, TRAFFIC)
def test_more_traffic_never_costs_less_on_any_machine(answer, one, other):
    less, more = sorted((one, other), key=lambda text: float(text[:-3]))
    assert cheaper_or_equal(answer(less, **FEW), answer(more, **FEW))


@SOME
@given(st.floats(15, 200), st.floats(1, 4))
def test_a_looser_slo_never_costs_more(answer, limit_ms, looser):
    tight = answer("100rps", f"p95<{limit_ms:.2f}ms", **FEW)
    loose = answer("100rps", f"p95<{limit_ms * looser:.2f}ms", **FEW)
    assert cheaper_or_equal(loose, tight)


@SOME
@given(st.floats(0, 0.8), st.floats(0, 0.8))
def test_more_headroom_never_costs_less(answer, one, other):
    less, more = sorted((one, other))
    assert cheaper_or_equal(answer(headroom_ratio=less, **FEW), answer(headroom_ratio=more, **FEW))


def test_surviving_a_zone_never_costs_less(answer):
    assert cheaper_or_equal(answer(**FEW), answer(zones=2, **FEW))
    assert cheaper_or_equal(answer(zones=3, **FEW), answer(zones=2, **FEW))


@SOME
@given(st.lists(st.sampled_from(["0.3", "0.9", "1"]), min_size=5, max_size=5))
def test_a_cheaper_price_book_never_raises_the_best_cost(answer, book, factors):
    offers = tuple(
        replace(offer, usd_per_hour=offer.usd_per_hour * Decimal(factors[number % 5]))
        for number, offer in enumerate(book.offers("us-east-1"))
    )
    cheaper = replace(book, offers_by_region=OffersByRegion.of(offers))
    assert best_usd(answer(book=cheaper, **FEW)) <= best_usd(answer(**FEW))


def test_the_fleet_is_for_the_peak_and_requests_are_billed_at_the_mean(answer):
    hours = TrafficFacts(text="day", peak_rps=300.0, mean_rps=100.0, hourly=(1080000.0, 0.0, 0.0))
    few = {"instance_types": ("ml.c7i.large",)}
    peaky, at_peak, at_mean = answer(hours, **few), answer("300rps", **few), answer(**few)
    assert peaky.best.option.replicas == at_peak.best.option.replicas
    assert peaky.best.cost.items[0] == at_peak.best.cost.items[0]
    assert peaky.best.cost.items[1:] == at_mean.best.cost.items[1:]
    assert Decimal(peaky.best.cost.usd_per_million) > Decimal(at_peak.best.cost.usd_per_million)


# What may not rank


def test_an_offer_without_a_price_is_not_ranked(answer, book):
    few = {"instance_types": ("ml.c7i.large", "ml.m6i.large")}
    left = tuple(o for o in book.offers("us-east-1") if o.name != "ml.c7i.large")
    poorer = replace(book, offers_by_region=OffersByRegion.of(left))
    found = answer(book=poorer, **few)
    assert {each.option.instance_type for each in found.ranked} == {"ml.m6i.large"}
    assert [each.reason for each in found.rejected] == [RejectReason.NO_PRICE]


def test_a_run_without_evidence_recommends_nothing(run, book, prior):
    with pytest.raises(NothingMeasured):
        recommend(replace(run, sizes=()), demand(), book, prior, NOW)


def kept(run, **changes):
    return tuple(
        replace(each, measurement=each.measurement.model_copy(update=changes))
        for each in run.measurements
    )


def test_an_error_rate_that_is_not_established_ranks_nothing(answer, run):
    few_requests = replace(run, measurements=kept(run, succeeded=3))
    found = answer(run=few_requests, **FEW)
    assert not found.ranked
    assert {each.reason for each in found.rejected} == {RejectReason.INCONCLUSIVE}
    assert "more like these would settle it" in found.rejected[0].detail


def test_a_server_that_fails_ranks_nothing(answer):
    failing = measure(Server(error_every=20)).run
    found = answer("100rps", "p90<100ms, error_rate<1%", run=failing, **FEW)
    assert not found.ranked
    assert {each.reason for each in found.rejected} == {RejectReason.MISSES_SLO}


def test_requests_never_sent_do_not_count_as_answered(run):
    """A run that was decided early leaves most of its schedule alone."""
    early = kept(run, due=1_000_000, succeeded=90, failed=10, dropped=0, unfinished=0)
    errors = errors_in(early)
    assert errors.bad / errors.requests == pytest.approx(0.1)


def test_failures_of_an_overloaded_server_and_of_a_bad_measurement_do_not_count(run):
    assert errors_in(kept(run, over_saturated=True, failed=500)).requests == 0
    assert errors_in(kept(run, validity=Validity(status=Status.INVALID))).requests == 0


def test_the_size_of_an_answer_is_its_mean_over_all_good_answers(run):
    first, second, *_ = run.measurements
    first = replace(
        first,
        measurement=first.measurement.model_copy(
            update={"succeeded": 300, "response_bytes_mean": 10.0}
        ),
    )
    second = replace(
        second,
        measurement=second.measurement.model_copy(
            update={"succeeded": 100, "response_bytes_mean": 50.0}
        ),
    )
    assert response_bytes_mean((first, second)) == 20
    assert response_bytes_mean(()) is None


def test_a_payload_that_sagemaker_refuses_may_still_go_to_ec2(answer):
    found = answer(workload={"request_bytes_largest": 25_000_001}, **FEW)
    assert {each.option.platform for each in found.ranked} == {"ec2"}
    assert {each.reason for each in found.rejected} == {RejectReason.LIMIT}


def test_a_payload_that_the_documents_disagree_about_says_so(answer):
    found = answer(workload={"request_bytes_largest": 7_000_000}, **FEW)
    notes = {each.option.platform: " ".join(each.notes) for each in found.ranked}
    assert "25 MB" in notes["sagemaker"]
    assert "25 MB" not in notes["ec2"]


def test_an_answer_that_takes_a_minute_is_cut_off_by_sagemaker_only(answer):
    slo = "p50<300s"
    slow = measure(Server(mean_s=45.0, cv=0.5, closed_requests=60, measure_s=3e4), slo).run
    found = answer("0.01rps", slo, run=slow, **FEW)
    assert {each.option.platform for each in found.ranked} == {"ec2"}
    assert RejectReason.LIMIT in {each.reason for each in found.rejected}


def test_a_model_too_large_for_a_machine_does_not_rank_there(answer):
    heavy = measure(Server(memory_mib=3000.0)).run
    found = answer(run=heavy, instance_types=("c7i.large", "r7i.large"))
    assert {each.option.instance_type for each in found.ranked} == {"r7i.large"}
    assert {each.reason for each in found.rejected} == {RejectReason.MEMORY}


# How figures are known


def test_figures_carried_between_benchmarked_silicons_are_transferred(answer):
    ranked = answer(instance_types=("c7i.large",)).ranked
    assert {each.performance.basis for each in ranked} == {Basis.TRANSFERRED}


@pytest.mark.parametrize("name", ["c7i.24xlarge", "t3.large"])
def test_figures_carried_past_what_was_benchmarked_are_predicted(answer, name):
    """Far larger than what was measured; or burstable."""
    ranked = answer(instance_types=(name,)).ranked
    assert {each.performance.basis for each in ranked} == {Basis.PREDICTED}
    assert ranked[0].notes


def test_a_machine_whose_speed_is_not_known_is_never_measured_nor_transferred(answer, run):
    unknown = replace(run, source=replace(run.source, silicon=None))
    ranked = answer(run=unknown, instance_types=("c7i.large",)).ranked
    assert {each.performance.basis for each in ranked} <= {Basis.PREDICTED}


def test_a_machine_too_far_from_what_was_measured_is_refused_and_says_how_far(answer):
    """Two vCPUs were measured: 128 are six doublings, 192 are more."""
    found = answer(instance_types=("c7i.24xlarge", "c6i.32xlarge", "c7i.48xlarge"))
    assert {e.option.instance_type for e in found.ranked} == {"c7i.24xlarge", "c6i.32xlarge"}
    assert {each.reason for each in found.rejected} == {RejectReason.OUT_OF_RANGE}
    assert "6.6 doublings past the 2 vCPU measured" in found.rejected[0].detail
    assert "--measured-on c7i.48xlarge" in found.rejected[0].remedy


@pytest.mark.parametrize("number", [0, 400, -1])
def test_an_option_judged_among_all_is_the_same_as_judged_alone(answer, whole_answer, number):
    among = [each for each in whole_answer.ranked if each.option.instance_type is not None][number]
    alone = answer(instance_types=(among.option.instance_type,)).ranked
    same = next(each for each in alone if each.option == among.option)
    other = {"rank", "frontier", "probability_best", "expected_regret_usd_per_month"}
    assert same.model_dump(exclude=other) == among.model_dump(exclude=other)


def test_how_a_machine_was_carried_leads_to_its_replicas(whole_answer):
    for each in whole_answer.ranked:
        if each.carried is None:
            assert each.option.platform == "serverless"
            continue
        usable = each.carried.sized_by_rps * 0.8
        assert each.option.replicas == math.ceil(100 / usable)
        assert each.carried.capacity_rps.low <= each.carried.capacity_rps.median
        assert each.carried.capacity_rps.median <= each.carried.saturation_rps.median


def test_a_machine_measured_itself_is_told_with_no_speed_ratio(answer):
    there = measure(Server(instance_type="c7i.large")).run
    for each in answer(run=there, instance_types=("c7i.large",)).ranked:
        assert each.carried.speed_ratio is None
        assert each.carried.at_source_rps is None


def test_a_machine_measured_itself_is_ranked_as_measured_and_alone(answer):
    there = measure(Server(instance_type="c7i.large")).run
    found = answer(run=there, instance_types=("c7i.large", "c7i.xlarge", "ml.c7i.large"))
    basis = {each.option.instance_type: each.performance.basis for each in found.ranked}
    assert basis == {
        "c7i.large": Basis.MEASURED,
        "ml.c7i.large": Basis.MEASURED,
        "c7i.xlarge": Basis.TRANSFERRED,
    }
    measured = next(e for e in found.ranked if e.option.instance_type == "c7i.large")
    assert measured.performance.capacity_rps.median == pytest.approx(
        measured.option.replicas * there.sizes[1].capacity.rate_rps, rel=0.1
    )
    assert "Measured on c7i.large" in found.assumptions[0]


def test_a_part_of_a_machine_is_not_the_machine(answer):
    """Two vCPUs of a c7i.xlarge's four."""
    part = measure(Server(instance_type="c7i.xlarge")).run
    ranked = answer(run=part, instance_types=("c7i.xlarge",)).ranked
    assert {each.performance.basis for each in ranked} == {Basis.TRANSFERRED}


def test_a_gpu_it_was_measured_on_is_ranked_and_no_other_machine_is(answer):
    there = measure(
        Server(
            mean_s=0.002, vcpus=(None,), true_vcpus=4.0, setup_s=None, instance_type="ml.g5.xlarge"
        )
    ).run
    found = answer(run=there, instance_types=("*g5.*xlarge", "c7i.large"))
    assert {each.option.instance_type for each in found.ranked} == {"g5.xlarge", "ml.g5.xlarge"}
    assert {each.performance.basis for each in found.ranked} == {Basis.MEASURED}
    assert {each.reason for each in found.rejected} == {RejectReason.NEEDS_MEASUREMENT}
    assert found.evidence.sizes[0].vcpus == 4


def test_a_gpu_measured_in_part_says_with_how_many_vcpus(answer):
    there = measure(Server(instance_type="g5.xlarge")).run
    ranked = answer(run=there, instance_types=("g5.xlarge",)).ranked
    assert any("2 of its 4 vCPUs" in note for each in ranked for note in each.notes)


@pytest.mark.parametrize(("slower", "is_said"), [(None, False), (1.1, False), (1.6, True)])
def test_a_host_that_was_slower_in_some_measurements_is_an_assumption(answer, slower, is_said):
    run = measure(Server()).run
    paces_s = (2e-4, None if slower is None else 2e-4 * slower)
    kept = tuple(
        replace(each, measurement=each.measurement.model_copy(update={"host_work_s": pace_s}))
        for each, pace_s in zip(run.measurements, itertools.cycle(paces_s), strict=False)
    )
    found = answer(run=replace(run, measurements=kept))
    said = [line for line in found.assumptions if "times slower" in line]
    assert len(said) == is_said
    assert all("1.60 times" in line for line in said)


def test_a_size_nobody_said_is_an_assumption_and_no_figure_is_more_than_predicted(answer):
    unsaid = measure(Server(vcpus=(None,))).run
    found = answer(run=unsaid, instance_types=("c7i.large",))
    assert {each.performance.basis for each in found.ranked} == {Basis.PREDICTED}
    assert any("--vcpus" in line for line in found.assumptions)


def test_measurements_are_told_with_their_intervals(whole_answer):
    opened = [e for e in whole_answer.evidence.measurements if e.latency_p95_s is not None]
    assert opened
    for each in opened:
        assert each.latency_p95_low_s <= each.latency_p95_s <= each.latency_p95_high_s


def test_measuring_is_told_in_requests_sent(run, whole_answer):
    sent = sum(e.measurement.succeeded + e.measurement.failed for e in run.measurements)
    assert whole_answer.cost_of_measuring.requests == sent


def test_sagemaker_bills_data_and_ec2_a_load_balancer(answer):
    ranked = answer(instance_types=("c7i.large", "ml.c7i.large")).ranked
    names = {e.option.platform: [item.name for item in e.cost.items[1:]] for e in ranked}
    assert names == {
        "sagemaker": ["data in", "data out"],
        "ec2": ["load balancer", "load balancer capacity"],
    }


def test_a_region_without_a_data_price_says_that_data_is_not_billed(answer, book):
    region = next(r for r in book.regions if r not in {price.region for price in book.unit_prices})
    name = next(o.name for o in book.offers(region, Platform.EC2) if not o.instance.accelerators)
    found = answer(region=region, instance_types=(name,))
    assert any("not billed" in line for line in found.assumptions)
