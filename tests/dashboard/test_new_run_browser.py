"""A run that is asked for in a real Chromium: begun, watched, stopped, gone on with, deleted.

Only how it stands is judged, never what it measures.
"""

import pytest
from on_page import SETTLED, THERE

from loadtests.demo_server import DemoServer
from loadtests.demo_server.process import serving
from loadtests.journal import Journal
from recommender.store import RunStatus, open_store

pytestmark = [pytest.mark.browser, pytest.mark.slow]

JOB = "document.querySelector('.job')"
CHIP = f"{JOB}.querySelector('.chip').innerText"


def button(label):
    return f"[...document.querySelectorAll('.job button')].find(e => e.innerText === '{label}')"


@pytest.fixture
def measured(tmp_path):
    """The URL of a server that runs."""
    with serving(DemoServer(service="det:0.01"), Journal(tmp_path / "journal")) as server:
        yield server.base_url


def field(name):
    return f"document.querySelector('#new-{name}')"


def test_a_run_is_started_from_the_form_watched_stopped_and_deleted(
    chromium, address, tmp_path, measured, own_home
):
    payload = tmp_path / "one.json"
    payload.write_text("{}")
    chromium.complaints.clear()
    chromium.look(1280, 900)
    chromium.open(f"{address}new?kind=url&measure_s=30")
    chromium.wait_for(f"{THERE} && !!document.querySelector('#new-start')")
    chromium.type(field("where"), measured)
    chromium.type(field("traffic"), "5 cows")
    chromium.type(field("payloads"), str(payload))
    command = "document.querySelector('#new-command').innerText"
    chromium.wait_for(f"{command}.includes('5 cows') && {command}.includes('one.json')")
    chromium.click("document.querySelector('#new-start')")
    chromium.wait_for("document.querySelector('#new-said').innerText.includes('1 field')")
    said = "document.querySelector('#new-traffic-field').innerText"
    chromium.wait_for(f"{said}.includes('cows') && {SETTLED}")
    assert chromium.script(said).count("cows")
    chromium.retype(field("traffic"), "5rps")
    chromium.wait_for(f"{command}.includes('5rps') && !{command}.includes('cows')")
    chromium.wait_for("location.search.includes('traffic=5rps')")
    chromium.click("document.querySelector('#new-start')")
    chromium.wait_for(f"location.pathname.startsWith('/runs/q') && {THERE}")

    chromium.script("document.querySelector('.side-link[href=\"/runs\"]').click()")
    chromium.wait_for(f"location.pathname === '/runs' && !!{JOB}")
    chromium.wait_for(f"{CHIP} === 'running'")
    chromium.wait_for(f"{JOB}.querySelector('.progress-doing').innerText.length > 0")
    chromium.click(button("Stop"))
    chromium.wait_for(f"{CHIP} === 'stopped' && {SETTLED}")
    with open_store(own_home / "data" / "store.sqlite3", default_folder=own_home) as store:
        (run,) = store.runs()
        assert run.status is RunStatus.STOPPED
        chromium.click(f"{JOB}.querySelector('summary')")
        chromium.click(button("Delete for good"))
        chromium.wait_for(f"!{JOB}")
        assert store.runs() == ()
    assert chromium.complaints == []
