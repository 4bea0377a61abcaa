"""Requests of several records: each costs its own time, and too many are refused.

A request of r records takes its drawn service time and r times `per_row_s` more, as a + b r: the
law under which many records to a request are worth it.
"""

from __future__ import annotations

__all__ = ["rows_in"]


def rows_in(body: bytes) -> int:
    """Lines, as in CSV and in lines of JSON, but for empty ones at the end."""
    text = body.rstrip(b"\r\n")
    return text.count(b"\n") + 1 if text else 0
