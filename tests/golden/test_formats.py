"""Documents written by earlier versions are kept here for ever, and must still load.

A file is added with each new format, and none is ever changed.
"""

import json

from recommender.explain import verdict
from recommender.recommendation import FORMAT, Recommendation


def test_every_format_has_a_document(formats):
    kept = {int(file.stem.rpartition("-")[2]) for file in formats.glob("recommendation-*.json")}
    assert kept == set(range(1, FORMAT + 1))


def test_a_document_of_every_format_still_loads_and_says_the_same(formats):
    for file in formats.glob("recommendation-*.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        found = Recommendation.model_validate(document)
        assert found.format == int(file.stem.rpartition("-")[2])
        assert found.best is not None
        assert found.best.cost.usd_per_month == document["ranked"][0]["cost"]["usd_per_month"]
        assert verdict(found)


def test_a_document_of_format_1_is_written_as_it_was_read(formats):
    document = json.loads((formats / "recommendation-1.json").read_text(encoding="utf-8"))
    assert Recommendation.model_validate(document).model_dump(mode="json") == document
