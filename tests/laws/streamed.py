"""Streamed answers without a server: what one would have been fed, and samples of many."""

from array import array

import numpy as np

from loadtests.generator.recording import Outcome
from loadtests.generator.streamed import StreamRecorder
from loadtests.samples import RECORD, Samples
from loadtests.streaming.answer import StreamedAnswer
from loadtests.streaming.streams import Streams

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WORD = b'data: {"choices": [{"text": "a"}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"completion_tokens": %d}}\n\n'
DONE = b"data: [DONE]\n\n"
WHOLE = b'{"usage": {"completion_tokens": %d}}'


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def answered(came_s, *, usage=None, cut=False):
    """Chunks that came at these instants; usage: tokens, as the server would count them."""
    answer = StreamedAnswer("events")
    answer.feed(came_s[0] if came_s else 0.0, HEAD)
    for at_s in came_s:
        answer.feed(at_s, chunk(WORD))
    end_s = came_s[-1] if came_s else 0.0
    if cut:
        answer.feed(end_s, b"")
        return answer
    if usage is not None:
        answer.feed(end_s, chunk(USAGE % usage))
    answer.feed(end_s, chunk(DONE) + b"0\r\n\r\n")
    return answer


def as_if_answered(came_s):
    """The same without the bytes: a thousand times as fast."""
    answer = StreamedAnswer("events")
    answer.first_s, answer.last_s = came_s[0], came_s[-1]
    answer.gaps_s = array("d", np.diff(came_s))
    return answer


def answered_whole(at_s, tokens):
    answer, body = StreamedAnswer("events"), WHOLE % tokens
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    answer.feed(at_s, head % len(body) + body)
    return answer


class Written:
    """What a recorder hands on."""

    def __init__(self):
        self.records, self.streams = b"", b""

    def __call__(self, records, streams):
        self.records += records
        self.streams += streams

    def samples(self):
        records = np.frombuffer(self.records, RECORD)
        return Samples.in_due_order(records, Streams.read(self.streams))


def samples_of(answers):
    """answers: due_s, sent_s, done_s, outcome and answer of each; None for an answer: not sent."""
    written = Written()
    recorder = StreamRecorder(0.0, written)
    for due_s, sent_s, done_s, outcome, answer in answers:
        if answer is None:
            recorder.add((due_s, due_s, due_s, due_s), 0, 0, Outcome.DROPPED, 0, 0)
        else:
            recorder.add_streamed((due_s, sent_s, done_s), (0, outcome, 0), answer)
    recorder.flush()
    return written.samples()


def one_each(rate_rps, streams, *, outcome=Outcome.SUCCEEDED, usage=None):
    """One request after the other, sent when due; streams: when each one's chunks come after."""
    rows = []
    for number, after_s in enumerate(streams):
        due_s = number / rate_rps
        came_s = [due_s + each for each in after_s]
        answer = answered(came_s, usage=usage)
        rows.append((due_s, due_s, came_s[-1], outcome, answer))
    return samples_of(rows)
