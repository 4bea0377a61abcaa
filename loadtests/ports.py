"""Ports of this machine."""

from __future__ import annotations

import socket

__all__ = ["free_port"]

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Of loopback; another program may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
