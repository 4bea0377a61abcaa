"""The dashboard as served, in a real Chromium."""

import os
import re
import signal
import subprocess
import sys

import pytest
from simulated_loadtest import keep_loadtest

from recommender.store import RunStatus

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DRAWN = "document.querySelectorAll('.js-plotly-plot .point').length === 3"
FIRST_ROW = "document.querySelector('.ranked tbody tr').innerText"
WITHIN_S = 60


@pytest.fixture
def address(tmp_path):
    """Of the program as a user starts it; stopped by Ctrl-C."""
    program = "from recommender.cli import main; main()"
    command = [
        sys.executable, "-c", program,
        "dashboard", "--port", "0", "--store", str(tmp_path / "store.sqlite3"),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "RECOMMENDER_HOME": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            said = server.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
            assert found, said + server.stderr.read()
            yield found[0]
        finally:
            server.send_signal(signal.SIGINT)
            _, complained = server.communicate(timeout=WITHIN_S)
    assert server.returncode == 0
    assert complained == ""


def test_a_run_is_found_read_and_sorted(chromium, address, keep):
    run = keep()
    chromium.look(1280, 900)
    chromium.open(address)
    chromium.wait_for("!!document.querySelector('main table a')")
    chromium.script("document.querySelector('main table a').click()")
    chromium.wait_for(DRAWN)
    assert "for $73.00 a month" in chromium.script("document.querySelector('h1').innerText")
    assert chromium.script("location.pathname") == f"/runs/{run.id}"
    assert run.id in chromium.wait_for("document.title.includes('q2') && document.title")
    assert "2 × c7g.large" in chromium.script(FIRST_ROW)  # noqa: RUF001 - as options are written
    headings = "[...document.querySelectorAll('.sort')]"
    chromium.script(f"{headings}.find(each => each.innerText.includes('latency')).click()")
    chromium.wait_for(f"{FIRST_ROW}.includes('serverless')")
    chromium.script("document.querySelector('#ranked-groups input').click()")
    chromium.wait_for("document.querySelectorAll('.ranked tbody tr').length === 2")
    assert chromium.complaints == []


def test_a_load_test_fits_every_width_and_its_summary_leads_to_its_tests(
    chromium, address, store, environment
):
    run = keep_loadtest(store, environment, leave=("offline",))
    store.finish(run.id, RunStatus.STOPPED, error="<b>stopped</b>")
    charts = "[...document.querySelectorAll('.chart')]"
    for width, dark in ((1280, False), (390, True)):
        chromium.look(width, 844, dark=dark)
        chromium.open(f"{address}runs/{run.id}")
        chromium.wait_for(
            f"{charts}.length === 11 && {charts}.every(e => e.querySelector('.main-svg'))"
        )
        assert chromium.script("document.documentElement.scrollWidth <= window.innerWidth")
        cut = f"{charts}.some(e => e.querySelector('.main-svg').clientWidth > e.clientWidth + 1)"
        assert not chromium.script(cut)
        assert chromium.script("document.querySelectorAll('main b').length") == 0
    chromium.script("[...document.querySelectorAll('.summary a')].pop().click()")
    chromium.wait_for("window.scrollY > 1000")
    assert chromium.script("document.querySelector('h1') !== null")
    assert chromium.complaints == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_every_page_fits_its_width_without_complaint(chromium, address, keep, width, dark):
    run, failed = keep(), keep(failed=True)
    chromium.look(width, 844, dark=dark)
    for path in ("", f"runs/{run.id}", f"runs/{failed.id}", "runs/nope", "nowhere"):
        chromium.open(address + path)
        chromium.wait_for("!!document.querySelector('main h1')")
        assert chromium.script("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert chromium.script("document.querySelectorAll('main b').length") == 0, path
    paper = chromium.script("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(17, 20, 24)") is dark
    assert chromium.complaints == []
