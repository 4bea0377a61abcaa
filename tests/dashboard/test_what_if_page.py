"""Another question, through Flask's test client, on the recorded run of an empty store."""

import base64
import json
from dataclasses import replace

import pytest
from asking import asker
from shown import shown

from dashboard.app import create_app
from dashboard.asked import Asked
from dashboard.components.controls import KIND_CHOICES, VALUED, Control, kinds_in, of_kinds, turned
from dashboard.data import DEMO_RUN
from dashboard.figures.cost_curves import costs, costs_figure
from dashboard.questions import Questioned
from recommender.kinds import cheapest_of_each_kind, kind_of


@pytest.fixture(scope="module")
def before(demo):
    return Questioned.of(demo, DEMO_RUN)


def turn(repository, control, value=None, query="", **other):
    """What the page is told when one control is turned."""
    app = create_app(repository)
    output = next(each for each in app.callback_map if "what-if-verdict" in each)
    inputs = [
        *({"id": each.value, "property": "value", "value": value} for each in VALUED),
        {"id": "ask-hours", "property": "contents", "value": other.get("dropped")},
        {"id": "ask-steady", "property": "n_clicks", "value": 1},
    ]
    state = [{"id": "question", "property": "data", "value": [DEMO_RUN, query]}]
    changed = f"{control.value}.{other.get('property', 'value')}"
    return asker(app)(output, inputs, changed=changed, state=state)


def test_an_empty_store_opens_on_a_run_that_says_it_is_a_demonstration(demo):
    first = shown(demo, "/")
    assert "A demonstration." in first
    assert "as it was measured on another machine on 2026-11-21" in first
    assert "c8g.medium" in first
    assert demo.runs() == ()


def test_an_address_shows_its_question_in_the_controls_and_its_answer(demo):
    page = shown(demo, "/runs/demo/what-if", "?rate_rps=4&zones=2&platforms=ec2")
    assert "serves 4rps" in page
    assert '"value": "2"' in page
    assert "SageMaker serverless" in page  # the choice is there, and not taken
    assert '"data": ["demo", "rate_rps=4&platforms=ec2&zones=2"]' in page


def test_the_slider_changes_the_winner_and_the_address(demo):
    few = turn(demo, Control.DECADES, 0.0)
    assert few["question"]["data"] == [DEMO_RUN, "rate_rps=1"]
    assert "serverless 1 GB" in json.dumps(few["what-if-verdict"]["children"])
    assert few["ranked"]["rowData"][0]["group"] == "SageMaker serverless"
    assert few["ask-rate"]["value"] == 1.0
    back = turn(demo, Control.RATE, 50, query="rate_rps=1")
    assert back["question"]["data"] == [DEMO_RUN, ""]
    assert "EC2 spot" in json.dumps(back["what-if-verdict"]["children"])


def test_a_dropped_table_gives_the_traffic_its_shape_until_it_is_made_steady(demo):
    table = "requests\n" + "\n".join(str(3600 * (1 + hour % 12)) for hour in range(24))
    contents = "data:text/csv;base64," + base64.b64encode(table.encode()).decode()
    shaped = turn(demo, Control.HOURS, dropped=contents, property="contents")
    said = json.dumps(shaped["what-if-shape"]["children"])
    assert "In the shape of 24 hours; the peak is 1.8 times the mean." in said
    query = shaped["question"]["data"][1]
    assert query.startswith("rate_rps=6.5&hours=")
    steady = turn(demo, Control.STEADY, query=query, property="n_clicks")
    assert steady["question"]["data"] == [DEMO_RUN, "rate_rps=6.5"]


@pytest.mark.parametrize(
    ("control", "value", "said"),
    [
        (Control.SLO, "p95<fast", "p95<fast"),
        (Control.REGION, "moon-1", "moon-1"),
        (Control.ZONES, "9", "zones"),
        (Control.BOOK, "/etc", "no price book"),
    ],
)
def test_what_cannot_be_asked_changes_nothing_but_says_why(demo, control, value, said):
    answer = turn(demo, control, value)
    assert set(answer) == {"what-if-said"}
    assert said in json.dumps(answer["what-if-said"]["children"])


def test_a_control_left_empty_changes_nothing(before):
    for control in VALUED:
        assert turned(before.asked, control, {control.value: None}) == before.asked


