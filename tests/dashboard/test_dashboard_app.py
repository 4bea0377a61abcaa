"""The application through Flask's test client: no browser, no network."""

import json
import shutil

import pytest
from asking import asker

from dashboard.access import LOOPBACK
from dashboard.app import create_app
from dashboard.data import StoreRepository
from pricing import Shelf, UnknownPriceBook, bundled_books
from recommender.errors import StoreUnreadable
from recommender.store import open_store

PAGE = "..page.children...page-title.data...navigation.children.."


@pytest.fixture
def repository(store):
    return StoreRepository(store)


@pytest.fixture
def ask(repository):
    return asker(create_app(repository))


def page(ask, path, search=""):
    """Its text as JSON, and its title."""
    inputs = [{"id": "address", "property": "pathname", "value": path}]
    state = [{"id": "address", "property": "search", "value": search}]
    answer = ask(PAGE, inputs, changed="address.pathname", state=state)
    return json.dumps(answer["page"]["children"], ensure_ascii=False), answer["page-title"]["data"]


def bill_of(app, run_id, selected):
    inputs = [{"id": "ranked", "property": "selectedRows", "value": selected}]
    state = [{"id": "question", "property": "data", "value": [run_id, ""]}]
    answer = asker(app)("bill.children", inputs, changed="ranked.selectedRows", state=state)
    return json.dumps(answer["bill"]["children"], ensure_ascii=False)


def test_the_runs_are_listed_newest_first_with_their_errors(ask, keep):
    first, second = keep(label="first"), keep(failed=True)
    shown, title = page(ask, "/")
    assert page(ask, "/runs") == (shown, title)
    assert title.startswith("Runs")
    assert shown.index(second.id) < shown.index(first.id)
    assert f"/runs/{first.id}" in shown
    assert "<b>it</b> did not start" in shown


def test_an_empty_store_says_how_to_begin(ask):
    shown, _ = page(ask, "/runs")
    assert "No runs yet" in shown
    assert "recommender quick" in shown
    assert "/runs/demo" in shown


def test_a_recommendation_shows_its_verdict_before_all_else(ask, keep):
    run = keep()
    shown, title = page(ask, f"/runs/{run.id}")
    assert run.id in title
    assert "for $73.00 a month" in shown
    for part in ("Cost against latency", "Ranked", "Bill, a month", "Not ranked: 3",
                 "What would make it surer", "Assumed", "Evidence"):  # fmt: skip
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


def test_the_bill_is_of_the_row_selected(repository, keep):
    run, app = keep(), create_app(repository)
    assert "ml.c7g.large, SageMaker real-time" in bill_of(app, run.id, [{"rank": 2}])
    assert "$81.76" in bill_of(app, run.id, {"ids": ["2"]})
    assert "serverless 2 GB" in bill_of(app, run.id, {"ids": ["3"]})


def test_two_applications_in_one_process_keep_to_their_own_store(tmp_path, keep, repository):
    run = keep()
    with open_store(tmp_path / "other.sqlite3", default_folder=tmp_path) as empty:
        first, second = create_app(repository), create_app(StoreRepository(empty))
        asks = asker(first), asker(second)
        assert run.id in page(asks[0], "/")[0]
        assert "No runs yet" in page(asks[1], "/runs")[0]
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


@pytest.fixture
def guarded(repository):
    return create_app(repository, hosts=None, token="a-token-of-some-length").server.test_client()  # noqa: S106


def test_without_the_token_nothing_is_answered(guarded):
    for path in ("/", "/runs/latest/export/json", "/assets/style.css", "/_dash-layout"):
        refused = guarded.get(path)
        assert refused.status_code == 401, path
        assert "asks for its token" in refused.text
    assert guarded.get("/?token=another-token-of-some").status_code == 401
    assert guarded.post("/_dash-update-component", json={}).status_code == 401


def test_the_token_comes_in_an_address_once_and_leaves_it(guarded):
    host = {"Host": "any.example"}
    entered = guarded.get("/runs/x?token=a-token-of-some-length&zones=2", headers=host)
    assert entered.status_code == 302
    assert entered.headers["Location"] == "/runs/x?zones=2"
    assert "HttpOnly" in entered.headers["Set-Cookie"]
    assert "SameSite=Strict" in entered.headers["Set-Cookie"]
    assert guarded.get("/", headers=host).status_code == 200


def test_a_token_cannot_send_anybody_elsewhere(guarded):
    entered = guarded.get("//elsewhere.example/?token=a-token-of-some-length")
    assert entered.headers.get("Location", "/").startswith("/")
    assert not entered.headers.get("Location", "/").startswith("//")


def test_more_than_a_table_of_hours_is_not_taken_in(repository):
    client = create_app(repository).server.test_client()
    much = {"output": "x" * 5_000_000}
    assert client.post("/_dash-update-component", json=much).status_code == 413


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("json", '{\n  "format": 2'),
        ("markdown", "# Recommendation"),
        ("report", "<!doctype html>"),
    ],
)
def test_an_answer_can_be_taken_along(repository, keep, name, begins):
    run = keep()
    client = create_app(repository).server.test_client()
    found = client.get(f"/runs/{run.id}/export/{name}")
    assert found.status_code == 200
    assert found.text.startswith(begins)
    assert f'attachment; filename="recommendation-{run.id}' in found.headers["Content-Disposition"]
    assert "script-src 'unsafe-inline'" in found.headers["Content-Security-Policy"]
    assert "73" in found.text


def test_a_page_of_another_site_may_not_act_by_this_one(repository):
    client = create_app(repository).server.test_client()
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 405)):
        assert client.post("/", headers={"Sec-Fetch-Site": site}).status_code == status
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_what_cannot_be_taken_along_is_said(repository, keep):
    run, failed = keep(), keep(failed=True)
    client = create_app(repository).server.test_client()
    for path, status, said in (
        (f"/runs/{run.id}/export/docx", 404, "no export called"),
        (f"/runs/{failed.id}/export/json", 404, "no recommendation yet"),
        ("/runs/nope/export/json", 404, "no run 'nope'"),
        (f"/runs/{run.id}/export/json?zones=many", 400, "no whole number"),
        (f"/runs/{run.id}/export/json?book=/etc", 400, "no price book '/etc'"),
    ):
        refused = client.get(path)
        assert (refused.status_code, said in refused.text) == (status, True), refused.text
        assert refused.headers["Content-Type"].startswith("text/plain")


def test_the_export_page_names_each_file_with_the_question(ask, keep):
    run = keep()
    shown, _ = page(ask, f"/runs/{run.id}/export")
    for name in ("report", "markdown", "json"):
        assert f'"/runs/{run.id}/export/{name}"' in shown
    assert "Deployment files" in shown
    assert "no recommendation yet" in page(ask, f"/runs/{keep(failed=True).id}/export")[0]


def test_books_that_were_fetched_can_be_asked_for_and_untrustworthy_ones_cannot(store, tmp_path):
    for name in ("2999-01-01", "2999-01-02"):
        shutil.copytree(bundled_books()[-1], tmp_path / name)
    (tmp_path / "2999-01-02" / "instances.csv").write_text("nonsense\n")
    repository = StoreRepository(store, shelf=Shelf(tmp_path))
    assert repository.books()[-1] == "2999-01-01"
    assert "us-east-1" in repository.regions("2999-01-01")
    with pytest.raises(UnknownPriceBook, match="2999-01-02"):
        repository.regions("2999-01-02")
