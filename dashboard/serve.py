"""The dashboard behind gunicorn: one process, some threads, on a socket of ours."""

from __future__ import annotations

import gc
import socket
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from typing_extensions import override

from recommender.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

__all__ = ["Server", "listen"]

THREADS = 8
TIMEOUT_S = 120
COLLECTED_EVERY = (100_000, 20, 20)  # objects, and collections of the young and the middle-aged
LONGEST_ADDRESS = 8190  # a question may hold the hours of a month


def listen(host: str, port: int) -> socket.socket:
    """Port 0 is any that is free. Raises BadRequest when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise BadRequest(
            f"the dashboard cannot listen on {host}, port {port}: {error.strerror}",
            hint="name another port: recommender dashboard --port 8051",
        ) from error
    return listener


class Server(BaseApplication):  # type: ignore[misc]
    """make_app: called in the worker, after the fork that no store may be carried over."""

    def __init__(self, listener: socket.socket, make_app: Callable[[], Flask]) -> None:
        self._listener, self._make_app = listener, make_app
        super().__init__()

    @override
    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": f"fd://{self._listener.fileno()}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "timeout": TIMEOUT_S,
            "limit_request_line": LONGEST_ADDRESS,
            "loglevel": "warning",
            "control_socket_disable": True,
            "proc_name": "recommender dashboard",
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # the control socket came with gunicorn 25
                self.cfg.set(name, value)

    @override
    def load(self) -> Flask:
        app = self._make_app()
        # An answer is half a million objects and no garbage: looking for some took half its time.
        gc.freeze()
        gc.set_threshold(*COLLECTED_EVERY)
        # Its matrices are small: a second thread waits for the first, and burns a core with it.
        threadpool_limits(1)
        return app
