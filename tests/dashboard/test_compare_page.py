"""Two runs held against each other in the dashboard, through Flask's test client."""

import json

import pytest
from asking import asker
from shown import shown
from simulated_loadtest import PLAN, keep_loadtest

from dashboard.app import create_app
from dashboard.comparison import AskedPair, comparison_view
from dashboard.data import DEMO_RUN, StoreRepository, WithDemo
from dashboard.figures.comparison import forest, forest_figure
from dashboard.recorded import DEMO, Recorded
from recommender.comparison import Verdict, compare_runs
from recommender.errors import BadRequest
from recommender.store import RunStatus, open_store

PICKED = ("a", "b", "x", "y", "percent")


@pytest.fixture(scope="module")
def kept(tmp_path_factory, environment):
    """A repository with two runs of the demonstration and a load test of two configurations."""
    folder = tmp_path_factory.mktemp("compared")
    scenarios = [PLAN["scenarios"][0], PLAN["scenarios"][4]]
    with open_store(folder / "store.sqlite3", default_folder=folder) as store:
        recorded = Recorded.read(DEMO)
        runs = {"one": recorded.keep_in(store).id, "other": recorded.keep_in(store).id}
        load = keep_loadtest(store, environment, PLAN | {"scenarios": scenarios})
        runs["load"] = store.finish(load.id, RunStatus.FINISHED).id
        repository = WithDemo(StoreRepository(store))
        yield repository, runs
        repository.close()


@pytest.fixture
def repository(kept):
    return kept[0]


@pytest.fixture
def runs(kept):
    return kept[1]


@pytest.fixture(scope="module")
def variants(kept):
    repository, runs = kept
    asked = AskedPair(runs["load"], runs["load"], "1 vCPU", "slower")
    return compare_runs(*(repository.side(each) for each in asked.references))


def turn(repository, query, turned, value=None):
    """What the page is told when one control is turned."""
    app = create_app(repository)
    output = next(each for each in app.callback_map if "compare-body.children" in each)
    given = [{"id": f"compare-{each}", "property": "value", "value": value} for each in PICKED]
    inputs = [*given, {"id": "compare-swap", "property": "n_clicks", "value": 1}]
    state = [{"id": "compare-asked", "property": "data", "value": query}]
    changed = f"compare-{turned}." + ("n_clicks" if turned == "swap" else "value")
    return asker(app)(output, inputs, changed=changed, state=state)


def money(repository, query):
    app = create_app(repository)
    inputs = [{"id": "compare-asked", "property": "data", "value": query}]
    answer = asker(app)("compare-money.children", inputs, changed="compare-asked.data")
    return json.dumps(answer["compare-money"]["children"], ensure_ascii=False)


def test_with_fewer_than_two_runs_the_page_says_how_to_make_a_second(tmp_path, environment):
    with open_store(tmp_path / "store.sqlite3", default_folder=tmp_path) as store:
        repository = StoreRepository(store)
        assert "There is no run yet" in shown(repository, "/compare")
        keep_loadtest(store, environment, PLAN | {"scenarios": PLAN["scenarios"][:1]},
                      leave=("capacity",))  # fmt: skip
        assert "There is one run so far" in shown(repository, "/compare")
        assert "recommender quick --image mine:after" in shown(repository, "/compare")


def test_variants_of_a_load_test_are_compared_with_the_verdict_first(repository, runs):
    page = shown(repository, "/compare", f"?a={runs['load']}&b={runs['load']}&x=1+vCPU&y=slower")
    verdict = page.index("Worse after than before: capacity at ")
    parts = ("Differences", "Figure by figure", "In money", "The two runs", "How to read it")
    places = [page.index(f'"{part}"') for part in parts]
    assert [verdict, *places] == sorted([verdict, *places])
    assert "saturated throughput" in page
    assert '"worse"' in page


def test_the_newest_runs_of_a_kind_are_compared_unless_said_otherwise(repository, runs):
    known = repository.runs()
    assert AskedPair.told_by("", known).b == known[0].id
    asked = AskedPair.told_by(f"?b={runs['other']}", known)
    assert asked.a == runs["one"]
    assert AskedPair.told_by(f"?{asked.query}", known) == asked
    assert asked.swapped.swapped == asked


