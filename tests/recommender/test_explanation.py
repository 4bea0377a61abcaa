import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from loadtest_reports import report

from recommender.errors import BadRequest
from recommender.explanation.account import explain
from recommender.explanation.break_even import break_even, next_replica_rps
from recommender.explanation.document import Kind
from recommender.explanation.loadtest import explain_loadtest
from recommender.recommendation import Recommendation

FORMAT_1 = Path(__file__).parents[1] / "golden" / "formats" / "recommendation-1.json"
# Arithmetic on stored numbers that is shown in the sentence, or follows from the whole ranking.
WORKED_OUT = {"usable_rps", "next_replica_rps", "furthest", "options"}
SOME = {"instance_types": ("c7i.*", "ml.c7i.*", "c8g.*", "m6i.large", "t3.*")}


@pytest.fixture(scope="session")
def several(answer):
    """Answers with ranked and rejected options of many kinds."""
    return {
        "plain": answer(),
        "zones": answer("250rps", zones=3),
        "tight": answer("100rps", "p95<18ms, error_rate<1%"),
        "none": answer("100rps", "p95<5ms, error_rate<1%"),
    }


def explained(several):
    """Of each answer the best, and the first of every way to buy and of every reason."""
    for found in several.values():
        yield found, explain(found)
        wanted = {}
        for each in found.ranked:
            wanted.setdefault((each.option.platform, each.option.purchase), each.option)
        for each in found.rejected:
            wanted.setdefault(each.reason, each.option)
        for option in wanted.values():
            name = option.instance_type or option.accelerator or option.text
            yield found, explain(found, name)


