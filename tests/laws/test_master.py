"""The master without Locust: what it makes of what workers say, in whatever order."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

from loadtests.generator.crew import PROTOCOL, boot_id
from loadtests.generator.master import Master
from loadtests.generator.recording import RECORD, Outcome
from loadtests.generator.shares import Share


class Wire:
    """In place of Locust's MasterRunner; a worker's answers are scripted by `answer`."""

    def __init__(self, answer):
        self.answer, self.listeners, self.sent, self.clients = answer, {}, [], set()
        events = SimpleNamespace(heartbeat_sent=SimpleNamespace(add_listener=lambda _: None))
        self.environment = SimpleNamespace(events=events)

    def register_message(self, msg_type, listener):
        self.listeners[msg_type] = listener

    def send_message(self, msg_type, data=None, client_id=None):
        self.sent.append((client_id, msg_type, data))
        for said, what in self.answer(client_id, msg_type, data):
            self.hear(client_id, said, what)

    def hear(self, client_id, msg_type, data):
        message = SimpleNamespace(node_id=client_id, data=data)
        self.listeners[msg_type](environment=None, msg=message)


class Ended(Exception):  # noqa: N818 - the name says what happened
    """Of the endless loop of the master: its job is done."""


def conducted(folder, answer, workers, due=6, machine=None):
    """What the master says in the end of one job of `due` requests, and what was sent."""
    wire, said = Wire(answer), []

    def say(message):
        said.append(message)
        if message["event"] == "finished":
            raise Ended

    master = Master(wire, say, time.sleep)
    for name in workers:
        wire.clients.add(name)
        hello = {"protocol": PROTOCOL, "name": name, "machine": machine or boot_id(), "pid": 1}
        wire.hear(name, "load_hello", hello)
    body = folder / "body"
    body.write_bytes(b"{}")
    arrays = folder / "job.npz"
    np.savez(
        arrays,
        due_s=np.arange(due) / 10,
        payloads=np.zeros(due, np.uint16),
        variants=np.zeros(due, np.uint16),
        spans_s=np.zeros((0, 2)),
    )
    job = {
        "job": "load",
        "number": 1,
        "loop": "open",
        "max_requests": None,
        "base_urls": ["http://127.0.0.1:1"],
        "path": "/",
        "content_types": ["text/plain"],
        "payload_files": [str(body)],
        "digest": "abc",
        "pool": 4,
        "timeout_s": 1.0,
        "drain_s": 2.0,
        "cores": None,
        "delivery": "whole",
        "samples_file": str(folder / "samples"),
        "arrays_file": str(arrays),
    }
    master.serve(json.loads(json.dumps([job])))
    with pytest.raises(Ended):
        master.conduct()
    return said[-1], wire.sent, np.fromfile(folder / "samples", RECORD)


def figures(sent):
    return {
        "sent": sent,
        "in_flight": 0,
        "dropped": 0,
        "in_flight_s": 0.25,
        "cpu_s": 0.5,
        "wall_s": 1.0,
        "lateness_p99_s": 0.0001,
    }


def diligent(skip=()):
    """A worker that sends a block for each request of its share, but those `skip`ped."""
    shares = {}

    def answer(name, message, data):
        match message:
            case "load_take":
                shares[name] = Share.of_message(data["share"], (b"{}",))
                yield "load_prepared", {"job": data["job"]}
            case "load_begin":
                due_s = shares[name].due_s
                for number, each in enumerate(due_s):
                    if number not in skip:
                        record = np.zeros(1, RECORD)
                        record["due_us"] = round(each * 1e6)
                        record["outcome"] = Outcome.SUCCEEDED
                        yield (
                            "load_samples",
                            {
                                "job": data["job"],
                                "sequence": number,
                                "records": record.tobytes(),
                                "streams": b"",
                                "figures": figures(number + 1),
                            },
                        )
                yield (
                    "load_done",
                    {
                        "job": data["job"],
                        "sequence": len(due_s),
                        "recorded": len(due_s),
                        "figures": figures(len(due_s)),
                    },
                )
            case "load_ping":
                clock_s = time.perf_counter() + 500.0
                yield "load_pong", {"asked_s": data["asked_s"], "clock_s": clock_s}

    return answer


def test_blocks_are_merged_as_they_are_and_figures_add_up(tmp_path):
    finished, _, records = conducted(tmp_path, diligent(), ["one", "two"])
    assert np.sort(records["due_us"]).tolist() == [0, 100_000, 200_000, 300_000, 400_000, 500_000]
    assert finished["recorded"] == 6
    assert finished["stop_reason"] is None
    assert finished["in_flight_s"] == pytest.approx(0.5)
    assert finished["cpu_s"] >= 1.0
    assert [each["sent"] for each in finished["workers"]] == [3, 3]
    assert all(each["samples_missing"] == 0 for each in finished["workers"])


def test_a_block_that_is_lost_on_the_way_is_missed(tmp_path):
    finished, _, records = conducted(tmp_path, diligent(skip={1}), ["one", "two"])
    assert len(records) == finished["recorded"] == 4
    missing = [(each["samples_missing"], each["blocks_missing"]) for each in finished["workers"]]
    assert missing == [(1, 1), (1, 1)]


def test_all_begin_at_one_instant_each_by_its_own_clock(tmp_path):
    """These workers' clock is 500 s ahead, which the master finds by asking."""
    _, sent, _ = conducted(tmp_path, diligent(), ["one", "two"], machine="another")
    starts_s = [data["start_s"] for _, message, data in sent if message == "load_begin"]
    assert len(starts_s) == 2
    assert starts_s[0] == pytest.approx(starts_s[1], abs=0.001)
    assert starts_s[0] - time.perf_counter() == pytest.approx(500, abs=1)


def test_bodies_are_sent_once_and_the_schedule_to_each_its_own(tmp_path):
    _, sent, _ = conducted(tmp_path, diligent(), ["one", "two"])
    assert [name for name, message, _ in sent if message == "load_bodies"] == ["one", "two"]
    assert not any(message in ("load_ping", "load_halt") for _, message, _ in sent)


def test_a_worker_that_is_gone_is_lost_and_the_others_are_halted(tmp_path):
    def answer(name, message, data):
        if message == "load_take":
            yield "load_prepared", {"job": data["job"]}
        if message == "load_begin" and name == "two":
            done = {"job": data["job"], "sequence": 0, "recorded": 0, "figures": figures(0)}
            yield "load_done", done

    began_s = time.perf_counter()
    finished, sent, _ = conducted(tmp_path, answer, ["one", "two", "three"])
    assert time.perf_counter() - began_s < 5
    lost = {each["name"]: each["lost_after_s"] is not None for each in finished["workers"]}
    assert lost == {"one": True, "two": False, "three": True}
    assert finished["stop_reason"] is not None
    assert {name for name, message, _ in sent if message == "load_refused"} == {"one", "three"}
