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


def test_a_document_of_every_format_is_written_with_all_that_it_had(formats):
    for file in formats.glob("recommendation-*.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        written = Recommendation.model_validate(document).model_dump(mode="json")
        assert list(changes(document, written)) == []


def changes(read, written, where="$"):
    """Paths at which what is written says something else than what was read; it may say more."""
    if isinstance(read, dict) and isinstance(written, dict):
        for key in read:
            yield from changes(read[key], written.get(key), f"{where}.{key}")
    elif isinstance(read, list) and isinstance(written, list) and len(read) == len(written):
        for n, (one, other) in enumerate(zip(read, written, strict=True)):
            yield from changes(one, other, f"{where}[{n}]")
    elif read != written:
        yield f"{where}: {read!r} became {written!r}"


def test_a_change_would_be_seen():
    assert list(changes({"a": [1], "b": 3}, {"a": [2], "b": 3, "c": 4})) == ["$.a[0]: 1 became 2"]
    assert list(changes({"a": 1}, {})) == ["$.a: 1 became None"]
