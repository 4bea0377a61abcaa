"""All of it as one person comes by it, in a real Chromium: from a form to a file to send on.

A run is begun and watched, its recommendation read, another traffic asked about, and the answer
shared and taken along. The run is a real one, of the sample container.
"""

import json
from pathlib import Path
from urllib.request import urlopen  # noqa: TID251 - on loopback

import pytest
from on_page import DRAWN, FIRST_ROW, SETTLED, THERE, THUMB, VERDICT

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.alone]

TRIES = 4  # of a run: INVALID is a busy neighbour's
FORM = "new?kind=sample&sizes=1&measure_s=2&traffic=50rps"
DOING = "!!document.querySelector('.progress-doing')"
FAILED = "[...document.querySelectorAll('.chip')].some(each => each.innerText === 'failed')"


def test_from_a_form_to_a_shared_answer_and_a_file(chromium, another_browser, address, tmp_path):
    chromium.complaints.clear()
    chromium.look(1280, 1200)
    run_and_watch(chromium, address)
    chromium.wait_for(f"{VERDICT}.includes('serves 50rps') && {SETTLED}")
    recommended = chromium.script(VERDICT)
    assert "serves 50rps" in recommended

    chromium.click("document.querySelector('.button-main')")
    chromium.wait_for(f"{THERE} && !!{THUMB} && {DRAWN} && !!{FIRST_ROW}")
    chromium.wait_for(f"{VERDICT} === {json.dumps(recommended)}")
    assert chromium.script(VERDICT) == recommended
    chromium.script(f"{THUMB}.focus()")
    chromium.press("Home")
    chromium.wait_for(f"{VERDICT}.startsWith('serverless') && location.search !== ''")
    chromium.wait_for(f"{FIRST_ROW}.startsWith('serverless') && {SETTLED}")
    seen = f"[{VERDICT}, {THUMB}.ariaValueNow, {FIRST_ROW}, location.search]"
    here = chromium.script(seen)
    assert here[0] != recommended
    assert here[3] == "?rate_rps=0.1"

    with another_browser() as other:
        other.look(1280, 1200)
        other.open(chromium.script("location.href"))
        other.wait_for(f"{THERE} && !!{THUMB} && !!{FIRST_ROW}")
        other.wait_for(f"JSON.stringify({seen}) === JSON.stringify({json.dumps(here)})")
        assert other.script(seen) == here
        assert other.complaints == []

    chromium.click("document.querySelector('#what-if-export')")
    chromium.wait_for(f"!!document.querySelector('.formats a') && {THERE}")
    chromium.open(taken_along(chromium, tmp_path).as_uri())
    chromium.wait_for("document.querySelectorAll('.main-svg').length >= 2")
    assert chromium.script("document.querySelector('h1').innerText") == here[0]
    assert chromium.complaints == []


def run_and_watch(chromium, address):
    """Leaves the browser at a recommendation."""
    for _ in range(TRIES):
        chromium.open(address + FORM)
        chromium.wait_for(f"{THERE} && !!document.querySelector('#new-start')")
        chromium.wait_for("document.querySelector('#new-command').innerText.includes('50rps')")
        chromium.click("document.querySelector('#new-start')")
        chromium.wait_for(f"location.pathname.startsWith('/runs/q') && ({DOING} || {FAILED})")
        chromium.wait_for(f"(!!{FIRST_ROW} && {DRAWN}) || {FAILED}")
        if not chromium.script(FAILED):
            return
    said = chromium.script("document.querySelector('#page').innerText")
    pytest.fail(f"no run of {TRIES} came to a recommendation: {said}")


def taken_along(chromium, folder):
    """The report, as it is saved."""
    file = Path(folder, "report.html")
    with urlopen(chromium.script("document.querySelector('.formats a').href")) as found:  # noqa: S310 - on loopback
        file.write_bytes(found.read())
    return file
