"""A real Chromium, spoken to over a pipe in its DevTools protocol; and a small recommendation."""

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
from pathlib import Path

import pytest

BROWSER = "/usr/bin/chromium"
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
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": params}
        if self._session is not None:
            asked["sessionId"] = self._session
        os.write(self._ask, json.dumps(asked).encode() + b"\0")
        while (found := self._message()).get("id") != number:
            self._note(found)
        assert "error" not in found, found["error"]
        return found["result"]

    def look(self, width, height, *, dark=False):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url):
        self.call("Page.navigate", url=url)

    def script(self, expression):
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, expression):
        deadline = time.perf_counter() + WITHIN_S
        while not (found := self.script(expression)):
            assert time.perf_counter() < deadline, f"{expression} did not come true"
            time.sleep(0.02)
        return found

    def photograph(self, file, *, whole=False):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        Path(file).write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self._process.terminate()
        self._process.wait(WITHIN_S)
        os.close(self._ask)
        os.close(self._answer)

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


@pytest.fixture
def chromium() -> Iterator[Chromium]:
    if shutil.which(BROWSER) is None:
        reason = f"{BROWSER} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Chromium(Path(profile))
        try:
            yield browser
        finally:
            browser.close()
