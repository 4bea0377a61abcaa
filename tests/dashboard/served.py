"""The dashboard as a user starts it, in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WITHIN_S = 60
PROGRAM = "from recommender.cli import main; main()"


@contextmanager
def served(home: Path, *options: str) -> Iterator[str]:
    """Its address. Stopped by Ctrl-C, which it takes as its end, without a complaint.

    home: the folder that stands for the user's own. options: of the command.
    """
    command = [sys.executable, "-c", PROGRAM, "dashboard", "--port", "0", *options]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "RECOMMENDER_HOME": str(home)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            said = server.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/", said)
            assert found, said + server.stderr.read()
            yield found[0]
        finally:
            server.send_signal(signal.SIGINT)
            _, complained = server.communicate(timeout=WITHIN_S)
    assert server.returncode == 0
    assert complained == ""
