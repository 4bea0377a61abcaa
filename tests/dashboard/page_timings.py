"""How long pages take to come and to answer, in a real Chromium; run it on a quiet machine:

python tests/dashboard/page_timings.py [--visits 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from chromium import fresh_browser
from on_page import COME
from served import served

VERDICT = "document.querySelector('#page h1').innerText"
THUMB = "document.querySelector('#ask-decades [role=slider]')"
ROWS = " && document.querySelectorAll('.ag-row').length > 0"
PAGES = {
    "recommendation": ("runs/demo", COME + ROWS),
    "what if": ("runs/demo/what-if", COME + ROWS),
    "export": ("runs/demo/export", COME),
    "runs": ("runs", COME),
    "prices": ("prices", COME + ROWS),
    "prices, all regions": ("prices?region=all", COME + ROWS),
    "model": ("model", COME),
    "scaling": ("runs/demo/scaling?rate_rps=240", COME),
}
# From the key to the frame in which the new verdict is drawn.
STEPS = 14  # of the slider from 50rps; past 100rps one is too small to be another rate
TURN = """new Promise(done => {
  const before = %s, began = performance.now();
  const seen = new MutationObserver(() => {
    if (%s !== before) {
      seen.disconnect();
      requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
    }
  });
  seen.observe(document.body, {childList: true, subtree: true, characterData: true});
  %s.dispatchEvent(new KeyboardEvent("keydown", {key: "%s", code: "%s", bubbles: true}));
})"""


def main(visits):
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as address:
        time.sleep(8)  # the demonstration is made ready meanwhile
        timed(address, visits)


def timed(address, visits):
    say(f"load average {os.getloadavg()[0]:.1f}; medians of {visits}, slowest in brackets")
    for name, (path, is_there) in PAGES.items():
        first = []
        for _ in range(visits):
            with fresh_browser() as browser:
                browser.look(1280, 900)
                first.append(come(browser, address + path, is_there))
                again = come(browser, address + path, is_there)
        say(f"{name:>15}  first {told(first)}   again {again * 1e3:.0f} ms")
    with fresh_browser() as browser:
        browser.look(1280, 900)
        come(browser, address + "runs/demo/what-if", COME + ROWS)
        step = TURN % (VERDICT, VERDICT, THUMB, "ArrowRight", "ArrowRight")
        turns = [browser.script(step) / 1e3 for _ in range(min(3 * visits, STEPS))]
        say(f"{'what if':>15}  a step of the slider, each a new question: {told(turns)}")


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def come(browser, address, is_there):
    began = time.perf_counter()
    browser.open(address)
    browser.wait_for(f"location.href === '{address}' && {is_there}")
    return time.perf_counter() - began


def told(seconds):
    return f"{statistics.median(seconds) * 1e3:.0f} ms ({max(seconds) * 1e3:.0f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=5)
    main(parser.parse_args().visits)
