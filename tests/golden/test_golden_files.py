"""What a person reads is rendered from the JSON that stands agreed, so that no last digit of a
simulation can change it; the JSON itself is compared number by number."""

import io
import json
import math
import re

import pytest
from rich.console import Console

from recommender.cli.tables import render
from recommender.explain import Selection
from recommender.exports.markdown import to_markdown
from recommender.recommendation import Recommendation

NUMBER = re.compile(r"-?\d+(\.\d+)?")
CLOSE = 1e-6


def differences(agreed, found, where="$"):
    """Paths at which two JSON documents differ by more than rounding; decimals are text."""
    if isinstance(agreed, dict) and isinstance(found, dict):
        for key in sorted(agreed.keys() | found.keys()):
            if key not in agreed or key not in found:
                yield f"{where}.{key}: only in one"
            else:
                yield from differences(agreed[key], found[key], f"{where}.{key}")
    elif isinstance(agreed, list) and isinstance(found, list) and len(agreed) == len(found):
        for n, (one, other) in enumerate(zip(agreed, found, strict=True)):
            yield from differences(one, other, f"{where}[{n}]")
    elif agreed != found and not is_close(agreed, found):
        yield f"{where}: {agreed!r} became {found!r}"


def is_close(agreed, found):
    if not all(NUMBER.fullmatch(str(each)) for each in (agreed, found)):
        return False
    return math.isclose(float(agreed), float(found), rel_tol=CLOSE, abs_tol=1e-9)


@pytest.mark.parametrize("name", ["answered", "unanswered"])
def test_the_json_of_a_recommendation_is_as_agreed(golden, request, name):
    found = request.getfixturevalue(name)
    agreed = golden.agreed(f"{name}.json", found.model_dump_json(indent=1) + "\n")
    assert list(differences(json.loads(agreed), found.model_dump(mode="json"))) == []


@pytest.mark.parametrize("name", ["answered", "unanswered"])
def test_the_table_is_as_agreed(golden, name):
    agreed = Recommendation.model_validate_json(golden.read(f"{name}.json"))
    console = Console(
        file=io.StringIO(), width=120, no_color=True, highlight=False, force_terminal=False
    )
    render(console, agreed, Selection())
    text = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"
    assert text == golden.agreed(f"{name}.txt", text)


@pytest.mark.parametrize("name", ["answered", "unanswered"])
def test_the_markdown_is_as_agreed(golden, name):
    agreed = Recommendation.model_validate_json(golden.read(f"{name}.json"))
    text = to_markdown(agreed, Selection())
    assert text == golden.agreed(f"{name}.md", text)


def test_the_schema_is_as_agreed(golden):
    text = json.dumps(Recommendation.model_json_schema(), indent=1, sort_keys=True) + "\n"
    assert json.loads(text) == json.loads(golden.agreed("recommendation.schema.json", text))


def test_a_difference_would_be_seen():
    agreed = {"a": [1.0, "12.50", None], "b": "x"}
    assert not list(differences(agreed, {"a": [1.0 + 1e-9, "12.5000001", None], "b": "x"}))
    assert list(differences(agreed, {"a": [1.1, "12.6", 0], "b": "y"})) == [
        "$.a[0]: 1.0 became 1.1",
        "$.a[1]: '12.50' became '12.6'",
        "$.a[2]: None became 0",
        "$.b: 'x' became 'y'",
    ]
    assert list(differences(agreed, {"a": [1.0], "b": "x"})) != []
    assert list(differences(agreed, {"b": "x"})) == ["$.a: only in one"]
