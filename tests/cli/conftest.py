"""The program as a user runs it: a process of its own, with a home of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

DEMO = f"{sys.executable} -m loadtests.demo_server --port {{port}}"
INVALID = 4
PROGRAM = (sys.executable, "-c", "from recommender.cli import main; main()")


@dataclass
class Recommender:
    home: Path
    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """RECOMMENDER_TEST marks whatever the program starts, so that leftovers can be found."""
        scrubbed = {k: v for k, v in os.environ.items() if not k.startswith("RECOMMENDER_")}
        return scrubbed | {
            "RECOMMENDER_HOME": str(self.home),
            "RECOMMENDER_TEST": str(self.home),
            "PYTHONWARNINGS": "default",
        }

    @staticmethod
    def spelled_out(argument: str) -> str:
        """ "demo:" begins the command of the server whose truth is known."""
        return argument.replace("demo:", DEMO)

    def run(self, *arguments: str, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *map(self.spelled_out, arguments)],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def measure(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`run` of what measures; INVALID (4), for a busy neighbour, is asked again."""
        for _ in range(4):
            done = self.run(*arguments)
            if done.returncode != INVALID:
                break
        return done

    def write_plan(self, text: str) -> None:
        """plan.yaml, with what else the plans of the tests read."""
        (self.folder / "plan.yaml").write_text(self.spelled_out(text))
        (self.folder / "day.csv").write_text("requests\n360000\n720000\n")  # 100/s, 200/s
        times_s = (f"{0.005 * n:.3f}\n" for n in range(401))
        (self.folder / "times.txt").write_text("".join(times_s))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*PROGRAM, *map(self.spelled_out, arguments)],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def left_running(self) -> list[str]:
        """Command lines of living processes that descend from a run of this test."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("RECOMMENDER_TEST") == str(self.home):
                    found.append(" ".join(process.cmdline()))
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def nothing_left(self, within_s: float = 20) -> bool:
        ends = time.monotonic() + within_s
        while self.left_running():
            if time.monotonic() > ends:
                return False
            time.sleep(0.1)
        return True


@contextmanager
def recommender_in(place: Path) -> Iterator[Recommender]:
    folder = place / "work"
    folder.mkdir()
    (folder / "payload.json").write_text("{}")
    program = Recommender(place / "home", folder)
    yield program
    for process in program.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    program.run("cleanup")


@pytest.fixture
def recommender(tmp_path):
    with recommender_in(tmp_path) as program:
        yield program


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """One finished run of a server with a known capacity, for every test that only looks at it."""
    with recommender_in(tmp_path_factory.mktemp("measured")) as program:
        done = program.measure(
            *("quick", "--command", "demo: --servers 1 --service det:0.004", "--sizes", "1"),
            *("--measure-s", "2", "--payload", "payload.json", "--traffic", "50rps"),
            *("--quiet", "--json", "answer.json"),
        )
        assert done.returncode == 0, done.stderr
        yield program


@pytest.fixture(scope="module")
def self_tested(tmp_path_factory):
    """A short self-test of the instrument."""
    with recommender_in(tmp_path_factory.mktemp("self-test")) as program:
        yield program.run("doctor", "--self-test", "--duration-s", "2", "--json")


def unfinished(reports: list[str]) -> set[str]:
    """Scenarios that came to their end in none of them."""
    tests = [test for report in reports for test in json.loads(report)["tests"]]
    ended = {test["scenario"] for test in tests if test["state"] == "finished"}
    return {test["scenario"] for test in tests} - ended


@pytest.fixture(scope="module")
def loadtested(tmp_path_factory):
    """A plan carried out: the program, how it ended the last time, and the report of each time.

    Up to three times, until each test has come to its end once: INVALID is a busy neighbour's.
    """
    with ExitStack() as stack:

        def carry_out(
            plan: str,
        ) -> tuple[Recommender, subprocess.CompletedProcess[str], list[str]]:
            place = tmp_path_factory.mktemp("loadtest")
            program = stack.enter_context(recommender_in(place))
            program.write_plan(plan)
            files = ("--json", "report.json", "--markdown", "report.md")
            reports: list[str] = []
            for _ in range(3):
                done = program.run("loadtest", "plan.yaml", "--quiet", *files)
                reports.append((program.folder / "report.json").read_text())
                if done.returncode != INVALID or not unfinished(reports):
                    break
            return program, done, reports

        yield carry_out
