"""Answers that come bit by bit: read as they come, and what is written down of them."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from loadtests.generator.recording import Outcome, Recorder
from loadtests.streaming.answer import Flaw, StreamedAnswer
from loadtests.streaming.streams import StreamLog

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StreamRecorder", "exchange", "outcome_of"]

BLOCK_BYTES = 65536

OK_CLASS = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
BY_FLAW = {
    Flaw.NONE: Outcome.SUCCEEDED,
    Flaw.WHOLE: Outcome.SUCCEEDED,
    Flaw.REPORTED: Outcome.REFUSED,
    Flaw.CUT: Outcome.BROKEN,
    Flaw.EMPTY: Outcome.BROKEN,
}


class StreamRecorder(Recorder):
    """Of streamed answers: hand_on is given a block of their streams beside that of RECORDs."""

    def __init__(self, start_s: float, hand_on: Callable[..., object]) -> None:
        super().__init__(start_s, hand_on)
        self._log = StreamLog(start_s)

    @override
    def add(self, instants: tuple[float, float, float, float], *figures: int) -> None:
        super().add(instants, *figures)
        self._log.add_nothing()

    def add_streamed(
        self,
        instants: tuple[float, float, float],
        figures: tuple[int, int, int],
        answer: StreamedAnswer,
    ) -> None:
        """instants: due, sent, done. figures: payload, outcome, variant."""
        due_s, sent_s, done_s = instants
        began_s = sent_s if answer.began_s is None else answer.began_s
        came = (due_s, sent_s, began_s, done_s)
        super().add(came, answer.status or 0, *figures, answer.bytes)
        self._log.add(answer)

    @override
    def flush(self) -> None:
        if self._rows:
            self._hand_on(self._block(), self._log.block())


class Connections(Protocol):
    """Those of `generator.kept`, to one server."""

    def take_kept(self) -> Any: ...  # noqa: ANN401 - gevent's

    def connect(self) -> Any: ...  # noqa: ANN401

    def return_socket(self, sock: Any) -> None: ...  # noqa: ANN401


def exchange(
    answer: StreamedAnswer,
    connections: Connections,
    request: bytes,
    clock: Callable[[], float],
    ends_s: float,
) -> None:
    """Asks and reads until the answer is over. Raises OSError, and NotHttp.

    A server may close a kept connection at any time, and some do after each stream without a word
    of it. A request that hears nothing on one is sent again on a new one, its time going on.
    """
    connection = connections.take_kept()
    if connection is not None:
        try:
            _ask_on(connection, answer, request, clock, ends_s)
        except ConnectionError:
            if answer.began_s is not None:
                raise
    if answer.began_s is None:
        connection = connections.connect()
        _ask_on(connection, answer, request, clock, ends_s)
    if answer.keeps_alive:
        connections.return_socket(connection)
    else:
        connection.close()


def _ask_on(
    connection: Any,  # noqa: ANN401 - gevent's
    answer: StreamedAnswer,
    request: bytes,
    clock: Callable[[], float],
    ends_s: float,
) -> None:
    """Closes it where that fails. TimeoutError at ends_s: one that trickles would never end."""
    try:
        with suppress(ConnectionError):  # it may have answered, and closed, before it had read all
            connection.sendall(request)
        while not answer.is_over:
            data = connection.recv(BLOCK_BYTES)
            now_s = clock()
            if not data and answer.began_s is None:
                raise ConnectionResetError  # noqa: TRY301 - as the kernel says it at times
            answer.feed(now_s, data)
            if now_s > ends_s and not answer.is_over:
                raise TimeoutError  # noqa: TRY301
    except BaseException:
        connection.close()
        raise


def outcome_of(answer: StreamedAnswer, read: Callable[[], None]) -> Outcome:
    """Of the answer once it is read, or could not be; one that ends in its head is none.

    A stream that was cut, or held nothing, is no answer; one that holds an error is a refusal.
    """
    try:
        read()
    except TimeoutError:
        return Outcome.TIMED_OUT
    except (OSError, ValueError, RuntimeError):
        return Outcome.BROKEN
    if answer.status is None:
        return Outcome.BROKEN
    return BY_FLAW[answer.flaw] if answer.status in OK_CLASS else Outcome.REFUSED
