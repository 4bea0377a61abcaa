"""What a run creates on this machine, written down before it is created.

One JSON file for each thing, in a folder the caller names. The file is there (and on the disk)
before the process, control group or folder is, and goes after it; so whatever a crash leaves
behind is found later.

Safe at any time: an entry belongs to the process that wrote it, and is left alone while that one
lives. Nothing else is touched: a process must carry the entry's token in its environment (or
descend from one that does); a container, folder or control group must have it in its name.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from loadtests.errors import LoadTestError
from loadtests.targets.container_removal import remove_container
from loadtests.targets.control_groups import PREFIX, dismantle
from loadtests.targets.processes import (
    ProcessIdentity,
    descendants,
    name,
    with_token,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TOKEN_VARIABLE", "Entry", "Journal", "Kind"]

TOKEN_VARIABLE = "RECOMMENDER_RESOURCE"  # noqa: S105 - a name, and the token is no secret
KILL_WITHIN_S = 10.0
LOOKS = 2  # without a find: a process has no environment for a moment while it executes
LOOK_EVERY_S = 0.01


class Kind(StrEnum):
    """In the order of their removal: a container while its engine may still answer."""

    CONTAINER = "container"
    PROCESS = "process"
    CGROUP = "cgroup"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Entry:
    """id: unique, and the token that the thing itself carries. what: for a person.

    paths: where it is; of a container, the socket of the engine that has it.
    """

    id: str
    kind: Kind
    owner: ProcessIdentity
    what: str
    paths: tuple[Path, ...] = ()
    supervisor: ProcessIdentity | None = None

    @property
    def token(self) -> dict[str, str]:
        """To be put into the environment of a process that the entry stands for."""
        return {TOKEN_VARIABLE: self.id}

    def to_json(self) -> str:
        fields = asdict(self) | {"paths": [str(path) for path in self.paths]}
        return json.dumps(fields, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Entry:
        fields: dict[str, Any] = json.loads(text)
        supervisor = fields["supervisor"]
        return cls(
            id=fields["id"],
            kind=Kind(fields["kind"]),
            owner=ProcessIdentity(**fields["owner"]),
            what=fields["what"],
            paths=tuple(Path(path) for path in fields["paths"]),
            supervisor=None if supervisor is None else ProcessIdentity(**supervisor),
        )


class Journal:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def process(self, command: str) -> Entry:
        """Before it is started, and then with the entry's token in its environment."""
        return self._enter(Kind.PROCESS, command)

    def cgroup(self, paths: tuple[Path, ...]) -> Entry:
        """Before it is made; {id} in the paths becomes the entry's."""
        return self._enter(Kind.CGROUP, "control group", paths)

    def container(self, what: str, socket: Path) -> Entry:
        """Before it is created, with PREFIX and the entry's id for a name."""
        return self._enter(Kind.CONTAINER, what, (socket,))

    def _enter(self, kind: Kind, what: str, paths: tuple[Path, ...] = ()) -> Entry:
        token = uuid.uuid4().hex
        named = tuple(Path(str(path).replace("{id}", token)) for path in paths)
        entry = Entry(token, kind, ProcessIdentity.own(), what, named)
        self._write(entry)
        return entry

    def supervised_by(self, entry: Entry, pid: int) -> Entry:
        known = replace(entry, supervisor=ProcessIdentity.of(pid))
        self._write(known)
        return known

    def done(self, entry: Entry) -> None:
        """The thing is gone."""
        self._file(entry).unlink(missing_ok=True)

    @contextmanager
    def workspace(self, parent: Path | None = None) -> Iterator[Path]:
        """A temporary folder, removed at the end, or by `clean_leftovers` after a crash."""
        place = Path(tempfile.gettempdir() if parent is None else parent).absolute()
        entry = self._enter(Kind.FOLDER, "temporary folder", (place / "recommender-{id}",))
        (folder,) = entry.paths
        try:
            folder.mkdir(parents=True, mode=0o700)
            yield folder
        finally:
            self.clean(entry)

    def entries(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in map(_read, self._files()) if isinstance(entry, Entry))

    def unreadable(self) -> tuple[Path, ...]:
        """Files of the folder that are no entries of this version: left alone, to be looked at."""
        return tuple(path for path in self._files() if _read(path) is None)

    def leftovers(self) -> tuple[Entry, ...]:
        """Entries whose owner is dead. A live run's are not among them."""
        return tuple(entry for entry in self.entries() if entry.owner.is_gone())

    def clean(self, entry: Entry) -> list[str]:
        """Remove what the entry stands for, then the entry; says what was removed."""
        ours = [path for path in entry.paths if path.name.endswith(entry.id)]
        try:
            match entry.kind:
                case Kind.CONTAINER:
                    removed = remove_container(PREFIX + entry.id, *entry.paths)
                case Kind.PROCESS:
                    removed = kill_carriers(entry.id)
                case Kind.CGROUP:
                    removed = [line for path in ours for line in dismantle(path)]
                case Kind.FOLDER:
                    removed = [line for path in ours for line in _remove_folder(path)]
                case _:
                    assert_never(entry.kind)
        except OSError as problem:
            raise LoadTestError(
                f"cannot remove the {entry.what}: {problem}",
                hint="the journal keeps it: run `recommender cleanup` again",
            ) from problem
        self.done(entry)
        return removed

    def clean_leftovers(self) -> list[str]:
        """All of them, what may still be writing before what it writes to; says what was."""
        order = list(Kind)
        leftovers = sorted(self.leftovers(), key=lambda entry: order.index(entry.kind))
        removed = [line for entry in leftovers for line in self.clean(entry)]
        for draft in self.folder.glob("*.draft"):
            if _is_abandoned(draft):
                draft.unlink(missing_ok=True)
        return removed

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def _file(self, entry: Entry) -> Path:
        return self.folder / f"{entry.id}.json"

    def _write(self, entry: Entry) -> None:
        path = self._file(entry)
        draft = path.with_suffix(f".{entry.owner.pid}-{entry.owner.started_ticks}.draft")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with draft.open("w") as file:
                file.write(entry.to_json())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _fsync_folder(self.folder)
        except OSError as problem:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise LoadTestError(
                f"cannot note in {self.folder} what is about to be started: {problem.strerror}",
                hint="nothing was started; free some disk space or choose another data directory",
            ) from problem


