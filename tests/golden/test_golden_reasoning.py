"""The reasoning, made from the recommendations that stand agreed: no simulation can change it."""

import io
import json

import pytest
from rich.console import Console

from recommender.cli.explain import explanation_markdown, render_explanation
from recommender.explanation.account import explain
from recommender.explanation.document import Explanation
from recommender.recommendation import Recommendation

ASKED = {
    "best": ("answered", None),
    "other": ("answered", "serverless 2 GB"),
    "rejected": ("answered", "t3.nano"),
    "nothing": ("unanswered", None),
}


@pytest.fixture(params=ASKED)
def explained(request, golden):
    document, wanted = ASKED[request.param]
    agreed = Recommendation.model_validate_json(golden.read(f"{document}.json"))
    return f"explain-{request.param}", explain(agreed, wanted)


def test_the_reasoning_is_as_agreed(golden, explained):
    name, found = explained
    console = Console(
        file=io.StringIO(), width=120, no_color=True, highlight=False, force_terminal=False
    )
    render_explanation(console, found)
    text = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"
    assert text == golden.agreed(f"{name}.txt", text)


def test_the_markdown_of_the_reasoning_is_as_agreed(golden):
    agreed = Recommendation.model_validate_json(golden.read("answered.json"))
    text = explanation_markdown(explain(agreed))
    assert text == golden.agreed("explain-best.md", text)


def test_the_json_of_the_reasoning_is_as_agreed(golden):
    agreed = Recommendation.model_validate_json(golden.read("answered.json"))
    text = explain(agreed).model_dump_json(indent=1) + "\n"
    assert text == golden.agreed("explain-best.json", text)


def test_the_schema_of_an_explanation_is_as_agreed(golden):
    text = json.dumps(Explanation.model_json_schema(), indent=1, sort_keys=True) + "\n"
    assert json.loads(text) == json.loads(golden.agreed("explanation.schema.json", text))
