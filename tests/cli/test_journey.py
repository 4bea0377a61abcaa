"""quick → list → show → rank, interrupted and resumed: on a server whose capacity is known."""

import json
import signal
import socket
import time

import psutil
import pytest

from loadtests.sample_container import payloads, train

DEMO = "demo: --servers 1 --service det:0.004"
SERVER = ("--command", DEMO)
CAPACITY_RPS = 250  # one server, 4 ms a request

pytestmark = pytest.mark.locust


def answer_of(recommender):
    return json.loads((recommender.folder / "answer.json").read_text())


def test_a_known_capacity_is_found(measured):
    (size,) = answer_of(measured)["evidence"]["sizes"]
    assert size["saturation_rps"] == pytest.approx(CAPACITY_RPS, rel=0.15)
    assert 0.7 * CAPACITY_RPS < size["capacity_rps"] <= size["saturation_rps"] * 1.01


def test_the_answer_has_every_platform_and_reasons_for_the_rest(measured):
    answer = answer_of(measured)
    bought = {
        (each["option"]["platform"], each["option"]["purchase"]) for each in answer["ranked"]
    }
    assert bought >= {("sagemaker", "on-demand"), ("ec2", "on-demand"), ("ec2", "spot")}
    assert {"needs-measurement", "retired", "no-price"} <= {
        r["reason"] for r in answer["rejected"]
    }
    assert measured.nothing_left()


def test_a_stored_run_is_listed_shown_and_ranked_again(measured):
    (listed,) = json.loads(measured.run("list", "--json").stdout)
    assert listed["status"] == "finished"
    told = " ".join(measured.run("show", listed["id"]).stdout.split())
    assert told.startswith(listed["verdict"])
    shown = json.loads(measured.run("show", listed["id"], "--json", "-").stdout)
    assert shown == answer_of(measured)
    began = time.monotonic()
    again = measured.run("rank", listed["id"][:12], "--traffic", "500rps", "--json", "-")
    assert time.monotonic() - began < 20  # nothing is measured
    ranked = json.loads(again.stdout)
    assert ranked["demand"]["traffic"]["mean_rps"] == 500
    cheapest = float(ranked["ranked"][0]["cost"]["usd_per_month"])
    assert cheapest > float(shown["ranked"][0]["cost"]["usd_per_month"])


def test_a_stored_run_is_explained_by_its_own_measurements(measured):
    answer = answer_of(measured)
    found = json.loads(measured.run("explain", "--json", "-").stdout)
    told = [each["text"] for each in found["sources"] if each["kind"] == "measurement"]
    for each in answer["evidence"]["measurements"]:
        assert any(f"run {answer['run']}, {each['key']}:" in text for text in told)
    bill = next(each for each in found["sections"] if each["title"] == "The bill of a month")
    total = bill["statements"][-1]["figures"]
    assert total["usd_per_month"] == answer["ranked"][0]["cost"]["usd_per_month"]


def test_a_killed_run_keeps_what_it_measured_and_goes_on(recommender):
    arguments = ("--sizes", "1", "--measure-s", "6", "--payload", "payload.json")
    process = recommender.start("quick", *SERVER, *arguments)
    wait_for(lambda: measurements(recommender) >= 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (listed,) = json.loads(recommender.run("list", "--json").stdout)
    assert listed["status"] == "interrupted"
    kept = listed["measurements"]
    assert kept >= 1
    done = recommender.measure(
        "quick", "--resume", listed["id"], "--quiet", "--json", "answer.json"
    )
    assert done.returncode == 0, done.stderr
    (listed,) = json.loads(recommender.run("list", "--json").stdout)
    assert listed["status"] == "finished"
    keys = [each["key"] for each in answer_of(recommender)["evidence"]["measurements"]]
    assert len(keys) == len(set(keys)) > kept
    recommender.run("cleanup")
    assert recommender.nothing_left()
    assert "nothing to clean up" in recommender.run("cleanup").stdout


@pytest.mark.beside
def test_ctrl_c_stops_everything_and_says_how_to_go_on(recommender):
    process = recommender.start("quick", *SERVER, "--sizes", "1", "--payload", "payload.json")
    wait_for(lambda: len(recommender.left_running()) >= 3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "--resume" in said
    assert "Traceback" not in said
    assert recommender.nothing_left()


def test_a_running_server_is_measured_as_it_is(recommender):
    port = free_port()
    server = psutil.Popen(
        recommender.spelled_out(DEMO).replace("{port}", str(port)).split(),
        env=recommender.environment,
    )
    try:
        wait_for(lambda: any(c.laddr.port == port for c in server.net_connections()))
        done = recommender.measure(
            *("quick", "--url", f"http://127.0.0.1:{port}", "--vcpus", "2"),
            *("--measure-s", "2", "--payload", "payload.json", "--quiet"),
            *("--measured-on", "m7i.large", "--json", "answer.json"),
        )
        assert done.returncode == 0, done.stderr
        assert server.is_running()
        measured = [
            each
            for each in answer_of(recommender)["ranked"]
            if each["performance"]["basis"] == "measured"
        ]
        assert {each["option"]["instance_type"] for each in measured} >= {"m7i.large"}
    finally:
        server.terminate()
        server.wait()


def measurements(recommender) -> int:
    listed = recommender.run("list", "--json")
    return sum(each["measurements"] for each in json.loads(listed.stdout or "[]"))


def wait_for(condition, within_s: float = 60) -> None:
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_artefacts_are_served_by_the_sample_stack(recommender):
    model_dir = recommender.folder / "model"
    train(model_dir)
    (recommender.folder / "digit.json").write_bytes(payloads()[0])
    done = recommender.measure(
        *("quick", "--model", str(model_dir), "--payload", "digit.json", "--sizes", "1"),
        *("--measure-s", "2", "--quiet", "--json", "answer.json"),
    )
    assert done.returncode == 0, done.stderr
    assert answer_of(recommender)["demand"]["workload"]["payloads"] == 1
    assert recommender.nothing_left()