def _read(path: Path) -> Entry | None:
    try:
        return Entry.from_json(path.read_text())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_abandoned(draft: Path) -> bool:
    """Its writer is dead; nothing was created for it, because an entry comes first."""
    pid, _, started_ticks = draft.name.split(".")[1].partition("-")
    writer = ProcessIdentity.of(int(pid))
    return writer is None or writer.started_ticks != int(started_ticks)


def _fsync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove_folder(path: Path) -> list[str]:
    """OSError where something in it cannot be removed."""
    if not path.is_dir():
        return []
    shutil.rmtree(path)
    return [f"folder {path}"]


def kill_carriers(token: str) -> list[str]:
    """SIGKILL to every process that carries the token and to all below it, until none is left."""
    me = os.getpid()
    spared = {me, *_ancestors(me)}
    killed: dict[ProcessIdentity, str] = {}
    given_up = time.perf_counter() + KILL_WITHIN_S
    looks_without = 0
    while looks_without < LOOKS:
        carriers = [pid for pid in with_token(TOKEN_VARIABLE, token) if pid not in spared]
        tree = {*carriers, *(below for pid in carriers for below in descendants(pid))} - spared
        tree |= {identity.pid for identity in killed if not identity.is_gone()}
        looks_without = 0 if tree else looks_without + 1
        for pid in tree:
            if (identity := ProcessIdentity.of(pid)) is not None:
                killed.setdefault(identity, name(pid))
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if time.perf_counter() > given_up:
            raise LoadTestError(
                f"processes {sorted(tree)} carry {TOKEN_VARIABLE}={token} and survive SIGKILL",
                hint="they wait for a device; look at them with ps -o pid,stat,wchan,args",
            )
        time.sleep(LOOK_EVERY_S)
    return [f"process {identity.pid} ({called})" for identity, called in killed.items()]


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        status = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        pid = int(status[1])
        yield pid
