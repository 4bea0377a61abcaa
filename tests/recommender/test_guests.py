"""What somebody who asks from another machine may have done here."""

import pytest

from recommender.cli.quick import request_of
from recommender.errors import BadRequest
from recommender.guests import check_guest_plan, check_guest_request
from recommender.loadtest.plan import Plan
from recommender.request import Source
from recommender.uploads import Uploads

URL = "http://192.0.2.1:8080"


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path)


def plan(**given):
    return Plan.model_validate({"model": URL, "traffic": "10rps", "duration": "1s", **given})


def test_a_url_is_measured_with_what_was_uploaded(uploads, tmp_path):
    file = str(uploads.keep("payload.json", b"{}"))
    check_guest_request(request_of(["--url", URL, "--payload", file]), uploads)
    check_guest_plan(plan(payloads=file), tmp_path, uploads)
    check_guest_plan(plan(model="sample"), tmp_path, uploads)


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "command", "where": "python server.py {port}"},
        {"kind": "image", "where": "somebody/image"},
        {"kind": "build", "where": "folder"},
        {"kind": "model", "where": "folder"},
        {"kind": "sample", "environment": {"LD_PRELOAD": "uploaded.so"}},
    ],
    ids=lambda source: source["kind"],
)
def test_nothing_of_theirs_is_executed(uploads, source):
    request = request_of([]).model_copy(update={"source": Source(**source)})
    with pytest.raises(BadRequest, match="is refused"):
        check_guest_request(request, uploads)


def test_no_file_of_this_machine_is_read_for_them(uploads, tmp_path):
    file = tmp_path / "secret.json"
    file.write_text("{}")
    with pytest.raises(BadRequest, match="not uploaded"):
        check_guest_request(request_of(["--url", URL, "--payload", str(file)]), uploads)
    with pytest.raises(BadRequest, match="not uploaded"):
        check_guest_plan(plan(payloads="secret.json"), tmp_path, uploads)


@pytest.mark.parametrize(
    "given",
    [
        {"model": "python server.py {port}"},
        {"model": {"folder": "model"}},
        {"model": {"image": "somebody/image"}},
        {"model": {"build": "folder"}},
        {"model": {"pipeline": {"a": URL, "b": "python server.py {port}"}}},
        {"model": {"sample": True, "environment": {"LD_PRELOAD": "uploaded.so"}}},
        {"configurations": [{"environment": {"LD_PRELOAD": "uploaded.so"}}]},
        {"configurations": [{"name": "other", "model": "python server.py {port}"}]},
        {"payloads": {"python": "uploaded.py:body"}},
        {"payloads": {"archive": "payloads.tar"}},
        {"generator": {"expected": 1}},
        {"traffic": {"kind": "hourly", "file": "/etc/passwd"}},
        {
            "scenarios": [{"mode": "offline", "rows": "/etc/passwd"}],
            "traffic": None,
            "duration": None,
        },
    ],
    ids=str,
)
def test_nothing_in_a_plan_is_executed_or_read_either(uploads, tmp_path, given):
    whole = {"model": URL, "traffic": "10rps", "duration": "1s"} | given
    made = Plan.model_validate({key: each for key, each in whole.items() if each is not None})
    with pytest.raises(BadRequest, match="is refused"):
        check_guest_plan(made, tmp_path, uploads)
