"""The program as a user runs it: a process of its own, with a home of its own."""

import json
import os
import shutil
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
import yaml

from loadtests.journal import Journal

DEMO = f"{sys.executable} -m loadtests.demo_server --port {{port}}"
INVALID = 4
PLACEMENT = "placement.json"
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
    own, shared = program.home / "cache" / PLACEMENT, place.parent / PLACEMENT
    if shared.exists():  # the machine is the same one: benchmarks take seconds
        own.parent.mkdir(parents=True)
        shutil.copy(shared, own)
    yield program
    if own.exists():
        shutil.copy(own, shared)
    for process in program.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    Journal(program.home / "state" / "journal").clean_leftovers()


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


def spoilt(reports: list[str]) -> set[str]:
    """Scenarios of which a test was INVALID and came to its end in none of them."""
    tests = [test for report in reports for test in json.loads(report)["tests"]]
    states = {
        (test["scenario"], *test["configurations"]): {
            each["state"]
            for each in tests
            if (each["scenario"], each["configurations"])
            == (test["scenario"], test["configurations"])
        }
        for test in tests
    }
    return {
        scenario
        for (scenario, *_), seen in states.items()
        if "invalid" in seen and "finished" not in seen
    }


@pytest.fixture(scope="module")
def loadtested(tmp_path_factory):
    """A plan carried out: the program, how it ended the last time, and the report of each time.

    Up to five times, until each test that was INVALID, for a busy neighbour, has come to its end
    once. Not told by the exit status, in which a missed objective comes first.
    whole: each time all of it, else only the scenarios, which must have names, that were.
    """
    with ExitStack() as stack:

        def carry_out(
            plan: str, *, whole: bool = True
        ) -> tuple[Recommender, subprocess.CompletedProcess[str], list[str]]:
            place = tmp_path_factory.mktemp("loadtest")
            program = stack.enter_context(recommender_in(place))
            files = ("--json", "report.json", "--markdown", "report.md")
            reports: list[str] = []
            for _ in range(5):
                again = bool(reports) and not whole
                program.write_plan(only(plan, spoilt(reports)) if again else plan)
                done = program.run("loadtest", "plan.yaml", "--quiet", *files)
                reports.append((program.folder / "report.json").read_text())
                if not spoilt(reports):
                    break
            return program, done, reports

        yield carry_out


def only(plan: str, scenarios: set[str]) -> str:
    read = yaml.safe_load(plan)
    read["scenarios"] = [each for each in read["scenarios"] if each["name"] in scenarios]
    return yaml.safe_dump(read, sort_keys=False)
