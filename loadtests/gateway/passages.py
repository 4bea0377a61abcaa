"""What a gateway writes down: one record for each request and stage, in the order of answers."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["NO_MEMBER", "PASSAGE", "pack", "read_passages"]

NO_MEMBER = 0xFFFF
# Seconds on the clock of perf_counter, which on Linux all processes share. arrived: read whole by
# the gateway; sent: to the member; answered: the member's answer read whole; left: the answer
# given to the caller. member NO_MEMBER: turned away, and sent and answered are those of the
# refusal. waited: no member was free when it came.
PASSAGE = np.dtype(
    [
        ("request", "<u4"),
        ("stage", "u1"),
        ("waited", "u1"),
        ("member", "<u2"),
        ("status", "<u2"),
        ("spare", "<u2"),
        ("arrived_s", "<f8"),
        ("sent_s", "<f8"),
        ("answered_s", "<f8"),
        ("left_s", "<f8"),
    ]
)
_FORMAT = Struct("<IBBHHHdddd")


def pack(  # noqa: PLR0913 - the fields of PASSAGE
    *,
    request: int,
    stage: int,
    waited: bool,
    member: int,
    status: int,
    arrived_s: float,
    sent_s: float,
    answered_s: float,
    left_s: float,
) -> bytes:
    return _FORMAT.pack(
        request, stage, waited, member, status, 0, arrived_s, sent_s, answered_s, left_s
    )


def read_passages(path: Path, first: int = 0) -> NDArray[np.void]:
    """Shape (n,) of PASSAGE, from the given one on; a half-written last one is left out."""
    try:
        data = path.read_bytes()[first * PASSAGE.itemsize :]
    except FileNotFoundError:
        data = b""
    return np.frombuffer(data[: len(data) - len(data) % PASSAGE.itemsize], PASSAGE)