def stored(value):
    """Every number of a document, and every decimal that is text."""
    if isinstance(value, dict):
        for each in value.values():
            yield from stored(each)
    elif isinstance(value, list):
        for each in value:
            yield from stored(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
    elif isinstance(value, str):
        yield value


def test_every_statement_with_a_number_names_sources_that_are_listed(several):
    for _, found in explained(several):
        listed = {source.tag for source in found.sources}
        named = set()
        for section in found.sections:
            assert section.statements, section.title
            for each in section.statements:
                assert len(set(each.sources)) == len(each.sources)
                assert each.sources or not re.search(r"\d", each.text), each.text
                named |= set(each.sources)
        assert named == listed


def test_every_figure_is_a_number_of_the_stored_recommendation(several):
    for answer, found in explained(several):
        known = set(stored(answer.model_dump(mode="json")))
        for section in found.sections:
            for each in section.statements:
                for name, value in each.figures.items():
                    is_crossing = name == "peak_rps" and "becomes cheaper" in each.text
                    assert name in WORKED_OUT or is_crossing or value in known, (name, each.text)


def test_a_measurement_is_named_by_run_key_and_validity(several):
    for answer, found in explained(several):
        told = [source.text for source in found.sources if source.kind is Kind.MEASUREMENT]
        for each in answer.evidence.measurements:
            assert any(
                f"run {answer.run}, {each.key}:" in text and text.endswith("VALID")
                for text in told
            )


def test_a_price_is_named_by_its_source_and_day(whole_answer):
    best = whole_answer.best
    told = [source.text for source in explain(whole_answer).sources if source.kind is Kind.FACT]
    price = best.cost.price
    assert any(f"{price.source}, {price.observed_on}, {price.basis}" in text for text in told)


def test_the_bill_is_told_line_by_line(whole_answer):
    for name in (None, "ml.c7i.large", "serverless 2 GB"):
        found = explain(whole_answer, name)
        bill = next(each for each in found.sections if each.title == "The bill of a month")
        *lines, total = bill.statements
        assert sum(Decimal(each.figures["usd"]) for each in lines) == Decimal(
            total.figures["usd_per_month"]
        )


def test_an_invalid_try_is_told_and_ranks_nothing(whole_answer):
    first, *rest = whole_answer.evidence.measurements
    invalid = first.model_copy(
        update={"key": "1 vCPU/closed-1-invalid-1", "validity": "invalid", "faults": ("late",)}
    )
    evidence = whole_answer.evidence.model_copy(update={"measurements": (invalid, first, *rest)})
    found = explain(whole_answer.model_copy(update={"evidence": evidence}))
    tag = next(source.tag for source in found.sources if source.text.endswith("INVALID: late"))
    said = [e.text for s in found.sections for e in s.statements if tag in e.sources]
    assert said == ["1 tries were INVALID: they rank nothing."]


def test_what_the_machine_is_like_is_told_with_its_probabilities(whole_answer):
    evidence = whole_answer.evidence
    model = evidence.model.model_copy(update={"source_likely": {"Zen3": 0.9, "Zen4": 0.1}})
    placed = whole_answer.model_copy(
        update={"evidence": evidence.model_copy(update={"model": model})}
    )
    where = next(e for e in explain(placed).sections if e.title.startswith("The machine"))
    assert "Zen3 90%, Zen4 10%" in where.statements[-1].text
    assert where.statements[-1].figures == {"Zen3": 0.9, "Zen4": 0.1}


def test_a_rejected_option_is_told_with_its_reason_and_the_remedy(several):
    answer = several["plain"]
    gpu = next(each for each in answer.rejected if each.remedy is not None)
    found = explain(answer, gpu.option.instance_type)
    text = " ".join(each.text for section in found.sections for each in section.statements)
    assert found.subject.startswith("Not ranked")
    assert gpu.detail in text
    assert gpu.remedy in text


def test_a_name_that_was_not_asked_for_gets_names_that_were(whole_answer):
    with pytest.raises(BadRequest, match=r"nothing of 'c7i\.lrge'") as raised:
        explain(whole_answer, "c7i.lrge")
    assert "c7i.large" in raised.value.hint


def test_a_machine_sold_in_several_ways_is_told_with_all_of_them(whole_answer):
    found = explain(whole_answer, "c7i.large")
    ranks = [e.rank for e in whole_answer.ranked if e.option.instance_type == "c7i.large"]
    told = next(each for each in found.sections if each.title == "The same on other terms")
    assert found.subject.startswith(f"Number {ranks[0]}:")
    assert [each.figures["rank"] for each in told.statements] == ranks[1:]


def test_an_answer_of_format_1_is_explained_as_far_as_it_goes():
    older = Recommendation.model_validate(json.loads(FORMAT_1.read_text(encoding="utf-8")))
    found = explain(older)
    text = " ".join(each.text for section in found.sections for each in section.statements)
    assert f"${older.best.cost.usd_per_month} a month" in text
    assert "made before explanations were" in text


@pytest.mark.parametrize("asked", ["plain", "zones"])
def test_the_fleet_is_counted_for_the_traffic_that_is_told(answer, several, asked):
    """Asked again just below that traffic it has as many machines, and just above it more."""
    found = several[asked]
    best, zones = found.best, found.demand.constraints.zones
    limit = next_replica_rps(best, found.demand)
    name = {"instance_types": (best.option.instance_type,), "zones": zones}
    below, above = (
        next(
            each
            for each in answer(f"{limit * factor:.6f}rps", **name).ranked
            if each.option.purchase == best.option.purchase
        )
        for factor in (0.9999, 1.0001)
    )
    assert below.option.replicas == best.option.replicas < above.option.replicas


def test_at_the_traffic_told_the_option_told_is_cheaper(answer, whole_answer):
    """Asked again at that traffic, and a step nearer to what was asked."""
    best = whole_answer.best
    below, above = break_even(best, whole_answer.ranked, whole_answer.demand)
    assert below.peak_rps < whole_answer.demand.traffic.peak_rps < above.peak_rps
    for found, nearer in ((below, 1.011), (above, 1 / 1.011)):
        other = found.cheaper.option
        types = (best.option.instance_type, other.instance_type)
        there = costs(answer(f"{found.peak_rps}rps", instance_types=types))
        before = costs(answer(f"{found.peak_rps * nearer}rps", instance_types=types))
        assert there[other.instance_type, other.purchase] < there[key(best.option)]
        assert before[other.instance_type, other.purchase] >= before[key(best.option)]


def costs(found):
    return {key(each.option): Decimal(each.cost.usd_per_month) for each in found.ranked}


def key(option):
    return option.instance_type, option.purchase


def test_what_to_measure_next_is_told_with_its_figures(whole_answer):
    best = whole_answer.value_of_measuring.best
    told = next(e for e in explain(whole_answer).sections if e.title == "What to measure next")
    assert told.statements[0].figures["usd"] == best.usd
    assert best.command in told.statements[1].text


def test_a_load_test_says_what_it_found_by_which_measurements_and_that_it_ranks_nothing():
    made = report()
    found = explain_loadtest(made)
    keys = {run.key for test in made.tests for run in test.runs}
    told = [source.text for source in found.sources if source.kind is Kind.MEASUREMENT]
    assert all(any(f", {name}: " in text for text in told) for name in keys)
    text = " ".join(each.text for section in found.sections for each in section.statements)
    assert all(finding in text for test in made.tests for finding in test.findings)
    assert "ranks no instance type" in text


def test_the_same_answer_is_explained_in_the_same_words(whole_answer):
    again = Recommendation.model_validate_json(whole_answer.model_dump_json())
    assert explain(again) == explain(whole_answer)
