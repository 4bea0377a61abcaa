"""A streamed answer is read the same however its bytes are cut up on the way."""

import json
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.generator.recording import Outcome
from loadtests.generator.streamed import exchange, outcome_of
from loadtests.streaming.answer import CountedBy, Flaw, StreamedAnswer
from loadtests.streaming.events import EventStream
from loadtests.streaming.framing import Framing, NotHttp
from loadtests.streaming.openai import said_by

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD_OF_WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def said(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


def usage(tokens):
    return b'data: {"choices": [], "usage": {"completion_tokens": %d}}\n\n' % tokens


def stream(*events, head=HEAD, end=b"0\r\n\r\n"):
    return head + b"".join(map(chunk, events)) + end


CHAT = stream(
    said({"role": "assistant", "content": ""}),
    said({"content": "a"}),
    said({"content": "bc"}),
    said({"content": "d"}),
    said({}, "stop"),
    usage(4),
    DONE,
)
# Each: an answer as it is on the wire, how it is delivered, tokens, chunks, who counted, what
# flaw, and whether the connection may be used again.
ANSWERS = {
    "chat with usage": (CHAT, "events", 4, 3, CountedBy.USAGE, Flaw.NONE, True),
    "chat without usage": (
        stream(said({"content": "a"}), said({"content": "b"}), DONE),
        "events", 2, 2, CountedBy.CHUNKS, Flaw.NONE, True,
    ),
    "completion": (
        stream(b'data: {"choices": [{"text": "a", "finish_reason": "length"}]}\r\n\r\n'),
        "events", 1, 1, CountedBy.CHUNKS, Flaw.NONE, True,
    ),
    "thoughts and tools are output": (
        stream(
            said({"reasoning_content": "hm"}), said({"tool_calls": [{"index": 0}]}), DONE
        ),
        "events", 2, 2, CountedBy.CHUNKS, Flaw.NONE, True,
    ),
    "other server": (
        stream(b": hello\n\n", b'data: {"token": {"text": "a"}}\n\n', b"data: b\n\n"),
        "events", 2, 2, CountedBy.CHUNKS, Flaw.NONE, True,
    ),
    "several events in a chunk": (
        stream(said({"content": "a"}) + said({"content": "b"}) + DONE),
        "events", 2, 2, CountedBy.CHUNKS, Flaw.NONE, True,
    ),
    "until the connection closes": (
        HEAD.replace(b"Transfer-Encoding: chunked\r\n", b"") + said({"content": "a"}) + DONE,
        "events", 1, 1, CountedBy.CHUNKS, Flaw.NONE, False,
    ),
    "cut in an event": (CHAT[:260], "events", 1, 1, CountedBy.CHUNKS, Flaw.CUT, False),
    "never done": (
        stream(said({"content": "a"})), "events", 1, 1, CountedBy.CHUNKS, Flaw.CUT, True,
    ),
    "error inside": (
        stream(said({"content": "a"}), b'data: {"error": {"message": "out of memory"}}\n\n'),
        "events", 1, 1, CountedBy.CHUNKS, Flaw.REPORTED, True,
    ),
    "error event": (
        stream(b"event: error\ndata: overloaded\n\n"),
        "events", 0, 0, CountedBy.NOBODY, Flaw.REPORTED, True,
    ),
    "nothing said": (stream(said({}, "stop"), DONE), "events", 0, 0, CountedBy.NOBODY, Flaw.EMPTY,
                     True),
    "whole": (
        HEAD_OF_WHOLE + b'{"usage": {"completion_tokens": 12}}',
        "events", 12, 0, CountedBy.USAGE, Flaw.WHOLE, True,
    ),
    "refused": (
        b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy",
        "events", 0, 0, CountedBy.NOBODY, Flaw.NONE, True,
    ),
    "plain chunks": (
        stream(b"one ", b"two ", b"three", head=HEAD.replace(b"event-stream", b"plain")),
        "chunks", 3, 3, CountedBy.CHUNKS, Flaw.NONE, True,
    ),
    "plain chunks cut": (
        stream(b"one ", b"two", head=HEAD.replace(b"event-stream", b"plain"), end=b"5\r\nth"),
        "chunks", 2, 2, CountedBy.CHUNKS, Flaw.CUT, False,
    ),
    "after an interim answer": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + CHAT, "events", 4, 3, CountedBy.USAGE, Flaw.NONE, True,
    ),
}  # fmt: skip
BY_NAME = pytest.mark.parametrize("name", ANSWERS)


