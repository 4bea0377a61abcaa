"""The form of a new run through Flask's test client; what is begun waits, none starts."""

import base64
import json

import pytest
from asking_patterns import ask
from shown import shown

from dashboard.app import create_app, page_at
from dashboard.asked_plan import EXAMPLE
from dashboard.data import StoreRepository
from loadtests import sample_container
from recommender.cli.quick import request_of
from recommender.jobs import Jobs
from recommender.loadtest.request import LoadTestRequest
from recommender.request import QuickRequest

START, COMMAND, SAID = "new-start", "new-command", "new-said"
URL = {("new-kind", "value"): "url", ("new-where", "value"): "http://127.0.0.1:9"}


class Waiting(Jobs):
    """Keeps what is asked, and starts nothing."""

    def _begin(self, run):
        return run


def jobs_at(store, folder, **how):
    return Waiting(store, None, folder / "jobs", **how)


@pytest.fixture
def jobs(store, tmp_path):
    return jobs_at(store, tmp_path)


@pytest.fixture
def guests(store, tmp_path):
    return jobs_at(store, tmp_path, runs_programs=False)


@pytest.fixture
def app(store, jobs):
    return create_app(StoreRepository(store), jobs=jobs)


@pytest.fixture
def open_app(store, guests):
    return create_app(StoreRepository(store), jobs=guests)


def turn(app, given, changed=("new-traffic", "value")):
    return ask(app, "new-command.children", given, changed=changed)


def start(app, given):
    return turn(app, given, (START, "n_clicks"))


def faults(answer):
    return {
        name: props["error"]
        for name, props in answer.items()
        if name.startswith("new-") and props.get("error")
    }


def uploaded(jobs, name="one.json", content=b"[1]"):
    return {"name": name, "path": str(jobs.keep_upload(name, content)), "bytes": len(content)}


def form(store, jobs, search=""):
    return shown(StoreRepository(store), "/new", search, jobs)


def test_the_command_follows_what_is_typed(app, store):
    answer = turn(app, URL | {("new-traffic", "value"): "5rps, cv 3"})
    command = "recommender quick --url http://127.0.0.1:9 --traffic '5rps, cv 3'"
    assert answer[COMMAND]["children"] == command
    assert answer["new-copy"]["value"] == command
    assert answer["new-query"]["data"].startswith("kind=url&where=http://127.0.0.1:9&traffic=5rps")
    assert answer["new-where"]["label"] == "URL"
    assert answer["new-sizes-field"]["hidden"] is True
    assert answer["new-vcpus-field"]["hidden"] is False
    assert faults(answer) == {}
    assert store.runs() == ()


def test_nothing_is_begun_while_anything_is_wrong(app, store):
    answer = start(app, URL | {("new-traffic", "value"): "5", ("new-zones", "value"): 9})
    assert set(faults(answer)) == {"new-traffic", "new-zones"}
    assert "not in the range 1<=x<=6" in faults(answer)["new-zones"]
    assert "see 2 fields" in json.dumps(answer[SAID])
    assert "address" not in answer
    missing = start(app, URL)
    assert "there is no payload to send" in faults(missing)["new-payloads"]
    assert store.runs() == ()


def test_a_run_is_begun_as_the_command_would_and_its_page_is_opened(app, jobs, store):
    taken = uploaded(jobs)
    answer = start(app, URL | {("new-payload-files-taken", "data"): [taken]})
    (run,) = store.runs()
    assert answer["address"]["href"] == f"/runs/{run.id}"
    asked = request_of(["--url", "http://127.0.0.1:9", "--payload", taken["path"]])
    kept = QuickRequest.model_validate(run.request)
    assert kept.model_copy(update={"workload_digest": None}) == asked


def test_files_are_taken_in_named_and_left_out_again(app, jobs):
    packed = "data:application/json;base64," + base64.b64encode(b"[2]").decode()
    box = "new-payload-files-taken.data"
    sent = ("new-payload-files-sent", "data")
    given = {sent: [["../../<b>.json", packed]], ("new-payload-files-taken", "data"): []}
    answer = ask(app, box, given, changed=sent)
    (taken,) = answer["new-payload-files-taken"]["data"]
    assert jobs.holds(taken["path"])
    assert answer["new-payload-files-shown"]["children"][0]["type"] == "Li"

    leave = {"type": "new-payload-files-leave", "number": 0}
    key = json.dumps(leave, sort_keys=True, separators=(",", ":"))
    given = {("new-payload-files-taken", "data"): [taken], (key, "n_clicks"): 1}
    left = ask(app, box, given, changed=(leave, "n_clicks"), there=[leave])
    assert left["new-payload-files-taken"]["data"] == []


