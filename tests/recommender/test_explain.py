import pytest
from measured_runs import Server, measure

from recommender.explain import (
    REASONS,
    Selection,
    group_of,
    rejected_by_reason,
    select,
    usd,
    verdict,
    what_to_measure,
)
from recommender.recommendation import RejectReason, ValueOfMeasuring


def test_every_reason_has_words():
    assert set(REASONS) == set(RejectReason)


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        ("12345.678", "$12,346"),
        ("99.994", "$99.99"),
        ("1", "$1.00"),
        ("0.05461", "$0.0546"),
        ("0.0000012", "$0.0000012"),
    ],
)
def test_dollars_are_rounded_to_what_a_person_reads(amount, said):
    assert usd(amount) == said


def test_the_verdict_names_the_best_its_price_and_how_sure_it_is(whole_answer):
    first, *more = verdict(whole_answer)
    best = whole_answer.best
    assert best.option.text in first
    assert usd(best.cost.usd_per_month) in first
    assert f"{best.probability_best:.0%}" in first
    assert any("Cheapest on SageMaker" in line for line in more)


def test_nothing_is_said_twice(answer):
    """The best is on SageMaker and on demand already: what to measure next is all that is left."""
    found = answer(platforms=("sagemaker",))
    assert verdict(found)[1:] == what_to_measure(found)


def test_nothing_that_meets_the_slo_says_how_near_the_best_came(answer):
    found = answer("100rps", "p95<5ms", instance_types=("c7i.*", "m6i.*", "c5.large"))
    assert not found.ranked
    lines = " ".join(verdict(found))
    margins = {e.option.text: e.margin_ratio for e in found.rejected if e.margin_ratio is not None}
    nearest = max(margins, key=margins.get)
    assert margins[nearest] == max(margins.values()) < 0
    assert f"Nearest: {nearest}" in lines
    assert "the limit is 5 ms" in lines
    assert "one request alone takes" in lines


def test_too_few_requests_say_how_many_more_instead_of_naming_a_machine(answer):
    few = measure(Server(closed_requests=15)).run
    found = answer("1rps", "p95<100ms, error_rate<0.001%", run=few, instance_types=("c7i.large",))
    lines = " ".join(verdict(found))
    assert "more like these would settle it" in lines
    assert "--measure-s" in lines
    assert "Nearest" not in lines


def test_constraints_that_no_offer_fits_are_said_to_be_the_reason(answer):
    found = answer(instance_types=("c7i.large",), platforms=("sagemaker",))
    assert not found.ranked
    assert not found.rejected
    assert "no offer in us-east-1" in verdict(found)[1]


def test_of_each_way_to_buy_the_cheapest_three_are_shown(whole_answer):
    shown = select(whole_answer.ranked, Selection(top=5))
    assert [each.rank for each in shown[:5]] == [1, 2, 3, 4, 5]
    counts = {}
    for each in shown:
        counts[group_of(each.option)] = counts.get(group_of(each.option), 0) + 1
    assert set(counts) == {group_of(each.option) for each in whole_answer.ranked}
    assert all(count >= 3 for count in counts.values())


def test_all_means_all(whole_answer):
    assert select(whole_answer.ranked, Selection(show_all=True)) == whole_answer.ranked


def test_no_rejected_option_is_lost_among_the_reasons(whole_answer):
    grouped = rejected_by_reason(whole_answer)
    assert sum(map(len, grouped.values())) == len(whole_answer.rejected)
    counts = [len(each) for each in grouped.values()]
    assert counts == sorted(counts, reverse=True)


def test_what_to_measure_next_is_one_sentence_of_minutes_dollars_and_probability(whole_answer):
    (said,) = what_to_measure(whole_answer)
    found = whole_answer.value_of_measuring.best
    assert found.instance_type in said
    assert f"about {found.minutes:.0f} minutes, {usd(found.usd)}" in said
    assert f"probability {found.probability_changes_answer:.0%}" in said
    assert said in verdict(whole_answer)


def test_an_answer_of_format_1_says_nothing_of_what_to_measure(whole_answer):
    older = whole_answer.model_copy(update={"value_of_measuring": None})
    assert what_to_measure(older) == ()
    assert verdict(older) == verdict(whole_answer)[:-1]


def test_a_measurement_that_is_not_worth_its_cost_is_not_asked_for(whole_answer):
    nothing = ValueOfMeasuring(best=None)
    sure = whole_answer.model_copy(update={"value_of_measuring": nothing})
    assert what_to_measure(sure)[0].startswith("No further measurement is worth")
