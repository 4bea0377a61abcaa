"""What a browser has to load before it shows a page."""

import gzip

import pytest
from plotly.offline import get_plotlyjs_version

from dashboard.app import create_app
from dashboard.data import StoreRepository
from dashboard.scripts import PLOTLY_ADDRESS, PLOTLY_JS

MOST_MB, MOST_ZIPPED_MB = 5.8, 1.8  # of scripts on a page with a chart and a table


@pytest.fixture
def client(store):
    return create_app(StoreRepository(store)).server.test_client()


def scripts_of(client):
    page = client.get("/").text
    return [part.split('"')[0] for part in page.split('<script src="')[1:]]


def body_of(client, address):
    with client.get(address) as answer:
        assert answer.status_code == 200, address
        assert "javascript" in answer.headers["Content-Type"], address
        return answer.data


def test_the_charts_are_drawn_by_the_small_part_of_plotly(client):
    assert body_of(client, PLOTLY_ADDRESS) == PLOTLY_JS.read_bytes()
    head = PLOTLY_JS.read_text(encoding="utf-8")[:200]
    major = get_plotlyjs_version().split(".")[0]
    assert f"plotly.js (basic - minified) v{major}." in head


def test_what_is_not_needed_is_not_loaded(client):
    scripts = scripts_of(client)
    assert not [each for each in scripts if "polyfill" in each or "dash_table" in each]
    assert scripts.index("/vendored/regenerator-runtime.js") < next(
        number for number, each in enumerate(scripts) if "dash_core_components" in each
    )


def test_what_the_scripts_of_pages_have_in_common_comes_before_them(client):
    own = [each for each in scripts_of(client) if each.startswith("/assets/")]
    users = [each for each in own if b"window.recommender." in body_of(client, each)]
    assert len(users) > 3
    (common,) = [each for each in own if each.startswith("/assets/address.js")]
    assert own.index(common) < min(own.index(each) for each in users)


def test_scripts_stay_within_what_a_page_may_load(client):
    grid = "/_dash-component-suites/dash_ag_grid/async-community.js"
    bodies = [body_of(client, each) for each in (*scripts_of(client), PLOTLY_ADDRESS, grid)]
    assert sum(map(len, bodies)) / 1e6 < MOST_MB
    assert sum(len(gzip.compress(each)) for each in bodies) / 1e6 < MOST_ZIPPED_MB


def test_the_first_layout_brings_the_page_that_the_browser_is_at(client):
    shown = client.get("/_dash-layout", headers={"Referer": "http://localhost/runs?x=1"})
    assert "No runs yet" in shown.text
    address = shown.json["props"]["children"][0]["props"]
    assert (address["pathname"], address["search"]) == ("/runs", "?x=1")
    for elsewhere in ({}, {"Referer": "http://elsewhere.example/runs"}):
        kept = client.get("/_dash-layout", headers=elsewhere).text
        assert "No runs yet" not in kept
        assert "loading" in kept
