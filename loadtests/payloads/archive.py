"""A tar file of sample payloads, as SageMaker's recommender takes it, read in memory."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from loadtests.errors import UsageError
from loadtests.payloads.bodies import Body
from loadtests.workload import MOST_PAYLOADS, content_type_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_archive"]

MOST_BYTES = 2**30
BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)

HINT = "make it with: tar -czf samples.tar.gz -C FOLDER ."


def read_archive(file: Path, *, most_bytes: int = MOST_BYTES) -> list[Body]:
    """One body for each regular file, in order of name; folders and macOS's ._ files are left out.

    Nothing is unpacked onto the disk. Raises UsageError for one that is not there or no archive,
    that holds a link, an absolute path or one out of the archive, nothing at all, or too much.
    """
    try:
        with tarfile.open(file, "r:*") as archive:
            return _bodies(file, archive, most_bytes)
    except FileNotFoundError as error:
        raise UsageError(
            f"the payload archive {file} does not exist",
            hint="give the path of a .tar.gz whose files hold one request body each",
        ) from error
    except BROKEN as error:
        raise UsageError(
            f"the payload archive {file} cannot be read: {error}", hint=HINT
        ) from error


def _bodies(file: Path, archive: tarfile.TarFile, most_bytes: int) -> list[Body]:
    found: list[Body] = []
    in_all = 0
    for member in archive:  # one at a time, so that what is too large is never unpacked
        if member.isdir() or PurePosixPath(member.name).name.startswith("._"):
            continue
        in_all += _checked_size(file, member)
        if in_all > most_bytes or len(found) == MOST_PAYLOADS:
            raise UsageError(
                f"the payload archive {file} holds more than {most_bytes / 2**20:g} MiB "
                f"or {MOST_PAYLOADS} files",
                hint="a few hundred samples are enough",
            )
        content = archive.extractfile(member)
        body = content.read() if content is not None else b""
        found.append(Body(f"{file}:{member.name}", body, content_type_of(member.name)))
    if not found:
        raise UsageError(f"the payload archive {file} holds no file", hint=HINT)
    return sorted(found, key=lambda each: each.name)


def _checked_size(file: Path, member: tarfile.TarInfo) -> int:
    place = PurePosixPath(member.name)
    if place.is_absolute() or ".." in place.parts:
        raise UsageError(
            f"the payload archive {file} names {member.name}, which is outside of it", hint=HINT
        )
    if not member.isreg():
        raise UsageError(
            f"the payload archive {file} holds {member.name}, which is no regular file", hint=HINT
        )
    return member.size