def test_what_cannot_be_taken_in_is_said(app):
    sent = ("new-payload-files-sent", "data")
    box = "new-payload-files-taken.data"
    for packed, said in (("data:,not base64!", "did not arrive whole"),
                         ("data:;base64," + "A" * 9_000_000, None)):  # fmt: skip
        if said is None:
            client = app.server.test_client()
            asked = {"output": "x", "inputs": [{"value": packed}]}
            assert client.post("/_dash-update-component", json=asked).status_code == 413
        else:
            given = {sent: [["a.json", packed]], ("new-payload-files-taken", "data"): []}
            answer = ask(app, box, given, changed=sent)
            assert said in json.dumps(answer)


def test_hours_become_the_traffic(app):
    packed = "data:text/csv;base64," + base64.b64encode(b"requests\n3600\n7200\n").decode()
    hours = ("new-hours", "contents")
    answer = ask(
        app, "new-traffic.value", {hours: packed, ("new-hours", "filename"): "h.csv"},
        changed=hours,
    )  # fmt: skip
    path = answer["new-traffic"]["value"]
    assert path.endswith("h.csv")
    assert faults(turn(app, {("new-traffic", "value"): path})) == {}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "command", "where": "touch {port}"}, "new-kind"),
        ({"kind": "build", "where": "/"}, "new-kind"),
        ({"kind": "image", "where": "evil"}, "new-kind"),
        ({"model": "/home"}, "new-model"),
        ({"payloads": "/etc/hostname"}, "new-payloads"),
        ({"traffic": "/etc/passwd"}, "new-traffic"),
        ({"environment": "A=1"}, "new-environment"),
    ],
)
def test_a_guest_is_refused_by_the_callback_and_not_only_by_the_page(
    open_app, store, given, field
):
    asked = {(f"new-{name}", "value"): value for name, value in given.items()}
    answer = start(open_app, asked)
    assert set(faults(answer)) == {field}
    assert "executes and reads nothing here" in faults(answer)[field]
    assert store.runs() == ()


def test_a_guest_cannot_make_a_file_of_this_machine_an_upload(open_app, store, guests):
    forged = {"name": "a.json", "path": "/etc/hostname", "bytes": 1}
    answer = start(open_app, URL | {("new-payload-files-taken", "data"): [forged]})
    assert "was not uploaded" in faults(answer)["new-payloads"]
    own = start(open_app, URL | {("new-payload-files-taken", "data"): [uploaded(guests)]})
    assert own["address"]["href"] == f"/runs/{store.runs()[0].id}"


def test_a_page_elsewhere_cannot_start_anything(app, store):
    """A form elsewhere can post text, and no JSON without being let to."""
    client = app.server.test_client()
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = client.post("/_dash-update-component", data="{}", content_type=kind)
        assert answer.status_code in (400, 415, 500)
        assert store.runs() == ()


def test_what_may_not_be_asked_is_not_offered(store, jobs, guests):
    assert "open to other machines" not in form(store, jobs)
    assert "open to other machines" in form(store, guests)
    assert "only reads" in form(store, None)


def test_an_address_fills_the_form_in(store, jobs):
    filled = form(store, jobs, "?kind=url&where=http://x&traffic=7rps&purchases=spot")
    assert "recommender quick --url http://x --traffic 7rps --purchase spot" in filled
    with_command = form(store, jobs, "?kind=command&where=rm")
    assert "recommender quick --command ''" in with_command
    page = page_at(StoreRepository(store), "/new", "?uploads=/etc/passwd", jobs)
    assert "no address can" in str(page.content.to_plotly_json())


def test_a_run_is_asked_again(app, store, jobs):
    start(app, {("new-traffic", "value"): "7rps", ("new-zones", "value"): "2"})
    filled = form(store, jobs, f"?from={store.runs()[0].id}")
    assert "recommender quick --traffic 7rps --zones 2" in filled
    tried(app, {("new-plan", "value"): EXAMPLE}, "plan-start")
    again = form(store, jobs, "?from=latest")
    assert "instance_type: ml.c7i.large" in again
    assert '"value": "loadtest"' in again


def tried(app, given=None, button="plan-explain"):
    given = {("new-plan", "value"): EXAMPLE} if given is None else given
    return ask(app, "plan-explained.children", given, changed=(button, "n_clicks"))