def test_every_control_changes_its_own_field(before):
    values = {
        Control.DECADES: 2.0, Control.RATE: 7, Control.SLO: "p99<1s", Control.REGION: "eu-west-1",
        Control.PLATFORMS: ["ec2"], Control.PURCHASES: ["spot"], Control.HEADROOM: 40,
        Control.ZONES: "3", Control.BOOK: "another", Control.KINDS: "spot",
    }  # fmt: skip
    assert set(values) == set(VALUED)
    changed = [turned(before.asked, each, {each.value: value}) for each, value in values.items()]
    assert all(each != before.asked for each in changed)
    assert changed[2:] == [
        replace(before.asked, slo="p99<1s"),
        replace(before.asked, region="eu-west-1"),
        replace(before.asked, platforms=("ec2",)),
        replace(before.asked, purchases=("spot",)),
        replace(before.asked, headroom_percent=40),
        replace(before.asked, zones=3),
        replace(before.asked, book="another"),
        replace(before.asked, platforms=("ec2",), purchases=("spot",)),
    ]


@pytest.mark.parametrize("kinds", KIND_CHOICES)
def test_of_the_kinds_that_may_be_used_each_is_ranked_and_no_other(demo, before, kinds):
    asked = of_kinds(before.asked, kinds)
    assert kinds_in(asked) == kinds
    found = before.answer(demo, asked)
    assert {kind_of(each.option) for each in found.ranked} == set(kinds.split("+"))


def test_where_spot_alone_is_bought_there_is_no_serverless(demo, before):
    asked = replace(before.asked, platforms=("serverless", "ec2"), purchases=("spot",))
    assert kinds_in(asked) == "spot"
    assert {kind_of(each.option) for each in before.answer(demo, asked).ranked} == {"spot"}


def test_the_cheapest_of_each_kind_stand_side_by_side_and_who_is_not_asked_says_so(demo, before):
    everything = cheapest_of_each_kind(before.answer(demo, before.asked))
    assert [each.kind for each in everything] == ["serverless", "provisioned", "spot"]
    assert min(each.more_ratio for each in everything) == 0
    alone = cheapest_of_each_kind(before.answer(demo, of_kinds(before.asked, "provisioned")))
    assert [each.why_none for each in alone] == ["not asked for", None, "not asked for"]
    assert alone[1].best.cost == everything[1].best.cost


def test_turning_kinds_turns_what_serves_and_how_it_is_bought(demo):
    answer = turn(demo, Control.KINDS, "serverless")
    assert answer["question"]["data"] == [
        DEMO_RUN, "platforms=serverless&purchases=on-demand"
    ]  # fmt: skip
    assert answer["ask-platforms"]["value"] == ["serverless"]
    cards = json.dumps(answer["what-if-kinds"]["children"])
    assert "not asked for" in cards
    assert "/runs/demo/scaling?platforms=serverless&purchases=on-demand&shape=own" in cards


def test_the_run_as_it_was_asked_keeps_its_own_traffic(before):
    assert before.asked.demand(before.demand) == before.demand
    assert Asked.of(before.demand, before.asked.book) == before.asked


def test_the_chart_marks_what_was_asked_and_where_another_way_is_cheapest(demo, before):
    drawn = costs(before.answer(demo, before.asked))
    assert drawn.asked_requests == pytest.approx(50 * 3600 * 730)
    assert {each.name for each in drawn.lines} >= {"EC2 spot", "SageMaker serverless"}
    (turn_point,) = [each for each in drawn.turns if each.below == "SageMaker serverless"]
    assert turn_point.above == "EC2 spot"
    assert 0 < turn_point.requests < drawn.asked_requests
    for line in drawn.lines:
        assert list(line.requests) == sorted(line.requests)
        assert len(line.usd) == len(line.requests)
    figure = costs_figure(drawn)
    assert [shape.x0 for shape in figure.layout.shapes] == [drawn.asked_requests]
    assert len(figure.data) == len(drawn.lines) + 1


def test_names_from_data_cannot_become_markup_in_the_chart(demo, before):
    drawn = costs(before.answer(demo, before.asked))
    spoiled = drawn._replace(lines=(drawn.lines[0]._replace(option="<img src=x>"),))
    assert "<img" not in json.dumps(costs_figure(spoiled).to_dict(), default=str)
