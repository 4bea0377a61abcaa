"""Every page as a picture, light, dark and narrow, to be looked at:

python tests/dashboard/photograph_pages.py FOLDER [--only what-if]
"""

from __future__ import annotations

import argparse
import base64
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from chromium import fresh_browser
from conftest import ENVIRONMENT
from on_page import COME
from served import served
from simulated_loadtest import keep_loadtest

from dashboard.recorded import DEMO, Recorded
from loadtests.environment import utc_now
from pricing import load_book
from recommender.kept_verdicts import keep_recommendation, keep_verdict
from recommender.loadtest.building import build_report
from recommender.loadtest.verdict import verdict
from recommender.performance.speed_prior import SpeedPrior
from recommender.rerank import Changes, rerank
from recommender.store import RunStatus, open_store, this_process

HEIGHT = 900
LOOKS = {"light": (1280, False), "dark": (1280, True), "narrow": (390, False)}
SETTLED_S = 1.2
PRINTED = ("recommendation", "loadtest", "what-if")


def main(folder, only):
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        pages = {
            name: path for name, path in filled(Path(home)).items() if not only or only in name
        }
        store = str(Path(home, "store.sqlite3"))
        with served(Path(home), "--store", store) as address, fresh_browser() as browser:
            for look, (width, dark) in LOOKS.items():
                for name, path in pages.items():
                    browser.look(width, HEIGHT, dark=dark)
                    photograph(browser, address + path, folder / f"{name}-{look}.png")
            browser.look(1280, HEIGHT)
            for name in set(PRINTED) & set(pages):
                come(browser, address + pages[name])
                printed = browser.call("Page.printToPDF", printBackground=True)
                (folder / f"{name}.pdf").write_bytes(base64.b64decode(printed["data"]))
            for each in dict.fromkeys(browser.complaints):
                sys.stdout.write(f"complained: {each}\n")


def filled(home):
    """Pages by name, of a store with a run of each kind."""
    with open_store(home / "store.sqlite3", default_folder=home) as store:
        real = Recorded.read(DEMO).keep_in(store)
        found = rerank(store, real, Changes(), (load_book(), SpeedPrior.bundled()), utc_now())
        keep_recommendation(store, real.id, found)
        failed = store.create_run("quick", "a model", {}, {}, this_process())
        store.finish(failed.id, RunStatus.FAILED, error="the server did not start")
        load = keep_loadtest(store, ENVIRONMENT, leave=())
        report = build_report(store, load, load_book())
        keep_verdict(store, load.id, verdict(report))
        store.finish(load.id, RunStatus.FINISHED)
    return {
        "recommendation": "runs/demo",
        "what-if": "runs/demo/what-if",
        "scaling": "runs/demo/scaling",
        "measurements": "runs/demo/measurements",
        "export": "runs/demo/export",
        "runs": "runs",
        "new": "new",
        "compare": "compare",
        "prices": "prices",
        "model": "model",
        "loadtest": f"runs/{load.id}",
        "failed": f"runs/{failed.id}",
        "nowhere": "nowhere",
    }


def photograph(browser, address, file):
    come(browser, address)
    browser.photograph(file, whole=True)


def come(browser, address):
    browser.open(address)
    browser.wait_for(f"location.href.startsWith('{address}') && {COME}")
    time.sleep(SETTLED_S)  # what is fetched and drawn after the page has come


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    main(asked.folder, asked.only)