def test_a_plan_is_explained_before_anything_is_started(app, store):
    answer = json.dumps(tried(app), ensure_ascii=False)
    assert "4 tests, about 3 min" in answer
    assert "1 vCPU: fixed 50rps" in answer
    assert "1,500" in answer
    assert "not known" in answer
    assert store.runs() == ()


def test_a_load_test_is_begun_with_its_plan(app, store):
    answer = tried(app, button="plan-start")
    (run,) = store.runs()
    assert answer["address"]["href"] == f"/runs/{run.id}"
    plan = LoadTestRequest.model_validate(run.request).plan
    assert [each.name for each in plan.configurations] == ["1 vCPU", "2 vCPU, ml.c7i.large"]


def test_mistakes_in_a_plan_are_told_with_their_lines_and_nothing_is_stored(app, store):
    for text, said in (
        ("model: sample\nslo: fast\ntrafic: 5rps\n", "line 3, trafic"),
        ("model: [", "is not YAML"),
        ("x: &x [*x]", "is not a key here"),
        ("model: {url: 'http://x'}\npayloads: nowhere.json\n", "nowhere.json does not exist"),
        ("x" * 300_000, "letters"),
    ):
        for button in ("plan-explain", "plan-start"):
            answer = json.dumps(tried(app, {("new-plan", "value"): text}, button))
            assert said in answer
            assert "href" not in answer
    folder = {("new-plan", "value"): EXAMPLE, ("new-plan-folder", "value"): "/no/such"}
    assert "no folder" in json.dumps(tried(app, folder))
    assert store.runs() == ()


def test_what_a_plan_calls_by_the_name_of_an_upload_is_that_file(app, store, jobs):
    body = sample_container.payloads()[0]
    text = "model: {url: 'http://127.0.0.1:9'}\npayloads: samples/digit.csv\ntraffic: 5rps\n"
    given = {
        ("new-plan", "value"): text,
        ("new-plan-files-taken", "data"): [uploaded(jobs, "digit.csv", body)],
    }
    tried(app, given, "plan-start")
    request = LoadTestRequest.model_validate(store.runs()[0].request)
    assert request.workload().payloads[0].body == body


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: 'sh -c x'\n", "measuring by `command`"),
        ("model: {image: x}\n", "measuring by `image`"),
        ("model: sample\nconfigurations: [{model: {build: /}}]\n", "measuring by `build`"),
        ("model: {url: 'http://x'}\npayloads: {python: 'os:abort'}\n", "payloads by `python`"),
        ("model: {url: 'http://x'}\npayloads: /etc/passwd\n", "was not uploaded"),
        (
            "model: sample\nmode: fixed\ntraffic: {kind: hourly, file: /etc/passwd}\n",
            "was not uploaded",
        ),
        ("model: sample\nmode: offline\nrows: {file: /etc/passwd}\n", "was not uploaded"),
        ("model: sample\ngenerator: {expected: 1, port: 5}\n", "listens for load generators"),
    ],
)
def test_a_guest_has_no_plan_open_or_execute_anything_here(open_app, store, text, said):
    for button in ("plan-explain", "plan-start"):
        answer = json.dumps(tried(open_app, {("new-plan", "value"): text}, button))
        assert said in answer
        assert "root:" not in answer
    assert store.runs() == ()


def test_a_guest_may_test_a_server_that_runs_with_what_was_uploaded(open_app, store, guests):
    text = "model: {url: 'http://127.0.0.1:9'}\npayloads: one.json\ntraffic: 5rps\n"
    given = {
        ("new-plan", "value"): text,
        ("new-plan-files-taken", "data"): [uploaded(guests)],
        ("new-plan-folder", "value"): "/etc",
    }
    assert "href" in json.dumps(tried(open_app, given, "plan-start"))
    forged = given | {
        ("new-plan-files-taken", "data"): [{"name": "one.json", "path": "/etc/hostname"}]
    }
    assert "was not uploaded" in json.dumps(tried(open_app, forged, "plan-start"))
    assert len(store.runs()) == 1


def test_a_dashboard_that_only_reads_has_no_callback_that_starts(store):
    app = create_app(StoreRepository(store))
    assert not any("new-command" in each or "job-done" in each.split("...")[0]
                   for each in app.callback_map)  # fmt: skip


def test_a_form_that_is_none_of_ours_is_not_answered(app, store):
    assert start(app, {("new-kind", "value"): "resume", ("new-where", "value"): "x"}) == {}
    assert store.runs() == ()
