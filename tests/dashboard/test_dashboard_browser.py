"""The dashboard as served, in a real Chromium, over a real run and a simulated load test."""

import pytest
from on_page import CHARTS, DRAWN, FIRST_ROW, ROWS, THERE, THUMB, VERDICT
from served import served
from simulated_loadtest import keep_loadtest

from dashboard.recorded import DEMO, Recorded
from loadtests.environment import utc_now
from pricing import load_book
from recommender.performance.speed_prior import SpeedPrior
from recommender.rerank import Changes, rerank
from recommender.store import RunStatus, open_store, this_process

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SELECTED = f"(({ROWS}.find(e => e.classList.contains('ag-row-selected')) || {{}}).innerText || '')"
CHOSEN = "document.querySelector('.look-choice input').value"
RANKED = "dash_ag_grid.getApi('ranked').getDisplayedRowCount()"
FITS = "document.documentElement.scrollWidth <= window.innerWidth"
# A chart is drawn before it takes clicks.
TAKES_CLICKS = (
    "document.querySelector('.frontier .js-plotly-plot')._ev.listeners('plotly_click').length > 0"
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory, environment):
    """A folder with a store, and the runs in it by what they are."""
    folder = tmp_path_factory.mktemp("served")
    with open_store(folder / "store.sqlite3", default_folder=folder) as store:
        real = Recorded.read(DEMO).keep_in(store)
        known = load_book(), SpeedPrior.bundled()
        found = rerank(store, real, Changes(), known, utc_now())
        store.add_recommendation(real.id, found.model_dump(mode="json"))
        failed = store.create_run("quick", "<b>a</b>", {}, {}, this_process())
        store.finish(failed.id, RunStatus.FAILED, error="<b>it</b> did not start")
        load = keep_loadtest(store, environment, leave=("offline",))
        store.finish(load.id, RunStatus.STOPPED, error="<b>stopped</b>")
    return folder, {"real": real.id, "failed": failed.id, "load": load.id}


@pytest.fixture(scope="module")
def address(filled):
    folder, _ = filled
    with served(folder, "--store", str(folder / "store.sqlite3")) as found:
        yield found


@pytest.fixture
def runs(filled):
    return filled[1]


@pytest.fixture(autouse=True)
def quiet(chromium):
    chromium.complaints.clear()
    yield
    assert chromium.complaints == []


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_every_page_fits_its_width_and_is_there_for_everybody(
    chromium, address, runs, width, dark
):
    chromium.look(width, 844, dark=dark)
    real = f"runs/{runs['real']}"
    pages = (
        "", "runs/demo", f"{real}/what-if?rate_rps=20&zones=2", f"{real}/export",
        f"{real}/measurements",
        f"runs/{runs['load']}", f"runs/{runs['failed']}", "model",
        f"{real}/scaling?rate_rps=240&kind=target&target=4000&most=9",
        f"{real}/what-if?zones=x", "new", "new?tab=loadtest", "runs",
        "prices?search=c7g", "prices?search=ml.trn2",
        f"compare?a={runs['load']}&b={runs['load']}&x=1+vCPU&y=slower",
    )  # fmt: skip
    for path in pages:
        chromium.open(address + path)
        chromium.wait_for(f"location.href === '{address}{path}' && {THERE} && {DRAWN}")
        chromium.wait_for(FITS)
        assert chromium.script(FITS), path
        assert chromium.script("document.querySelectorAll('#page table b').length") == 0, path
        assert chromium.violations() == [], path
    paper = chromium.script("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(17, 20, 24)") is dark


def test_light_and_dark_are_remembered(chromium, address):
    chromium.look(1280, 844)
    scheme = "document.documentElement.dataset.mantineColorScheme"
    chromium.open(f"{address}model")
    chromium.wait_for(THERE)
    for expected in ("dark", "light"):
        chromium.click("document.querySelector('.scheme')")
        chromium.wait_for(f"{scheme} === '{expected}'")
        chromium.open(f"{address}runs")
        chromium.wait_for(f"location.pathname === '/runs' && {THERE} && {scheme} === '{expected}'")
        assert chromium.script(scheme) == expected


