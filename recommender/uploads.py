"""Files given to a form, kept for as long as a run needs them."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from loadtests.environment import utc_now
from recommender.errors import BadRequest

if TYPE_CHECKING:
    from recommender.store import Run

__all__ = ["MOST_BYTES", "Uploads"]

MOST_BYTES = 6 * 2**20  # as SageMaker takes in a request
MOST_WAITING = 100
WAITS_S = 24 * 3600.0
LONGEST_NAME = 80
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")  # patterns are among it


class Uploads:
    """`uploads/TOKEN/NAME` are the files, `used/TOKEN.RUN` says which run needs which of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = (folder / "uploads").absolute()
        self._used = folder / "used"

    def keep(self, name: str, content: bytes) -> Path:
        if len(content) > MOST_BYTES:
            raise BadRequest(
                f"{_safe(name)} holds {len(content):,} bytes",
                hint=f"a file may hold {MOST_BYTES:,}, as much as a request to SageMaker",
            )
        self._make_room()
        place = self.folder / secrets.token_hex(8)
        place.mkdir(parents=True, mode=0o700)
        file = place / _safe(name)
        file.write_bytes(content)
        return file

    def holds(self, file: str | Path) -> bool:
        """Whether it is one of them, however it is spelled."""
        path = Path(os.path.abspath(file))  # noqa: PTH100 - takes ".." away and follows no link
        return path.parent.parent == self.folder and path.is_file()

    def keep_for(self, run: Run) -> None:
        """Whichever its request names, until `release`."""
        request = str(run.request)
        for place in filter(lambda place: place.name in request, self._places()):
            self._used.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self._used / f"{place.name}.{run.id}").touch()

    def release(self, run_id: str) -> None:
        for mark in self._used.glob(f"*.{run_id}"):
            mark.unlink(missing_ok=True)
            if not self._is_used(mark.stem):
                shutil.rmtree(self.folder / mark.stem, ignore_errors=True)

    def _make_room(self) -> None:
        """Those no run was started with go after a day."""
        waiting = [place for place in self._places() if not self._is_used(place.name)]
        now_s = utc_now().timestamp()
        for place in list(waiting):
            with suppress(FileNotFoundError):  # gone with its run
                if now_s - place.stat().st_mtime > WAITS_S:
                    shutil.rmtree(place, ignore_errors=True)
                    waiting.remove(place)
        if len(waiting) >= MOST_WAITING:
            raise BadRequest(
                f"{len(waiting)} uploaded files wait for a run already",
                hint="start runs with them; those left over go after a day",
            )

    def _places(self) -> tuple[Path, ...]:
        return tuple(self.folder.iterdir()) if self.folder.is_dir() else ()

    def _is_used(self, token: str) -> bool:
        return next(self._used.glob(f"{token}.*"), None) is not None


def _safe(name: str) -> str:
    """The name alone, in characters that mean nothing to a shell, a pattern or a page."""
    last = UNSAFE.sub("_", PurePath(name.replace("\\", "/")).name).lstrip(".")
    stem, suffix = os.path.splitext(last)  # noqa: PTH122 - of a name
    return (stem[: LONGEST_NAME - len(suffix[:20])] + suffix[:20]) or "payload"
