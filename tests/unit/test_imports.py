"""Importing any module of ours defines names and does nothing else."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("recommender", "loadtests", "pricing", "dashboard")
ENGINE = "loadtests.locustfile"  # a program of its own: Locust patches the standard library
# Run by others, never imported: inside a container, by Alembic.
PROGRAMS = ("loadtests.containers", "recommender.store.migrations")

# Watches what Python itself reports of files, processes and sockets (PEP 578), and threads. Ours
# are imported twice: what other people's packages do on import is over when they are watched.
WATCHER = """
import importlib, json, os, signal, sys, threading

done = []
doing = None

def watch(event, arguments):
    if doing is None:
        return
    if event == "open":
        path, mode, flags = arguments
        if flags is not None and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            done.append((doing, event, str(path)))
    elif event in WATCHED or event.startswith("subprocess."):
        done.append((doing, event, repr(arguments)[:200]))

WATCHED = {
    "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system", "os.mkdir", "os.rename",
    "os.remove", "os.rmdir", "os.symlink", "os.link", "os.putenv", "os.unsetenv", "os.chdir",
    "shutil.rmtree", "tempfile.mkstemp", "tempfile.mkdtemp", "sqlite3.connect",
    "socket.connect", "socket.bind", "socket.getaddrinfo",
}
begin = threading.Thread.start

def start(thread):
    done.append((doing, "threading.Thread.start", thread.name))
    begin(thread)

threading.Thread.start = start
for name in sys.argv[2:]:
    importlib.import_module(name)
for name in [name for name in sys.modules if name.partition(".")[0] in sys.argv[1].split(",")]:
    del sys.modules[name]
sys.addaudithook(watch)
handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
for doing in sys.argv[2:]:
    importlib.import_module(doing)
doing = None
print(json.dumps({
    "done": done,
    "threads": [thread.name for thread in threading.enumerate()],
    "modules": sorted(sys.modules),
    "handlers_kept": all(signal.getsignal(n) == handler for n, handler in handlers.items()),
}))
"""


def our_modules():
    """Found on disk: nothing is imported into the test session for it."""
    for package in PACKAGES:
        yield package
        for found in _below(ROOT / package, package):
            if not found.startswith(PROGRAMS):
                yield found


def _below(folder, name):
    for module in pkgutil.iter_modules([str(folder)]):
        full = f"{name}.{module.name}"
        yield full
        if module.ispkg:
            yield from _below(folder / module.name, full)


def imported(*modules, ours=PACKAGES):
    """What happened while a fresh process imported them, one after another."""
    ended = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", WATCHER, ",".join(ours), *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    *printed, last = ended.stdout.splitlines()
    assert not printed
    assert not ended.stderr
    return json.loads(last)


def top_level(seen):
    return {name.partition(".")[0] for name in seen["modules"]}


@pytest.fixture(scope="module")
def seen():
    return imported(*(name for name in our_modules() if name != ENGINE))


def test_every_module_is_found():
    names = list(our_modules())
    assert ENGINE in names
    assert {"recommender.quick", "loadtests.targets.process", "pricing.pricebook"} <= set(names)
    assert len(names) == len(set(names)) > 60


def test_importing_starts_nothing_and_writes_nothing(seen):
    assert seen["done"] == []
    assert seen["threads"] == ["MainThread"]
    assert seen["handlers_kept"]


def test_nothing_but_the_engine_imports_locust(seen):
    assert not top_level(seen) & {"locust", "gevent", "geventhttpclient"}


def test_the_engine_imports_locust_and_none_of_what_would_disturb_it():
    """boto3 before Locust is a crash; everything else is CPU that the load would pay for."""
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import json, sys, {ENGINE}; print(json.dumps(sorted(sys.modules)))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    top = {name.partition(".")[0] for name in json.loads(ended.stdout.splitlines()[-1])}
    assert {"locust", "gevent", "geventhttpclient"} <= top
    unwelcome = {"boto3", "botocore", "docker", "dash", "pandas", "sklearn", "recommender"}
    assert not top & unwelcome


def test_the_watcher_sees_what_it_watches_for(tmp_path, monkeypatch):
    """A test of the test: a module that writes, starts a thread and a process."""
    (tmp_path / "busy.py").write_text(
        "import subprocess, threading\n"
        f"open({str(tmp_path / 'left')!r}, 'w').close()\n"
        "thread = threading.Thread(target=int)\nthread.start(); thread.join()\n"
        "subprocess.run(['true'], check=True)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    events = {event for _, event, _ in imported("busy", ours=("busy",))["done"]}
    assert {"open", "threading.Thread.start", "subprocess.Popen"} <= events
