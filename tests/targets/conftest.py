"""A real server of few lines, whose faults are switched on by its first argument."""

import sys
import time
from pathlib import Path

import pytest

from loadtests.journal import Journal
from loadtests.targets import ProcessSpec, ProcessTarget, Sizing, capabilities

sys.path.insert(0, str(Path(__file__).parent))  # for fleets.py and sending.py

SERVER = '''
import http.server, os, signal, subprocess, sys, time

fault = sys.argv[1]
hoard, pings = [], []


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if fault == "mute":
            time.sleep(60)
        pings.append(self.path)
        if fault == "behind-a-proxy" and len(pings) < 4:
            return self.answer(502 if len(pings) % 2 else 503)
        self.answer(404 if fault == "no-ping" else 200)

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        verb, _, amount = asked.partition(" ")
        if verb == "burn":
            burn(float(amount))
        if verb == "burn-in-a-child":
            subprocess.run([sys.executable, __file__, "burn", amount], check=True)
        if verb == "hoard":
            hoard.append(b"x" * (int(amount) << 20))
        if verb == "exit":
            os._exit(int(amount))
        if verb == "status":
            return self.answer(int(amount), b"the model says no")
        self.answer(200, os.environ.get(amount, "").encode() if verb == "env" else asked.encode())


def burn(seconds):
    begun = time.process_time()
    while time.process_time() - begun < seconds:
        pass


def detach():
    """A daemon as textbooks make them: two forks and a session of its own, no environment."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            if fault == "scrubbed-daemon":
                os.execve("/bin/sleep", ["sleep", "300"], {})
            time.sleep(300)
        os._exit(0)
    os.wait()


if fault == "burn":
    burn(float(sys.argv[2]))
    sys.exit()
if fault == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if fault in ("daemon", "scrubbed-daemon", "backgrounded"):
    detach()
if fault == "backgrounded":
    sys.exit(0)
if fault == "broken":
    print("loading the model", flush=True)
    print("ModuleNotFoundError: No module named 'torch'", file=sys.stderr, flush=True)
    sys.exit(3)
if fault == "idle":
    time.sleep(300)
port = 0 if fault == "other-port" else int(sys.argv[2])
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Model)
print("listening on", server.server_port, flush=True)
server.serve_forever()
'''


@pytest.fixture
def server(tmp_path):
    """The command that starts the server with a fault; {port} is still to be filled in."""
    script = tmp_path / "server.py"
    script.write_text(SERVER)

    def command(fault="none"):
        return (sys.executable, str(script), fault, "{port}")

    return command


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


@pytest.fixture
def make_target(server, tmp_path, journal):
    """Targets that are stopped at the end of the test whatever it did."""
    made = []

    def make(fault="none", *, sizing=None, **spec):
        workspace = tmp_path / f"workspace-{len(made)}"
        workspace.mkdir()
        spec = {"command": server(fault), "stop_grace_s": 5.0, **spec}
        target = ProcessTarget(ProcessSpec(**spec), sizing or Sizing(), workspace, journal)
        made.append(target)
        return target

    yield make
    for target in made:
        target.stop()


@pytest.fixture
def no_groups(monkeypatch):
    """This machine as a user without control groups sees it."""
    plain = capabilities().without_groups()
    monkeypatch.setattr("loadtests.targets.process.capabilities", lambda: plain)


@pytest.fixture
def needs_quota():
    groups = capabilities().groups
    if groups is None or not groups.limits_cpu:
        pytest.skip("no writable control group with the cpu controller here")


@pytest.fixture
def needs_memory_group():
    groups = capabilities().groups
    if groups is None or not groups.limits_memory:
        pytest.skip("no writable control group with the memory controller here")


@pytest.fixture
def eventually():
    """Polls real processes; generous, because the machine may be busy."""

    def wait(predicate, within_s=15.0):
        given_up = time.perf_counter() + within_s
        while time.perf_counter() < given_up:
            if predicate():
                return True
            time.sleep(0.02)
        return bool(predicate())

    return wait


@pytest.fixture
def repository() -> Path:
    return Path(__file__).resolve().parents[2]
