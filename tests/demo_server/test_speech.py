"""The demo server as a language server: what it says, when, and what it knows of it."""

import http.client
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.demo_server import DemoServer, TokenCount
from loadtests.demo_server.connection import Request
from loadtests.demo_server.process import serving
from loadtests.demo_server.speech import STREAMING_PATHS, Speaker
from loadtests.demo_server.stream_truth import read_gaps, read_stream_truth
from loadtests.demo_server.truth import forget_truth
from loadtests.errors import UsageError
from loadtests.journal import Journal
from loadtests.streaming.answer import CountedBy, Flaw, StreamedAnswer

CHAT = "/v1/chat/completions"
ASKED = {"stream": True, "stream_options": {"include_usage": True}}
PATHS = st.sampled_from([*STREAMING_PATHS, "/invocations"])


def speech_of(settings, path=CHAT, asked=None, seed=1):
    speaker = Speaker(settings, np.random.SeedSequence(seed))
    request = Request("POST", path, "", b"", keep_alive=True)
    return speaker.speech(request, json.dumps(ASKED if asked is None else asked).encode())


def read(speech, path):
    answer = StreamedAnswer("chunks" if path == "/invocations" else "events")
    for share, piece in speech.pieces:
        answer.feed(share, piece)
    return answer


@given(st.integers(1, 60), st.integers(1, 9), PATHS)
def test_what_is_said_is_what_is_heard(tokens, step, path):
    settings = DemoServer(
        ttft="exp:0.05", itl="exp:0.01", tokens=str(tokens), tokens_per_chunk=step
    )
    speech = speech_of(settings, path)
    answer = read(speech, path)
    assert answer.flaw is Flaw.NONE
    assert answer.keeps_alive
    assert (speech.tokens, speech.chunks) == (tokens, -(-tokens // step))
    assert answer.chunks == speech.chunks
    if path == "/invocations":
        assert answer.counted_by is CountedBy.CHUNKS
    else:
        assert (answer.counted_by, answer.tokens) == (CountedBy.USAGE, tokens)
    assert speech.pieces[0][0] == 0.0 < answer.first_s <= answer.last_s == 1.0


def test_tokens_take_the_times_of_their_laws():
    settings = DemoServer(ttft="det:0.05", itl="det:0.01", tokens="6")
    speech = speech_of(settings)
    instants_s = [share * speech.service_s for share, _ in speech.pieces[1:]]
    assert instants_s == pytest.approx([0.05, 0.06, 0.07, 0.08, 0.09, 0.1])
    assert speech.service_s == pytest.approx(0.1)
    steps = speech_of(DemoServer(ttft="det:0.05", itl="det:0.01", tokens="6", tokens_per_chunk=4))
    assert steps.service_s == pytest.approx(0.06)
    at_once = speech_of(DemoServer(ttft="det:0.05", tokens="6"))
    assert [share for share, _ in at_once.pieces[1:]] == [1.0] * 6


@pytest.mark.parametrize(
    ("settings", "asked"),
    [({"no_usage": True}, ASKED), ({}, {"stream": True})],
    ids=["never told", "not asked for"],
)
def test_usage_is_told_to_who_asks_and_may(settings, asked):
    speech = speech_of(DemoServer(ttft="det:0.05", tokens="6", **settings), asked=asked)
    assert read(speech, CHAT).counted_by is CountedBy.CHUNKS


def test_a_request_has_a_say_in_how_many_tokens():
    settings = DemoServer(ttft="det:0.05", tokens="10:20")
    assert speech_of(settings, asked=ASKED | {"max_tokens": 3}).tokens == 3
    assert 10 <= speech_of(settings, asked=ASKED | {"max_tokens": 300}).tokens <= 20


def test_who_asks_for_no_stream_gets_a_whole_answer():
    for path, key in ((CHAT, "message"), ("/v1/completions", "text")):
        speech = speech_of(DemoServer(ttft="det:0.05", itl="det:0.01", tokens="6"), path, {})
        assert speech.pieces == ()
        document = json.loads(speech.whole.partition(b"\r\n\r\n")[2])
        assert key in document["choices"][0]
        assert document["usage"]["completion_tokens"] == 6
        assert speech.service_s == pytest.approx(0.1)


@pytest.mark.parametrize("path", [*STREAMING_PATHS, "/invocations"])
def test_a_stream_is_cut_in_the_middle(path):
    settings = DemoServer(ttft="det:0.05", itl="det:0.01", tokens="10", cut_rate=1.0)
    speech = speech_of(settings, path)
    answer = read(speech, path)
    assert speech.is_cut
    assert answer.flaw is Flaw.CUT
    assert answer.chunks == speech.chunks == speech.tokens == 5
    assert speech.service_s == pytest.approx(0.09), "its place in the queue is free at the cut"


@pytest.mark.parametrize("spec", ["0", "5:3", "many", ":3", "-1:2"])
def test_no_number_of_tokens(spec):
    with pytest.raises(UsageError):
        TokenCount.parse(spec)


@pytest.mark.parametrize(
    "settings",
    [
        {"ttft": "soon"},
        {"itl": "exp"},
        {"tokens": "x"},
        {"tokens_per_chunk": 0},
        {"cut_rate": 1.5},
    ],
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(UsageError):
        DemoServer(**settings)


def test_the_command_says_only_what_is_asked():
    settings = DemoServer(ttft="det:0.05", tokens="10:20", no_usage=True, cut_rate=0.1)
    said = settings.command(python="python")[5:]
    assert said == (
        "--ttft", "det:0.05", "--tokens", "10:20", "--cut-rate", "0.1", "--no-usage",
    )  # fmt: skip


@pytest.fixture
def served(tmp_path):
    settings = DemoServer(servers=1, ttft="det:0.1", itl="det:0.05", tokens="5", seed=2)
    with serving(settings, Journal(tmp_path / "journal")) as demo:
        yield demo.base_url


def ask(base_url, path, document):
    """When the answer's bytes came, and the answer."""
    connection = http.client.HTTPConnection(base_url.partition("//")[2], timeout=10)
    try:
        sent_s = time.monotonic()
        connection.request("POST", path, json.dumps(document))
        response, came_s = connection.getresponse(), []
        while response.read1():
            came_s.append(time.monotonic() - sent_s)
    finally:
        connection.close()
    return came_s, response


@pytest.mark.alone
@pytest.mark.slow
def test_tokens_leave_when_the_truth_says_so(served):
    came_s, response = ask(served, CHAT, ASKED)
    assert response.getheader("Content-Type") == "text/event-stream"
    truth = read_stream_truth(served)
    assert (truth["tokens"].tolist(), truth["chunks"].tolist()) == ([5], [5])
    first_s, last_s = ((truth[name] - truth["arrival_s"])[0] for name in ("first_s", "last_s"))
    assert first_s == pytest.approx(0.1, abs=0.02)
    assert last_s - first_s == pytest.approx(0.2, abs=0.02)
    assert np.median(read_gaps(served)) == pytest.approx(0.05, abs=0.01)
    assert came_s[0] < 0.08, "the role comes before the first token"
    assert came_s[-1] >= 0.1 + 4 * 0.05, "none comes before it was to leave"
    forget_truth(served)
    assert len(read_stream_truth(served)) == len(read_gaps(served)) == 0


@pytest.mark.slow
def test_a_server_that_does_not_stream_has_no_such_paths(tmp_path):
    with serving(DemoServer(service="det:0.001"), Journal(tmp_path / "journal")) as demo:
        assert ask(demo.base_url, CHAT, ASKED)[1].status == 404
        assert ask(demo.base_url, "/invocations", ASKED)[1].status == 200
