"""The program `serve` in the test image: a server whose faults are switched on by FAULT."""

import http.server
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

fault = os.environ.get("FAULT", "none")
hoard = []


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(404 if fault == "no-ping" else 200)

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        verb, _, rest = asked.partition(" ")
        if verb.isdigit():
            sum(range(int(verb)))
        try:
            self.answer(200, (VERBS[verb](rest) if verb in VERBS else asked).encode())
        except OSError as problem:
            self.answer(500, str(problem).encode())

    def log_message(self, *_words):
        pass


def burn(milliseconds):
    until = time.thread_time() + float(milliseconds) / 1000
    while time.thread_time() < until:
        pass
    return "burnt"


def burn_in_a_child(milliseconds):
    """Threads of one Python share one vCPU; children have one each."""
    child = os.fork()
    if child == 0:
        burn(milliseconds)
        os._exit(0)
    os.waitpid(child, 0)
    return "burnt"


def fill(mebibytes):
    hoard.append(b"x" * (int(mebibytes) << 20))
    return "filled"


def fill_in_a_child(mebibytes):
    code = f"hoard = b'x' * ({mebibytes} << 20)"
    return str(subprocess.run([sys.executable, "-c", code], check=False).returncode)


def read(path):
    return Path(path).read_text()


def write(path):
    Path(path).write_text("written")
    return "written"


VERBS = {
    "burn": burn,
    "burn-in-a-child": burn_in_a_child,
    "fill": fill,
    "fill-in-a-child": fill_in_a_child,
    "read": read,
    "write": write,
    "arguments": lambda _: " ".join(sys.argv[1:]),
    "variable": lambda name: os.environ.get(name, "not set"),
    "exit": lambda status: os._exit(int(status)),
}

if fault == "broken":
    sys.stdout.write("loading the model\n")
    raise SystemExit(3)
if fault == "no-model":
    read("/opt/ml/model/model.joblib")
if fault == "idle":
    time.sleep(300)
if fault != "stubborn":  # the first process of a container ignores what it does not handle
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
asked_port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
port = asked_port + 1 if fault == "other-port" else asked_port
host = "127.0.0.1" if fault == "inside-only" else "0.0.0.0"  # noqa: S104
http.server.ThreadingHTTPServer((host, port), Model).serve_forever()