def cut_up(wire, sizes):
    at = 0
    for size in sizes:
        if at < len(wire):
            yield wire[at : at + size]
            at += size
    if at < len(wire):
        yield wire[at:]


def heard(wire, delivery, sizes=()):
    """Fed a piece a second, then closed; when each byte came, and the answer."""
    answer, came_s = StreamedAnswer(delivery), []
    for second, piece in enumerate(cut_up(wire, sizes)):
        came_s += [float(second)] * len(piece)
        answer.feed(float(second), piece)
    if not answer.is_over:
        answer.feed(came_s[-1], b"")
    return answer, came_s


@BY_NAME
def test_an_answer_is_what_it_says(name):
    wire, delivery, tokens, chunks, counted_by, flaw, keeps_alive = ANSWERS[name]
    answer, _ = heard(wire, delivery)
    assert (answer.tokens, answer.chunks, answer.counted_by) == (tokens, chunks, counted_by)
    assert answer.flaw is flaw
    assert answer.keeps_alive is keeps_alive
    assert len(answer.gaps_s) == max(chunks - 1, 0)


@BY_NAME
@given(sizes=st.lists(st.integers(1, 90), max_size=200))
def test_no_cut_changes_what_is_heard(name, sizes):
    wire, delivery, *_ = ANSWERS[name]
    whole, _ = heard(wire, delivery)
    answer, came_s = heard(wire, delivery, sizes)
    for fact in ("status", "tokens", "chunks", "counted_by", "flaw", "bytes", "error",
                 "keeps_alive"):  # fmt: skip
        assert getattr(answer, fact) == getattr(whole, fact), fact
    if answer.chunks:
        assert came_s[0] <= answer.first_s <= answer.last_s <= came_s[-1]
        assert answer.last_s - answer.first_s == pytest.approx(sum(answer.gaps_s))


@given(sizes=st.lists(st.integers(1, 40), max_size=100))
def test_a_token_came_when_the_last_byte_of_its_event_did(sizes):
    answer, came_s = heard(CHAT, "events", sizes)
    ends = [
        CHAT.index(text) + len(text) for text in (said({"content": "a"}), said({"content": "d"}))
    ]
    assert answer.first_s == came_s[ends[0] - 1]
    assert answer.last_s == came_s[ends[1] - 1]


def test_a_role_alone_is_no_token():
    wire = stream(said({"role": "assistant", "content": ""}), said({"content": "a"}), DONE)
    answer, _ = heard(wire, "events", [len(HEAD) + 120])
    assert (answer.began_s, answer.first_s) == (0.0, 1.0)


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        HEAD + b"xyz\r\n",
        HEAD + b"-1\r\n",
        HEAD + b"1\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
    ],
)
def test_what_is_no_http_is_refused(wire):
    with pytest.raises(NotHttp):
        Framing().feed(wire)


@given(st.binary(max_size=400), st.lists(st.integers(1, 50), max_size=20))
def test_no_bytes_break_the_reader(noise, sizes):
    """They are read, or refused by name."""
    for wire in (noise, HEAD + noise, HEAD + chunk(noise or b"x") + noise):
        answer = StreamedAnswer("events")
        try:
            for piece in cut_up(wire, sizes):
                answer.feed(0.0, piece)
            answer.feed(1.0, b"")
        except NotHttp:
            continue
        assert answer.is_over


lines = st.sampled_from(["\n", "\r", "\r\n"])
texts = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=20)


@given(
    st.lists(st.tuples(texts, lines, lines), min_size=1, max_size=10),
    st.lists(st.integers(1, 12), max_size=60),
)
def test_events_end_in_any_kind_of_line_end(events, sizes):
    body = "".join(f"data: {text}{one}{two}" for text, one, two in events).encode()
    reader, found = EventStream(), []
    for piece in cut_up(body, sizes):
        found += reader.feed(piece)
    found += reader.end()
    expected, merged = [], False
    for text, one, two in events:  # "\r" and "\n" next to each other are one line end
        if merged:
            expected[-1] += "\n" + text
        else:
            expected.append(text)
        merged = one == "\r" and two == "\n"
    assert [event.data.decode() for event in found] == expected


