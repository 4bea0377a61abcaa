"""What a browser is told to fetch ahead, and what it may keep."""

import re

import pytest

from dashboard.app import create_app
from dashboard.data import StoreRepository


@pytest.fixture
def visit(store):
    """Status, text and caching of an address."""
    get = create_app(StoreRepository(store)).server.test_client().get

    def visited(path):
        with get(path) as answer:
            return answer.status_code, answer.text, answer.headers.get("Cache-Control", "")

    return visited


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/runs/demo", {"async-community.js", "async-graph.js", "plotly.min.js"}),
        ("/runs/demo/what-if", {"async-community.js", "async-graph.js", "plotly.min.js"}),
        ("/runs/demo/scaling", {"async-graph.js", "plotly.min.js"}),
        ("/model", {"async-graph.js", "plotly.min.js"}),
        ("/prices", {"async-community.js"}),
        ("/runs", set()),
        ("/runs/demo/export", set()),
        ("/new", set()),
    ],
)
def test_a_page_fetches_ahead_what_draws_its_charts_and_tables_and_nothing_else(
    visit, path, wanted
):
    _, page, _ = visit(path)
    found = re.findall(r'<link rel="preload" as="script"[^>]* href="([^"]+)">', page)
    assert {each.rsplit("/", 1)[1] for each in found} == wanted
    for each in found:
        assert visit(each)[0] == 200


def test_an_asset_named_by_its_time_is_kept_and_one_that_is_not_is_asked_for_again(visit):
    _, page, _ = visit("/runs")
    named = re.findall(r'"(/assets/[^"]+\?m=[^"]+)"', page)
    assert len(named) > 5
    for each in named:
        assert "immutable" in visit(each)[2]
        assert "immutable" not in visit(each.split("?")[0])[2]
    assert "immutable" not in visit("/assets/no-such.js?m=1")[2]
    assert "immutable" not in visit("/runs?m=1")[2]
