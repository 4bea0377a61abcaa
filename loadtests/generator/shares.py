"""A job as the generator's processes get it, and how it is divided among them.

One schedule is settled before the first request; each of its requests is one worker's to send, in
turn and in due order, so that the union is the very same schedule whatever the number of workers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from loadtests.streaming.delivery import Delivery

__all__ = ["Share", "core_sets", "parts"]

ARRAYS = {
    "due_s": np.float64,
    "payloads": np.uint16,
    "variants": np.uint16,
    "spans_s": np.float64,
    "users": np.int64,
}
CHUNK = 4096  # requests of the schedule that are Python's own numbers at a time


@dataclass(frozen=True, slots=True)
class Share:
    """What one process does of a job; of the only one, all of it.

    Open loop: due_s, payloads and variants, shape (n,). Closed loop: spans_s, shape (n, 2), and
    users, their numbers among all `all_users` of the job; payloads is the cycle they walk through.
    pool: connections, and so the most requests in flight; of a closed loop each user has its own.
    cores: the process keeps to these. delivery: how the answers come.
    """

    loop: str
    base_urls: tuple[str, ...]
    path: str
    content_types: tuple[str, ...]
    bodies: tuple[bytes, ...]
    pool: int
    timeout_s: float
    drain_s: float
    cores: tuple[int, ...] | None
    max_requests: int | None
    all_users: int
    due_s: NDArray[np.float64]
    payloads: NDArray[np.uint16]
    variants: NDArray[np.uint16]
    spans_s: NDArray[np.float64]
    users: NDArray[np.int64]
    delivery: Delivery = "whole"

    @property
    def requests(self) -> int | None:
        """How many are due; None of a closed loop, which sends as many as are answered."""
        return len(self.due_s) if self.loop == "open" else None

    def walk(self) -> Iterator[tuple[float, int, int]]:
        """Due time, payload and variant of each request; memory does not grow with the job."""
        columns = (self.due_s, self.payloads, self.variants)
        for first in range(0, len(self.due_s), CHUNK):
            chunk = (each[first : first + CHUNK].tolist() for each in columns)
            yield from zip(*chunk, strict=True)

    def heads(self, base_url: str) -> tuple[bytes, ...]:
        """What is sent before each body: worked out once, not for every request."""
        url = urlsplit(base_url)
        host, path = url.netloc.rpartition("@")[2], url.path.rstrip("/") + self.path
        return tuple(
            (
                f"POST {path} HTTP/1.1\r\nHost: {host}\r\n"
                f"User-Agent: inference-recommender\r\nAccept: */*\r\n"
                f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode("latin-1")
            for content_type, body in zip(self.content_types, self.bodies, strict=True)
        )

    @classmethod
    def read(cls, job: dict[str, Any]) -> Share:
        """A whole job, from the files it names."""
        with np.load(job["arrays_file"]) as file:
            arrays: dict[str, Any] = {**file}
        users = len(arrays["spans_s"])
        bodies = tuple(Path(file).read_bytes() for file in job["payload_files"])
        arrays["users"] = np.arange(users)
        return cls(**_settings(job), bodies=bodies, all_users=users, **arrays)

    def split(self, count: int) -> tuple[Share, ...]:
        """Into `count` shares, or fewer where there are fewer connections, or users, than that.

        Cores are not divided here: workers on other machines have their own.
        """
        is_open = self.loop == "open"
        count = min(count, max(self.pool if is_open else self.all_users, 1))
        limits = [None] * count if self.max_requests is None else parts(self.max_requests, count)
        return tuple(
            replace(
                self,
                pool=pool,
                max_requests=limits[turn],
                due_s=self.due_s[turn::count],
                payloads=self.payloads[turn::count] if is_open else self.payloads,
                variants=self.variants[turn::count],
                spans_s=self.spans_s[turn::count],
                users=self.users[turn::count],
            )
            for turn, pool in enumerate(parts(self.pool, count))
        )

    def message(self) -> dict[str, Any]:
        """Without the bodies, which many jobs have in common and which are sent apart."""
        plain = {
            name: getattr(self, name)
            for name in self.__slots__
            if name not in ARRAYS and name != "bodies"
        }
        return plain | {
            name: np.ascontiguousarray(getattr(self, name), kind).tobytes()
            for name, kind in ARRAYS.items()
        }

    @classmethod
    def of_message(cls, message: dict[str, Any], bodies: tuple[bytes, ...]) -> Share:
        arrays: dict[str, Any] = {
            name: np.frombuffer(message[name], kind) for name, kind in ARRAYS.items()
        }
        arrays["spans_s"] = arrays["spans_s"].reshape(-1, 2)
        return cls(**_settings(message), bodies=bodies, all_users=message["all_users"], **arrays)


def parts(total: int, count: int) -> list[int]:
    """`total` things among `count` takers, as evenly as whole numbers allow."""
    return [total // count + (turn < total % count) for turn in range(count)]


def _settings(values: dict[str, Any]) -> dict[str, Any]:
    cores = values["cores"]
    return {
        "loop": values["loop"],
        "base_urls": tuple(values["base_urls"]),
        "path": values["path"],
        "content_types": tuple(values["content_types"]),
        "pool": values["pool"],
        "timeout_s": values["timeout_s"],
        "drain_s": values["drain_s"],
        "cores": None if cores is None else tuple(cores),
        "max_requests": values["max_requests"],
        "delivery": values["delivery"],
    }


def core_sets(cores: tuple[int, ...] | None, count: int) -> list[tuple[int, ...] | None]:
    """Each core to one worker as long as there are enough; else workers take turns on them."""
    if cores is None:
        return [None] * count
    if len(cores) < count:
        return [(cores[turn % len(cores)],) for turn in range(count)]
    return [cores[turn::count] for turn in range(count)]
