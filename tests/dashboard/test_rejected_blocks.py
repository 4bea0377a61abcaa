"""What would make a rejected option stand: the commonest first, the others a click away."""

import json

from dashboard.components.blocks import rejected
from dashboard.views import RejectedGroup, recommendation_view

HEAD = "To change this: "


def shown(group):
    return json.loads(json.dumps(rejected(group), default=lambda part: part.to_plotly_json()))


def parts(component):
    yield component
    children = component["props"].get("children") or []
    for each in children if isinstance(children, list) else [children]:
        if isinstance(each, dict):
            yield from parts(each)


def said(component):
    """Remedies in the open, and those that are folded away with what is said of them."""
    inner = list(parts(component))
    heads = [
        each["props"]["children"][1]
        for each in inner
        if each["type"] == "P" and each["props"]["children"][0] == HEAD
    ]
    folded = [each for each in inner[1:] if each["type"] == "Details"]
    return heads, folded


def test_the_commonest_remedies_come_first(recommendation):
    one, *_ = recommendation.rejected
    others = [one.model_copy(update={"remedy": each}) for each in ("b", "c", "c", "a", "c", "a")]
    view = recommendation_view(recommendation.model_copy(update={"rejected": tuple(others)}))
    assert view.rejected[0].remedies == ("c", "a", "b")


def test_two_remedies_are_shown_and_the_others_counted_and_folded_away():
    heads, folded = said(shown(RejectedGroup("5 are slow", (), ("a", "b", "c", "d", "e"))))
    assert heads == ["a", "b"]
    (details,) = folded
    inner = list(parts(details))
    assert next(each for each in inner if each["type"] == "Summary")["props"]["children"] == (
        "3 more of the kind"
    )
    (table,) = [each["props"]["data"] for each in inner if each["type"] == "Table"]
    assert table["body"] == [["c"], ["d"], ["e"]]


def test_where_there_are_two_nothing_is_folded_away():
    assert said(shown(RejectedGroup("2 are slow", (), ("a", "b")))) == (["a", "b"], [])
