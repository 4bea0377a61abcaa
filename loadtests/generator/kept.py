"""Connections kept for the next request."""

from __future__ import annotations

import socket
from select import POLLIN
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Kept"]


class Kept:
    """Of a pool that makes connections: the latest returned is the first taken.

    A server's workers own the connections they accepted. The latest returned is of a worker that
    has just become free; taken in turns, connections would load workers by how many each accepted.

    Whoever sends keeps within the number of connections; there is nothing to wait for here.
    """

    def __init__(
        self, host: str, port: int, timeout_s: float, make_poll: Callable[[], Any]
    ) -> None:
        """make_poll: the standard library's own poll, which never waits for other greenlets."""
        super().__init__(
            host, port, host, port, connection_timeout=timeout_s, network_timeout=timeout_s
        )  # type: ignore[call-arg] # of the pools this stands before
        self._kept: list[Any] = []
        self._poll = make_poll

    def get_socket(self) -> Any:  # noqa: ANN401 - gevent's
        return self.take_kept() or self.connect()

    def connect(self) -> Any:  # noqa: ANN401
        return self._create_socket()  # type: ignore[attr-defined] # the pool's

    def take_kept(self) -> Any:  # noqa: ANN401
        """One that was used before; None where there is none."""
        while self._kept:
            connection = self._kept.pop()
            if self._is_quiet(connection):
                return connection
            connection.close()
        return None

    def return_socket(self, sock: Any) -> None:  # noqa: ANN401
        self._kept.append(sock)

    def release_socket(self, sock: Any) -> None:  # noqa: ANN401
        sock.close()

    def after_connect(self, sock: Any) -> None:  # noqa: ANN401
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        while self._kept:
            self._kept.pop().close()

    def _is_quiet(self, connection: Any) -> bool:  # noqa: ANN401
        """A server that closed it, or speaks unasked, makes it readable."""
        poll = self._poll()
        poll.register(connection.fileno(), POLLIN)
        return not poll.poll(0)
