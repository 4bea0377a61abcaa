"""The application through Flask's test client: no browser, no network."""

import json

import pytest

from dashboard.app import LOOPBACK, create_app
from dashboard.data import StoreRepository
from recommender.errors import StoreUnreadable
from recommender.store import open_store

PAGE = "..page.children...page-title.data.."


@pytest.fixture
def repository(store):
    return StoreRepository(store)


@pytest.fixture
def ask(repository):
    return asker(create_app(repository))


def asker(app):
    client = app.server.test_client()

    def ask(output, inputs, *, changed, state=()):
        answered = client.post(
            "/_dash-update-component",
            json={
                "output": output,
                "outputs": outputs_of(app, output),
                "inputs": inputs,
                "state": list(state),
                "changedPropIds": [changed],
            },
        )
        assert answered.status_code == 200, answered.text
        return answered.json["response"]

    return ask


def outputs_of(app, output):
    for each in app.callback_map:
        if each == output:
            found = app.callback_map[each]["output"]
            return [spelled(one) for one in found]
    raise AssertionError(f"no callback for {output} among {list(app.callback_map)}")


def spelled(one):
    if isinstance(one.component_id, dict):
        return [
            {
                "id": {"type": one.component_id["type"], "by": key},
                "property": one.component_property,
            }
            for key in KEYS
        ]
    return {"id": str(one.component_id), "property": one.component_property}


KEYS = (
    "rank", "option", "group", "month_usd", "latency_s", "best_ratio", "million_usd",
    "capacity_rps", "utilization_ratio", "basis",
)  # fmt: skip


def page(ask, path):
    """Its text as JSON, and its title."""
    inputs = [{"id": "address", "property": "pathname", "value": path}]
    answer = ask(PAGE, inputs, changed="address.pathname")
    return json.dumps(answer["page"]["children"], ensure_ascii=False), answer["page-title"]["data"]


def rearrange(ask, app, run_id, *, changed, clicked=None, groups=(), order=("rank", False, 0)):
    output = next(each for each in app.callback_map if "ranked-rows" in each)
    headings = [
        {"id": {"type": "ranked-sort", "by": key}, "property": "n_clicks",
         "value": 1 if key == clicked else None}
        for key in KEYS
    ]  # fmt: skip
    inputs = [
        headings,
        {"id": "ranked-back", "property": "n_clicks"},
        {"id": "ranked-on", "property": "n_clicks"},
        {"id": "ranked-groups", "property": "value", "value": list(groups)},
    ]
    state = [
        {"id": "ranked-order", "property": "data", "value": list(order)},
        {"id": "ranked-run", "property": "data", "value": run_id},
    ]
    return ask(output, inputs, changed=changed, state=state)


def test_the_runs_are_listed_newest_first_with_their_errors(ask, keep):
    first, second = keep(label="first"), keep(failed=True)
    shown, title = page(ask, "/")
    assert title.startswith("Runs")
    assert shown.index(second.id) < shown.index(first.id)
    assert f"/runs/{first.id}" in shown
    assert "<b>it</b> did not start" in shown


def test_an_empty_store_says_how_to_begin(ask):
    shown, _ = page(ask, "/")
    assert "No runs yet" in shown
    assert "recommender quick" in shown


def test_a_recommendation_shows_its_verdict_before_all_else(ask, keep):
    run = keep()
    shown, title = page(ask, f"/runs/{run.id}")
    assert run.id in title
    assert "for $73.00 a month" in shown
    for part in ("Cost against latency", "Ranked", "Bill of the cheapest", "Not ranked: 3",
                 "Evidence", "Assumed"):  # fmt: skip
        assert shown.index("for $73.00 a month") < shown.index(part)


def test_the_start_of_an_id_and_latest_name_a_run(ask, keep):
    run = keep()
    for reference in ("latest", run.id[:-1]):
        assert "for $73.00 a month" in page(ask, f"/runs/{reference}")[0]


def test_an_unknown_run_is_answered_with_those_there_are(ask, keep):
    run = keep()
    shown, title = page(ask, "/runs/nope")
    assert "no run 'nope' in the store" in shown
    assert run.id in shown
    assert title.startswith("Not found")


def test_an_unknown_address_leads_back(ask):
    assert "There is no such page" in page(ask, "/elsewhere/entirely")[0]