def test_data_of_several_lines_is_one_event():
    reader = EventStream()
    body = b"\xef\xbb\xbfid: 7\nevent: x\ndata: a\ndata:b\n: a comment\nretry: 3\n\n"
    assert reader.feed(body) == [(b"x", b"a\nb")]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"error": {"message": "no memory"}}', "no memory"),
        (b'{"error": "no memory"}', "no memory"),
        (b'{"error": {"code": 500}}', "{'code': 500}"),
    ],
)
def test_an_error_is_told_in_the_servers_words(data, error):
    assert said_by(b"", data).error == error


def test_usage_that_grows_with_the_stream_counts_once():
    """vLLM's continuous usage: every chunk says how many there were so far."""
    events = [said({"content": "ab"}, usage={"completion_tokens": count}) for count in (2, 4, 6)]
    assert heard(stream(*events, DONE), "events")[0].tokens == 6


class Wire:
    """One connection: what is heard on it, or how it fails; then it is closed."""

    def __init__(self, *heard):
        self.heard, self.asked, self.is_closed = list(heard), 0, False

    def sendall(self, _):
        self.asked += 1

    def recv(self, _):
        found = self.heard.pop(0) if self.heard else b""
        if isinstance(found, Exception):
            raise found
        return found

    def close(self):
        self.is_closed = True


class Wires:
    def __init__(self, new, kept=None):
        self.new, self.kept, self.returned = new, kept, []

    def take_kept(self):
        return self.kept

    def connect(self):
        return self.new

    def return_socket(self, sock):
        self.returned.append(sock)


def over(wires, ends_s=100.0):
    """How the exchange ended, and what was heard."""
    answer, clock = StreamedAnswer("events"), count(1.0)
    found = outcome_of(
        answer, lambda: exchange(answer, wires, b"ask", lambda: next(clock), ends_s)
    )
    return found, answer


def outcome(*heard, ends_s=100.0):
    return over(Wires(Wire(*heard)), ends_s)[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chat with usage", Outcome.SUCCEEDED),
        ("whole", Outcome.SUCCEEDED),
        ("cut in an event", Outcome.BROKEN),
        ("never done", Outcome.BROKEN),
        ("nothing said", Outcome.BROKEN),
        ("error inside", Outcome.REFUSED),
        ("refused", Outcome.REFUSED),
    ],
)
def test_an_unfinished_stream_has_failed(name, expected):
    assert outcome(ANSWERS[name][0]) is expected


def test_a_stream_that_trickles_on_has_timed_out():
    assert outcome(CHAT[:300], ends_s=0.5) is Outcome.TIMED_OUT


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), Outcome.TIMED_OUT),
        (ConnectionResetError(), Outcome.BROKEN),
        (NotHttp(), Outcome.BROKEN),
    ],
)
def test_a_connection_that_fails_is_no_answer(error, expected):
    wire = Wire(error)
    assert over(Wires(wire))[0] is expected
    assert wire.is_closed


def test_a_connection_closed_without_a_word_is_no_answer():
    assert outcome(b"") is Outcome.BROKEN


@pytest.mark.parametrize("closed", [b"", ConnectionResetError()])
def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(closed):
    """As llama.cpp closes it after each stream, having promised to keep it."""
    kept, new = Wire(closed), Wire(CHAT)
    wires = Wires(new, kept)
    found, answer = over(wires)
    assert found is Outcome.SUCCEEDED
    assert (kept.asked, kept.is_closed, new.asked) == (1, True, 1)
    assert answer.began_s == (2.0 if closed == b"" else 1.0)
    assert wires.returned == [new]


def test_what_began_on_a_kept_connection_is_not_asked_for_again():
    kept, new = Wire(CHAT[:300]), Wire(CHAT)
    found, _ = over(Wires(new, kept))
    assert found is Outcome.BROKEN
    assert new.asked == 0
    assert kept.is_closed


def test_a_kept_connection_serves_again():
    kept, new = Wire(CHAT), Wire(CHAT)
    wires = Wires(new, kept)
    assert over(wires)[0] is Outcome.SUCCEEDED
    assert (new.asked, wires.returned) == (0, [kept])


def test_a_server_that_closes_new_connections_too_has_failed():
    assert over(Wires(Wire(b""), Wire(b"")))[0] is Outcome.BROKEN