def test_the_table_is_searched_filtered_and_follows_the_chart(chromium, address, runs):
    chromium.look(1280, 1200)
    chromium.open(f"{address}runs/{runs['real']}")
    chromium.wait_for(f"{THERE} && {DRAWN} && {ROWS}.length > 5 && {TAKES_CLICKS}")
    best, ranked = chromium.wait_for(FIRST_ROW), chromium.script(RANKED)
    chromium.click("[...document.querySelectorAll('.frontier .points path')].pop()")
    picked = chromium.wait_for(f"{SELECTED} !== {best!r} && {SELECTED}").removesuffix(" ★")
    chromium.wait_for(f"document.querySelector('#bill').innerText.startsWith('{picked}')")
    chromium.click("[...document.querySelectorAll('.way label')].find("
                   "each => each.innerText === 'EC2 spot')")  # fmt: skip
    chromium.wait_for(f"{RANKED} < {ranked} && {FIRST_ROW} !== {best!r}")
    chromium.type("document.querySelector('#ranked-search')", "ml.r")
    chromium.wait_for(f"{ROWS}.length > 3 && {ROWS}.every(e => e.innerText.includes('ml.r'))")


def test_what_cannot_be_asked_is_said_and_the_answer_stays(chromium, address, runs):
    chromium.look(1280, 1200)
    chromium.open(f"{address}runs/{runs['real']}/what-if")
    chromium.wait_for(f"{THERE} && !!{THUMB} && !!{FIRST_ROW}")
    before = chromium.script(VERDICT)
    chromium.type("document.querySelector('#ask-slo')", " and fast")
    chromium.wait_for(f"!!document.querySelector('.refusal') && {THERE}")
    assert chromium.script(VERDICT) == before


def test_the_summary_of_a_load_test_leads_to_its_tests(chromium, address, runs):
    chromium.look(1280, 844)
    chromium.open(f"{address}runs/{runs['load']}")
    chromium.wait_for(f"{THERE} && {CHARTS}.length === 14 && {DRAWN}")
    cut = f"{CHARTS}.some(e => e.querySelector('.main-svg').clientWidth > e.clientWidth + 1)"
    chromium.wait_for(f"!{cut}")
    assert not chromium.script(cut)
    chromium.script("[...document.querySelectorAll('.summary a')].pop().click()")
    chromium.wait_for(f"window.scrollY > 1000 && {THERE}")
    assert chromium.script("document.querySelector('h1') !== null")


def test_a_knob_of_the_policy_changes_the_verdict_and_the_address(chromium, address, runs):
    chromium.look(1280, 1200)
    chromium.open(f"{address}runs/{runs['real']}/scaling?rate_rps=240&kind=fixed&replicas=4")
    chromium.wait_for(f"{THERE} && {DRAWN} && {VERDICT}.startsWith('A fixed fleet of 4')")
    chromium.type("document.querySelector('#fleet-replicas')", "6")
    chromium.wait_for(f"{VERDICT}.startsWith('A fixed fleet of 46')")
    chromium.wait_for("location.search === '?rate_rps=240&kind=fixed&replicas=46'")


def test_the_address_of_a_comparison_follows_what_was_picked(chromium, address, runs):
    chromium.look(1280, 1200)
    load = f"a={runs['load']}&b={runs['load']}"
    chromium.open(f"{address}compare?{load}&x=1+vCPU&y=slower")
    chromium.wait_for(f"{THERE} && {VERDICT}.startsWith('Worse')")
    chromium.click("document.querySelector('#compare-swap')")
    chromium.wait_for(f"{VERDICT}.startsWith('Better') && location.search.includes('x=slower')")
    where = chromium.script("location.href")
    assert where == f"{address}compare?{load}&x=slower&y=1+vCPU"
    chromium.open(where)
    chromium.wait_for(f"{THERE} && {VERDICT}.startsWith('Better')")


def test_the_address_of_a_load_test_follows_the_run_that_is_looked_into(chromium, address, runs):
    chromium.look(1280, 1200)
    chromium.open(f"{address}runs/{runs['load']}")
    chromium.wait_for(f"{THERE} && {DRAWN}")
    assert chromium.script("location.search") == ""
    chromium.click("[...document.querySelectorAll('[id*=look-at]')].pop()")
    chromium.wait_for(f"location.search.startsWith('?run=') && {THERE}")
    where = chromium.script("location.href")
    chosen = chromium.wait_for(CHOSEN)
    chromium.open(where)
    chromium.wait_for(f"{THERE} && {CHOSEN} === {chosen!r}")
