"""A real Chromium, spoken to over a pipe in its DevTools protocol."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

BROWSER = "/usr/bin/chromium"
AXE = Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js")
WITHIN_S = 60
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
# The middle of an element, or nothing while it moves or something else would get the click there.
STANDING = """new Promise(told => {
  const element = %s;
  if (!element) { told(null); return; }
  element.scrollIntoView({block: 'center'});
  const before = element.getBoundingClientRect();
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const at = element.getBoundingClientRect();
    const [x, y] = [at.x + at.width / 2, at.y + at.height / 2];
    const hit = document.elementFromPoint(x, y);
    const isStill = at.x === before.x && at.y === before.y && at.width === before.width;
    const taker = element.closest('.js-plotly-plot') || element; // a chart takes all clicks itself
    told(isStill && taker.contains(hit) ? [x, y] : null);
  }));
})"""

STILL = """document.getAnimations().every(each =>
  each.playState !== 'running' || each.effect.getComputedTiming().endTime === Infinity)"""


class Chromium:
    """One tab. Everything it complained about is in `complaints`."""

    def __init__(self, profile: Path) -> None:
        asks, self._ask = os.pipe()
        self._answer, answers = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4.
        shell = f'exec "$0" "$@" 3<&{asks} 4>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, BROWSER, *SWITCHES, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(asks, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(asks)
        os.close(answers)
        self._unread = b""
        self._numbers = itertools.count(1)
        self._session = None
        self.complaints = []
        targets = self.call("Target.getTargets")["targetInfos"]
        tab = next(each["targetId"] for each in targets if each["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=tab, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        found = self._answer_to(method, params)
        assert "error" not in found, found["error"]
        return found["result"]

    def _answer_to(self, method, params):
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": params}
        if self._session is not None:
            asked["sessionId"] = self._session
        os.write(self._ask, json.dumps(asked).encode() + b"\0")
        while (found := self._message()).get("id") != number:
            self._note(found)
        return found

    def look(self, width, height, *, dark=False):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url):
        """The document before it is gone then; what the next one shows may not be there."""
        self.script("window.isBefore = true")
        self.call("Page.navigate", url=url)
        self.wait_for("!window.isBefore")

    def script(self, expression):
        """The value; of a promise, what it comes to."""
        value, problem = self._evaluated(expression)
        assert problem is None, problem
        return value

    def wait_for(self, expression):
        """Its value, once that is true. What it looks into may not be there until then."""
        deadline = time.perf_counter() + WITHIN_S
        while True:
            value, problem = self._evaluated(expression)
            if problem is None and value:
                return value
            if time.perf_counter() > deadline:
                why = "" if problem is None else f" ({problem})"
                raise AssertionError(f"{expression} did not come true{why}; {self._seen()}")
            time.sleep(0.02)

    def _evaluated(self, expression):
        """The value, or why there is none; of a document that goes away there is none."""
        asked = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        found = self._answer_to("Runtime.evaluate", asked)
        problem = found.get("error") or found["result"].get("exceptionDetails")
        return (None, problem) if problem else (found["result"]["result"].get("value"), None)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def click(self, element):
        """With the mouse, in its middle, once it stands still and nothing lies over it.

        element: an expression.
        """
        x, y = self.wait_for(STANDING % element)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y,
                button="none" if kind == "mouseMoved" else "left", clickCount=1,
            )  # fmt: skip

    def type(self, field, text):
        """As if pasted, where the cursor is after a click. field: an expression of an input."""
        self.click(field)
        self.wait_for(f"document.activeElement === {field}")
        self.call("Input.insertText", text=text)
        self.wait_for(f"{field}.value.includes({json.dumps(text)})")

    def retype(self, field, text):
        """In the place of all that is in an input. field: an expression of it."""
        self.click(field)
        self.wait_for(f"document.activeElement === {field}")
        self.script(f"{field}.select()")
        self.call("Input.insertText", text=text)
        self.wait_for(f"{field}.value === {json.dumps(text)}")

    def violations(self):
        """Serious ones of WCAG 2 A and AA, as axe-core finds them on the page that is shown.

        Not inside of charts: axe-core has no opinion of drawings, and takes long to say so. Once
        nothing that moves or fades in has an end to come to.
        """
        self.wait_for(STILL)
        if not self.script("'axe' in window"):
            self.script(AXE.read_text(encoding="utf-8") + ";true")
        found = self.script(
            "axe.run({exclude: ['.main-svg']}, "
            "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], "
            "resultTypes: ['violations']}).then(found => found.violations"
            ".filter(each => ['serious', 'critical'].includes(each.impact))"
            ".map(each => `${each.id}: ${each.nodes.slice(0, 3).map(n => n.html)}`))"
        )
        return [each[:600] for each in found]

    def photograph(self, file, *, whole=False):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        Path(file).write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self._process.terminate()
        self._process.wait(WITHIN_S)
        os.close(self._ask)
        os.close(self._answer)

    def _seen(self):
        """What a reader of a failure would look at first."""
        held = self.script("document.activeElement.outerHTML.slice(0, 300)")
        page = self.script("location.href + ' says ' + document.body.innerText.slice(0, 3000)")
        return f"the cursor is in {held}; it complained of {self.complaints}; {page}"

    def _message(self):
        while b"\0" not in self._unread:
            readable, _, _ = select.select([self._answer], [], [], WITHIN_S)
            assert readable, "Chromium says nothing"
            chunk = os.read(self._answer, 1 << 16)
            assert chunk, "Chromium is gone"
            self._unread += chunk
        one, _, self._unread = self._unread.partition(b"\0")
        return json.loads(one)

    def _note(self, event):
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(event["params"]["exceptionDetails"]["text"])
            case "Log.entryAdded" if event["params"]["entry"]["level"] == "error":
                self.complaints.append(event["params"]["entry"]["text"])
            case "Runtime.consoleAPICalled" if event["params"]["type"] == "error":
                self.complaints.append(str(event["params"]["args"]))


def need_browser() -> None:
    if shutil.which(BROWSER) is None:
        reason = f"{BROWSER} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def fresh_browser() -> Iterator[Chromium]:
    """With a profile of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Chromium(Path(profile))
        try:
            yield browser
        finally:
            browser.close()