def test_the_start_of_an_id_names_a_run_in_full(repository, runs):
    page = shown(repository, "/compare", f"?a={runs['one'][:-1]}&b={runs['other']}")
    assert f'"data": "{AskedPair(runs["one"], runs["other"]).query}"' in page


def test_a_threshold_that_is_no_number_is_refused_in_words(repository, runs):
    with pytest.raises(BadRequest, match="no number of percent"):
        AskedPair.told_by(f"?a={runs['one']}&b={runs['other']}&threshold=much", repository.runs())
    assert "at most 100 %" in shown(
        repository, "/compare", f"?a={runs['one']}&b={runs['other']}&threshold=0"
    )


def test_exchanged_the_page_says_the_opposite_and_the_address_follows(repository, runs):
    asked = AskedPair(runs["load"], runs["load"], "1 vCPU", "slower")
    answer = turn(repository, asked.query, "swap")
    assert answer["compare-asked"]["data"] == asked.swapped.query
    assert answer["compare-x"]["value"] == "slower"
    assert "Better after than before" in json.dumps(answer["compare-body"]["children"])


def test_another_run_brings_its_own_configurations(repository, runs):
    asked = AskedPair(runs["load"], runs["load"], "1 vCPU", "slower")
    answer = turn(repository, asked.query, "b", runs["one"])
    assert answer["compare-asked"]["data"] == AskedPair(runs["load"], runs["one"], "1 vCPU").query
    assert answer["compare-y"] == {"value": None, "data": [], "style": {"display": "none"}}
    assert answer["compare-x"]["data"] == ["1 vCPU", "slower"]


def test_a_larger_threshold_is_in_the_address_and_the_verdict(repository, runs):
    asked = AskedPair(runs["load"], runs["load"], "1 vCPU", "slower")
    answer = turn(repository, asked.query, "percent", "20")
    assert answer["compare-asked"]["data"].endswith("threshold=20")
    assert "Worse after than before" in json.dumps(answer["compare-body"]["children"])


def test_a_run_that_is_not_there_is_answered_in_words(repository, runs):
    page = shown(repository, "/compare", f"?a=q-nope&b={runs['one']}")
    assert "These cannot be compared" in page
    assert "no run 'q-nope'" in page


def test_the_demonstration_can_be_compared_with_a_run_of_the_users(repository, runs):
    asked = AskedPair(DEMO_RUN, runs["one"])
    page = shown(repository, "/compare", f"?{asked.query}")
    assert "capacity at the SLO" in page
    ranked = money(repository, asked.query)
    assert "a month" in ranked
    assert "at the prices of book" in ranked


def test_configurations_without_a_price_say_so(repository, runs):
    asked = AskedPair(runs["load"], runs["load"], "1 vCPU", "slower")
    assert "no configuration compared has a capacity and a price" in money(repository, asked.query)


def test_every_figure_is_in_the_table_and_every_ratio_in_the_picture(variants):
    view, drawn = comparison_view(variants), forest(variants)
    assert len(view.differences) == len(variants.differences)
    ratios = [each for each in variants.differences if each.is_ratio]
    assert len(drawn.rows) == len(ratios)
    assert {each.verdict for each in drawn.rows} >= {Verdict.WORSE}
    worst = next(each for each in drawn.rows if each.label.startswith("saturated throughput"))
    assert worst.value == pytest.approx(4 / 6, rel=0.05)
    assert worst.low < 4 / 6 < worst.high


def test_the_picture_has_one_in_its_middle_and_the_band_around_it(variants):
    figure = forest_figure(forest(variants))
    low, high = figure.layout.xaxis.range
    assert low == pytest.approx(-high)
    band, line = figure.layout.shapes
    assert (band.x0, band.x1) == pytest.approx((1 / 1.05, 1.05))
    assert line.x0 == line.x1 == 1
    assert 1.0 in figure.layout.xaxis.tickvals
    drawn = [trace for trace in figure.data if trace.showlegend is not False]
    assert len({(trace.marker.color, trace.marker.symbol) for trace in drawn}) == len(drawn)


def test_names_from_data_cannot_become_markup_in_the_picture(variants):
    drawn = forest(variants)
    spoiled = drawn._replace(rows=(drawn.rows[0]._replace(label="<img src=x>", hover="<b>x"),))
    text = json.dumps(forest_figure(spoiled).to_dict(), default=str)
    assert "<img" not in text
    assert "<b>x" not in text
