"""`recommender dashboard`: what it refuses, and the pictures it writes."""

import socket
import struct

import pytest
from click.testing import CliRunner

from dashboard import picture
from dashboard.picture import picture_page, write_picture
from recommender.cli.dashboard import dashboard_command
from recommender.errors import BadRequest, NothingMeasured, UnknownRun


@pytest.fixture
def invoke(tmp_path):
    def call(*arguments):
        given = [*arguments, "--store", str(tmp_path / "store.sqlite3")]
        return CliRunner().invoke(dashboard_command, given)

    return call


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org"])  # noqa: S104
def test_anything_but_loopback_is_refused_without_a_token(invoke, host):
    done = invoke("--host", host)
    assert isinstance(done.exception, BadRequest)
    assert done.exception.exit_code == 2
    assert host in str(done.exception)
    assert "ssh -L" in done.exception.hint
    assert "--token" in done.exception.hint


def test_a_token_that_can_be_guessed_is_refused(invoke):
    done = invoke("--host", "0.0.0.0", "--token", "letmein")  # noqa: S104 - it is refused
    assert isinstance(done.exception, BadRequest)
    assert "7 characters is too short" in str(done.exception)


def test_a_taken_port_is_named_before_anything_is_served(invoke):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = invoke("--port", str(port))
    assert isinstance(done.exception, BadRequest)
    assert str(port) in str(done.exception)
    assert "--port" in done.exception.hint


def test_a_picture_of_a_stored_run_stands_alone(invoke, keep, tmp_path):
    keep()
    file = tmp_path / "frontier.html"
    done = invoke("--picture", str(file), "--run", "latest")
    assert done.exit_code == 0, done.exception
    page = file.read_text(encoding="utf-8")
    assert "for $73.00 a month" in page
    assert "plotly.js v" in page
    assert "<script src" not in page
    assert "<link" not in page


def test_names_in_the_picture_are_not_markup(recommendation):
    best = recommendation.ranked[0]
    option = best.option.model_copy(update={"instance_type": "<img src=x onerror=alert(1)>"})
    spoiled = recommendation.model_copy(
        update={"ranked": (best.model_copy(update={"option": option}),)}
    )
    page = picture_page(spoiled)
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_a_picture_of_an_unknown_run_is_refused(invoke, keep, tmp_path):
    keep()
    assert isinstance(
        invoke("--picture", str(tmp_path / "f.html"), "--run", "nope").exception, UnknownRun
    )


def test_a_picture_of_a_run_without_a_recommendation_is_refused(invoke, keep, tmp_path):
    keep(failed=True)
    done = invoke("--picture", str(tmp_path / "f.html"))
    assert isinstance(done.exception, NothingMeasured)
    assert done.exception.exit_code == 4


@pytest.mark.parametrize("name", ["frontier.svg", "frontier"])
def test_another_kind_of_picture_is_refused_with_the_kinds_there_are(
    recommendation, tmp_path, name
):
    with pytest.raises(BadRequest) as refused:
        write_picture(tmp_path / name, recommendation)
    assert ".html" in refused.value.hint
    assert ".png" in refused.value.hint


def test_without_chromium_a_png_is_refused_with_the_way_round(
    recommendation, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadRequest, match="needs Chromium") as refused:
        write_picture(tmp_path / "frontier.png", recommendation)
    assert ".html" in refused.value.hint


def test_a_folder_that_is_not_there_is_named(recommendation, tmp_path):
    with pytest.raises(BadRequest, match="cannot be written"):
        write_picture(tmp_path / "nowhere" / "frontier.html", recommendation)


@pytest.mark.browser
@pytest.mark.usefixtures("browser_here")
def test_a_png_has_the_size_that_was_meant(recommendation, tmp_path):
    file = tmp_path / "frontier.png"
    write_picture(file, recommendation)
    data = file.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (picture.WIDTH, picture.HEIGHT)
    assert len(data) > 10_000
