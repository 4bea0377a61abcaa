"""A plan as text: what a form sends, and what a run is written back as."""

from pathlib import Path

import pytest
import yaml

from dashboard.asked_plan import EXAMPLE, asked_plan, folder_of, plan_text
from recommender.errors import BadRequest
from recommender.loadtest.reading import parse_plan, read_plan
from recommender.loadtest.request import LoadTestRequest

PLANS = {
    "example": EXAMPLE,
    "least": "model: sample\n",
    "url with a price": """\
model: {url: "http://127.0.0.1:9", environment: {A: 1}}
payloads: [{file: one.json, weight: 2}, {random_bytes: 10, content_type: a/b, weight: 1}]
configurations: [{name: here, usd_per_hour: 1.5}, {name: there, model: sample}]
slo: {fast: p95<10ms, slow: p95<1s}
limits: {usd: 3}
mode: compare
traffic: 20rps
variants: {here: 1, there: 3}
""",
    "search": """\
model: sample
mode: tune
environment: {WORKERS: [1, 2, 4]}
""",
}


def anything(plan):
    return plan


def nothing_opened(_plan):
    return None


@pytest.mark.parametrize("text", PLANS.values(), ids=PLANS)
def test_a_plan_written_back_reads_as_the_same_plan(text, tmp_path):
    plan = parse_plan(text, tmp_path, anything)
    written = plan_text(plan, tmp_path)
    assert parse_plan(written, tmp_path, anything) == plan
    for key in ("seed", "region", "generator"):
        assert key not in yaml.safe_load(written)


def test_the_plan_of_a_run_of_every_mode_can_be_asked_again(loadtests):
    asked = LoadTestRequest.model_validate(loadtests.run("latest").request)
    written = plan_text(asked.plan, asked.folder)
    assert parse_plan(written, asked.folder, anything) == asked.plan


def test_text_and_file_are_read_alike_and_refused_in_the_same_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = Path("plan.yaml")
    for text in (EXAMPLE, "model: sample\nslo: fast\nfoo: 1\n", "model: [", "[]", "a: 1\na: 2\n"):
        file.write_text(text)
        assert outcome(lambda: read_plan(file)) == outcome(
            lambda text=text: asked_plan(text, tmp_path, [], nothing_opened)
        )


def outcome(read):
    try:
        return read()
    except BadRequest as error:
        return str(error), error.hint


def test_nothing_is_opened_before_it_is_allowed(tmp_path):
    def refuse(plan):
        raise BadRequest(f"not {plan.scenarios[0].traffic.file}")

    text = "model: sample\nmode: fixed\ntraffic: {kind: hourly, file: nowhere.csv}\n"
    with pytest.raises(BadRequest, match=r"not nowhere\.csv"):
        asked_plan(text, tmp_path, [], refuse)


def test_uploads_stand_in_for_files_of_their_name(tmp_path):
    (tmp_path / "kept-hours").write_text("requests\n3600\n")
    taken = [
        {"name": "hours.csv", "path": str(tmp_path / "kept-hours"), "bytes": 1},
        {"name": "all.tar.gz", "path": "/kept/archive", "bytes": 1},
    ]
    text = (
        "model: {url: 'http://x'}\npayloads: [all.tar.gz, other.json]\nmode: fixed\n"
        "traffic: {kind: hourly, file: here/hours.csv}\n"
    )
    plan = asked_plan(text, tmp_path, taken, nothing_opened)
    assert plan.payloads[0].archive == "/kept/archive"
    assert plan.payloads[1].file == "other.json"
    assert plan.scenarios[0].traffic.mean_rps == 1.0


def test_what_refers_to_itself_is_no_plan(tmp_path):
    bomb = "a: &a [x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}]\n"
        for old, new in zip("abcdefghijklmnopqrst", "bcdefghijklmnopqrstu", strict=True)
    )
    for text in ("a: &a [*a]\n", "model: &m {environment: *m}\n", bomb):
        with pytest.raises(BadRequest):
            asked_plan(text, tmp_path, [], nothing_opened)


def test_a_folder_is_one_that_is_there(tmp_path):
    assert folder_of(f" {tmp_path} ") == tmp_path
    assert folder_of("") == Path.cwd()
    with pytest.raises(BadRequest, match="no folder"):
        folder_of(str(tmp_path / "nowhere"))
