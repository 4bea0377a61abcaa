"""The report that stands alone. Scripts are left out: they draw, and are another program's."""

import json
import re

import pytest

from dashboard.report import report_page
from recommender.recommendation import Recommendation

SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)


@pytest.fixture(scope="module")
def report(golden):
    def of(name):
        return report_page(Recommendation.model_validate_json(golden.read(f"{name}.json")))

    return of


@pytest.mark.parametrize("name", ["answered", "unanswered"])
def test_the_report_is_as_agreed(golden, report, name):
    text = "\n".join(line.rstrip() for line in SCRIPT.sub("", report(name)).splitlines()) + "\n"
    assert text == golden.agreed(f"{name}.html", text)


def test_the_same_answer_makes_the_same_file(report):
    assert report("answered") == report("answered")


@pytest.mark.parametrize("name", ["answered", "unanswered"])
def test_the_report_needs_nothing_from_elsewhere(report, name):
    text = report(name)
    assert not re.search(r"<(link|img|iframe|object|embed)\b", SCRIPT.sub("", text))
    assert not re.search(r"<script[^>]*\bsrc=", text)
    assert not re.search(r"url\(|@import", SCRIPT.sub("", text))


def test_a_name_from_data_is_text_in_the_report(golden):
    document = json.loads(golden.read("answered.json"))
    document["run"] = "</title><script>alert(1)</script>"
    text = report_page(Recommendation.model_validate(document))
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_remedies_that_are_alike_are_told_once_and_counted(golden):
    document = json.loads(golden.read("answered.json"))
    rejected = next(each for each in document["rejected"] if each["remedy"])
    document["rejected"] = [rejected | {"remedy": f"measure number {n}"} for n in range(7)]
    text = report_page(Recommendation.model_validate(document))
    assert text.count("To change this: ") == 2
    assert "And 5 more of the kind" in text
