"""The price table in a real Chromium, and a report on paper."""

import json
from threading import Thread

import pytest
from on_page import THERE
from werkzeug.serving import make_server

from dashboard.app import create_app
from dashboard.data import StoreRepository
from dashboard.report import report_page
from recommender.store import open_store

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROWS = "document.querySelectorAll('#prices-grid .ag-pinned-left-cols-container .ag-row')"
FACTS = "document.querySelector('.price-head').innerText"
FITS = "document.documentElement.scrollWidth <= window.innerWidth"
PAPER_PX = 688  # 182 mm, of A4 between its margins


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prices")
    with open_store(folder / "store.sqlite3", default_folder=folder) as store:
        app = create_app(StoreRepository(store))
        server = make_server("127.0.0.1", 0, app.server, threaded=True)
        serving = Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.fixture(autouse=True)
def quiet(chromium):
    chromium.complaints.clear()
    yield
    assert chromium.complaints == []


def test_a_row_opens_its_facts_and_the_address_leads_back_to_them(chromium, address):
    chromium.look(1280, 1000)
    chromium.open(f"{address}prices")
    chromium.wait_for(f"{THERE} && {ROWS}.length > 5")
    drawn = chromium.script(f"{ROWS}.length")
    assert drawn < 60  # of nearly a thousand: what is out of sight is not there
    chromium.click(f"{ROWS}[0].querySelector('.ag-cell')")
    chromium.wait_for(f"location.search.startsWith('?row=') && {THERE}")
    facts = chromium.wait_for(FACTS)
    where = chromium.script("location.href")
    chromium.press("Escape")
    chromium.wait_for("location.search === ''")
    chromium.open(where)
    chromium.wait_for(f"{THERE} && {FACTS} === {json.dumps(facts)}")
    assert chromium.script(FACTS) == facts
    assert chromium.violations() == []


def test_a_search_leaves_what_it_names(chromium, address):
    chromium.look(390, 844, dark=True)
    chromium.open(f"{address}prices")
    chromium.wait_for(f"{THERE} && {ROWS}.length > 5")
    chromium.type("document.querySelector('#prices-search')", "g6f.large")
    chromium.wait_for(f"location.search === '?search=g6f.large' && {THERE}")
    told = f"[...{ROWS}].map(each => each.innerText.trim())"
    known = "['g6f.large', 'ml.g6f.large']"
    chromium.wait_for(f"{told}.length > 0 && {told}.every(each => {known}.includes(each))")
    names = chromium.script(told)
    assert names
    assert set(names) <= {"g6f.large", "ml.g6f.large"}
    chromium.wait_for(FITS)
    assert chromium.script(FITS)


def test_a_report_fits_its_paper_and_a_telephone(chromium, recommendation, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(report_page(recommendation), encoding="utf-8")
    chromium.look(PAPER_PX, 1000)
    chromium.call("Emulation.setEmulatedMedia", media="print")
    chromium.open(file.as_uri())
    chromium.wait_for("document.readyState === 'complete'")
    chromium.wait_for("document.querySelectorAll('.main-svg').length >= 2")
    right = (
        "Math.max(...[...document.querySelectorAll('.main-svg, table')]"
        ".map(each => each.getBoundingClientRect().right))"
    )
    width = "document.documentElement.scrollWidth"
    chromium.wait_for(f"{width} <= {PAPER_PX} && {right} <= {PAPER_PX}")
    assert chromium.script(width) <= PAPER_PX
    assert chromium.script(right) <= PAPER_PX
    chromium.call("Emulation.setEmulatedMedia", media="")
    chromium.look(390, 844)
    chromium.wait_for(f"window.innerWidth === 390 && {width} <= 390")
    assert chromium.script(width) <= 390
