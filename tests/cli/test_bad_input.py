"""Each gets one clear message, the right exit code, and leaves nothing running."""

import sqlite3
import sys

import pytest

pytestmark = pytest.mark.beside

QUICKLY = ("--sizes", "1", "--measure-s", "2", "--payload", "payload.json", "--quiet")

OTHER_PORT = (
    "import http.server, sys;"
    "http.server.HTTPServer(('127.0.0.1', 0), http.server.BaseHTTPRequestHandler).serve_forever()"
)

CASES = {
    "a command that exits at once": (
        ("--command", f"{sys.executable} -c 'import sys; sys.exit(\"no such model\")'"),
        1,
        ("ended", "no such model"),
    ),
    "a command that does not exist": (
        ("--command", "no-such-program --port {port}"),
        1,
        ("no-such-program",),
    ),
    "a server that never answers /ping": (
        ("--command", "demo: --ping-delay 60", "--startup-timeout-s", "3"),
        1,
        ("ping", "not ready"),
    ),
    "a server whose /ping says 503": (
        ("--command", "demo: --ping-status 503", "--startup-timeout-s", "3"),
        1,
        ("503",),
    ),
    "a server that listens on another port": (
        ("--command", f'{sys.executable} -c "{OTHER_PORT}"', "--startup-timeout-s", "3"),
        1,
        ("port",),
    ),
    "a server that answers 500 to the payload": (
        ("--command", "demo: --error-rate 1"),
        1,
        ("500",),
    ),
    "nothing at the URL": (("--url", "http://127.0.0.1:1"), 1, ("nothing answers",)),
    "a command and a URL": (
        ("--command", "x", "--url", "http://127.0.0.1:1"),
        2,
        ("give one of them",),
    ),
    "an SLO that does not parse": (
        ("--command", "demo:", "--slo", "fast please"),
        2,
        ("'fast please' is not understood", "objective ::="),
    ),
    "an unknown region": (
        ("--command", "demo:", "--region", "us-eats-1"),
        2,
        ("us-eats-1", "us-east-1"),
    ),
    "an unknown instance type": (
        ("--command", "demo:", "--instance-type", "ml.m5.lrage"),
        2,
        ("ml.m5.lrage", "ml.m5.large"),
    ),
    "measured on an unknown instance type": (
        ("--command", "demo:", "--measured-on", "m5.lrage"),
        2,
        ("m5.lrage", "m5.large"),
    ),
    "traffic of zero": (("--command", "demo:", "--traffic", "0rps"), 2, ("asks nothing",)),
    "traffic that does not parse": (
        ("--command", "demo:", "--traffic", "lots"),
        2,
        ("'lots'", "50rps"),
    ),
    "a size that is no number": (("--command", "demo:", "--sizes", "big"), 2, ("--sizes big",)),
}


@pytest.mark.locust
@pytest.mark.parametrize("name", CASES)
def test_bad_input_gets_one_clear_message(recommender, name):
    arguments, exit_code, said = CASES[name]
    done = recommender.run("quick", *arguments, *(a for a in QUICKLY if a not in arguments))
    assert done.returncode == exit_code, done.stderr
    for words in said:
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert recommender.nothing_left()


def test_a_missing_payload_is_named(recommender):
    done = recommender.run("quick", "--command", "demo:", "--payload", "nowhere.json")
    assert done.returncode == 2
    assert "nowhere.json does not exist" in done.stderr


def test_a_command_without_a_payload_is_asked_for_one(recommender):
    done = recommender.run("quick", "--command", "demo:")
    assert done.returncode == 2
    assert "--payload FILE" in done.stderr


def test_an_unknown_run_is_said_to_be_unknown(recommender):
    for command in ("show", "rank"):
        done = recommender.run(command, "q19990101")
        assert done.returncode == 2
        assert "q19990101" in done.stderr


def test_a_store_of_a_newer_version_is_refused(recommender):
    assert recommender.run("list").returncode == 0
    (file,) = recommender.home.glob("data/*.sqlite3")
    with sqlite3.connect(file) as store:
        (table,) = store.execute(
            "select name from sqlite_master where name like '%revision%' or name like '%version%'"
        ).fetchone()
        (column,) = (row[1] for row in store.execute(f"pragma table_info({table})"))
        store.execute(f"update {table} set {column} = '9999'")  # noqa: S608 - our own names
    done = recommender.run("list")
    assert done.returncode == 1
    assert "9999" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.alone
@pytest.mark.locust
def test_an_slo_nobody_can_meet_says_how_near_the_best_came(recommender):
    command = ("--command", "demo: --servers 1 --service det:0.004")
    done = recommender.measure("quick", *command, "--slo", "p95<50us", *QUICKLY)
    assert done.returncode == 5, done.stderr
    assert "Nothing serves" in done.stdout
    assert "one request alone takes" in done.stdout
    assert recommender.nothing_left()
