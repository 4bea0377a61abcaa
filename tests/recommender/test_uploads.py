"""Files given to a form: bounded, safely named, and kept for as long as a run needs them."""

import os
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtests.environment import utc_now
from loadtests.workload import payload_files
from recommender import uploads as uploads_module
from recommender.errors import BadRequest
from recommender.uploads import MOST_BYTES, Uploads


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path)


def run(run_id, *files):
    return SimpleNamespace(id=run_id, request={"payloads": [str(file) for file in files]})


@given(
    name=st.text() | st.sampled_from(["../../x.json", "a\\b.json", "/etc/passwd", ".", "*[a].csv"])
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_whatever_it_is_called_it_lies_in_a_folder_of_its_own(tmp_path_factory, name):
    uploads = Uploads(tmp_path_factory.mktemp("home"))
    file = uploads.keep(name, b"body")
    assert file.parent.parent == uploads.folder
    assert payload_files(str(file)) == [file]
    assert file.read_bytes() == b"body"
    assert len(file.name) <= 80
    assert uploads.holds(file)


def test_the_kind_of_file_is_still_told_by_its_name(uploads):
    assert uploads.keep("my day (2).csv", b"1").name == "my_day_2_.csv"
    assert uploads.keep("x" * 300 + ".json", b"1").suffix == ".json"


def test_two_of_one_name_are_two(uploads):
    first, second = uploads.keep("a.json", b"1"), uploads.keep("a.json", b"2")
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")


def test_one_too_large_is_refused(uploads):
    uploads.keep("a.json", b"1" * MOST_BYTES)
    with pytest.raises(BadRequest, match="bytes"):
        uploads.keep("a.json", b"1" * (MOST_BYTES + 1))


def test_only_so_many_wait_for_a_run(uploads, monkeypatch):
    monkeypatch.setattr(uploads_module, "MOST_WAITING", 2)
    first, _ = uploads.keep("a.json", b"1"), uploads.keep("a.json", b"2")
    with pytest.raises(BadRequest, match="2 uploaded files"):
        uploads.keep("a.json", b"3")
    uploads.keep_for(run("q1", first))
    uploads.keep("a.json", b"3")


def test_those_that_no_run_was_started_with_go_after_a_day(uploads):
    old, used = uploads.keep("old.json", b"1"), uploads.keep("used.json", b"2")
    uploads.keep_for(run("q1", used))
    yesterday = utc_now().timestamp() - 25 * 3600
    for file in (old, used):
        os.utime(file.parent, (yesterday, yesterday))
    new = uploads.keep("new.json", b"3")
    assert (old.exists(), used.exists(), new.exists()) == (False, True, True)


def test_a_file_goes_with_the_last_run_that_needs_it(uploads, tmp_path):
    shared, own = uploads.keep("shared.json", b"1"), uploads.keep("own.json", b"2")
    mine = tmp_path / "mine.json"
    mine.write_text("{}")
    uploads.keep_for(run("q1", shared, own, mine))
    uploads.keep_for(run("q2", shared))
    uploads.release("q1")
    assert (shared.exists(), own.exists(), mine.exists()) == (True, False, True)
    uploads.release("q2")
    assert not shared.exists()


def test_nothing_else_is_taken_for_an_upload(uploads, tmp_path):
    file = uploads.keep("a.json", b"1")
    outside = tmp_path / "secret"
    outside.write_text("secret")
    above = [file.parent / ".." / ".." / "secret", file.parent, uploads.folder, outside]
    patterns = [file.parent.parent / "*" / "a.json", file.parent / "b.json", "a.json", ""]
    assert not any(uploads.holds(each) for each in (*above, *patterns))
