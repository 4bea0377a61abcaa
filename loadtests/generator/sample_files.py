"""Where the samples of a job go, and their streams beside them."""

from __future__ import annotations

from pathlib import Path
from typing import IO

__all__ = ["SampleFiles", "streams_file"]


def streams_file(samples_file: Path) -> Path:
    return samples_file.with_suffix(".streams")


class SampleFiles:
    """Appended to, unbuffered; a file of streams is there only once there are some."""

    def __init__(self, samples_file: str) -> None:
        self._path = Path(samples_file)
        self._samples = self._path.open("ab", buffering=0)
        self._streams: IO[bytes] | None = None

    def write(self, records: bytes, streams: bytes = b"") -> None:
        """The streams first: who reads the samples meanwhile finds at least as many of them."""
        if streams:
            if self._streams is None:
                self._streams = streams_file(self._path).open("ab", buffering=0)
            self._streams.write(streams)
        self._samples.write(records)

    def close(self) -> None:
        self._samples.close()
        if self._streams is not None:
            self._streams.close()