def test_a_run_without_a_recommendation_says_why_and_how_to_go_on(ask, keep):
    run = keep(failed=True)
    shown, _ = page(ask, f"/runs/{run.id}")
    assert "No recommendation yet" in shown
    assert f"recommender quick --resume {run.id}" in shown


def test_nothing_ranked_still_shows_why(ask, store, keep, recommendation):
    run = keep()
    empty = recommendation.model_copy(update={"ranked": ()})
    store.add_recommendation(run.id, empty.model_dump(mode="json"))
    shown, _ = page(ask, f"/runs/{run.id}")
    assert "Nothing serves 50rps" in shown
    assert "2 need a measurement" in shown
    assert "Cost against latency" not in shown


def test_a_recommendation_of_another_version_is_refused_in_words(ask, store, keep, repository):
    run = keep()
    store.add_recommendation(run.id, {"format": 7})
    with pytest.raises(StoreUnreadable, match="another version"):
        repository.recommendation(run.id)
    assert "was written by another version" in page(ask, f"/runs/{run.id}")[0]


def test_a_click_on_a_heading_sorts_the_rows(repository, keep):
    run, app = keep(), create_app(repository)
    groups = ("EC2 spot", "SageMaker real-time", "SageMaker serverless")
    changed = '{"by":"latency_s","type":"ranked-sort"}.n_clicks'
    answer = rearrange(
        asker(app), app, run.id, changed=changed, clicked="latency_s", groups=groups
    )
    rows = json.dumps(answer["ranked-rows"]["children"], ensure_ascii=False)
    assert rows.index("serverless 2 GB") < rows.index("c7g.large")
    assert answer["ranked-order"]["data"] == ["latency_s", False, 0]
    assert answer['{"by":"latency_s","type":"ranked-heading"}']["aria-sort"] == "ascending"
    assert answer['{"by":"rank","type":"ranked-heading"}']["aria-sort"] == "none"


def test_ways_to_buy_that_are_not_chosen_leave_the_table(repository, keep):
    run, app = keep(), create_app(repository)
    answer = rearrange(asker(app), app, run.id, changed="ranked-groups.value", groups=["EC2 spot"])
    rows = json.dumps(answer["ranked-rows"]["children"], ensure_ascii=False)
    assert "c7g.large" in rows
    assert "serverless" not in rows
    assert answer["ranked-which"]["children"] == "1 to 1 of 1"


def test_two_applications_in_one_process_keep_to_their_own_store(tmp_path, keep, repository):
    run = keep()
    with open_store(tmp_path / "other.sqlite3", default_folder=tmp_path) as empty:
        first, second = create_app(repository), create_app(StoreRepository(empty))
        asks = asker(first), asker(second)
        assert run.id in page(asks[0], "/")[0]
        assert "No runs yet" in page(asks[1], "/")[0]
        assert "for $73.00 a month" in page(asks[0], f"/runs/{run.id}")[0]
        assert "the store holds no runs" in page(asks[1], f"/runs/{run.id}")[0]


def test_the_page_loads_nothing_from_elsewhere(repository):
    client = create_app(repository).server.test_client()
    shown = client.get("/")
    assert shown.status_code == 200
    for tag in ("src=", "href="):
        sources = [part.split('"')[1] for part in shown.text.split(tag)[1:]]
        assert sources
        assert all(each.startswith("/") and not each.startswith("//") for each in sources)
    policy = shown.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
    script_source = policy.split("script-src")[1].split(";")[0]
    assert "unsafe-inline" not in script_source


def test_each_asset_of_the_page_is_there(repository):
    client = create_app(repository).server.test_client()
    shown = client.get("/").text
    assets = [part.split('"')[1] for tag in ("src=", "href=") for part in shown.split(tag)[1:]]
    assert any(each.startswith("/assets/style.css") for each in assets)
    for asset in assets:
        with client.get(asset) as answer:
            assert answer.status_code == 200, asset


def test_a_page_elsewhere_cannot_read_it_under_a_name_of_its_own(repository):
    client = create_app(repository).server.test_client()
    assert client.get("/", headers={"Host": "rebound.example"}).status_code == 400
    for host in LOOPBACK:
        assert client.get("/", headers={"Host": f"{host}:8050"}).status_code == 200


def test_files_beside_the_assets_are_out_of_reach(repository):
    client = create_app(repository).server.test_client()
    for path in ("/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/..%2fapp.py"):
        assert client.get(path).text.find("create_app") == -1
