"""Runs in processes of their own, which outlive whoever asked for them."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from pricing import Shelf
from recommender.errors import BadRequest, RecommenderError, RunEnded
from recommender.guests import check_guest_plan, check_guest_request
from recommender.lifecycle import STOPPED_BY_USER
from recommender.loadtest.session import create_loadtest
from recommender.quick import check_quick, create_quick
from recommender.store import RunStatus, is_here, process_owner
from recommender.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pricing import PriceBook
    from recommender.loadtest.plan import Plan
    from recommender.request import QuickRequest
    from recommender.store import Owner, Run, Store

__all__ = ["Jobs"]

PROGRAM = (sys.executable, "-P", "-m", "recommender")  # -P: a user's folder hides no package
# The process waits for a word before it becomes the program: its run is left to it by then. Should
# whoever starts it die first, it hears the end of its input, and ends.
GATE = 'read -r go && exec "$@" </dev/null'
OPEN = b"go\n"
STORE = "RECOMMENDER_STORE"
SECRETS = ("RECOMMENDER_TOKEN",)  # of the dashboard, not of what it starts
RUN_ID = re.compile(r"[a-z0-9-]+")
MOST_SAID_LINES, MOST_SAID_BYTES = 20, 8192
GONE_WITHIN_MS = 5000


class Jobs:
    """Starts, stops and deletes runs. All it knows is in the store and in `folder`.

    Any number of them, in any process of this machine, may be at work on one store; each may be
    used by several threads. store_url: of the store, as --store has it; processes are started in
    the folder that this one works in. runs_programs: whether whoever asks may have programs
    started and files read here, as at a terminal; if not, the bundled sample and a URL are
    measured, with payloads that were uploaded.
    """

    def __init__(
        self,
        store: Store,
        store_url: str | None,
        folder: Path,
        shelf: Shelf | None = None,
        *,
        runs_programs: bool = True,
    ) -> None:
        self._store, self._store_url, self._logs = store, store_url, folder / "logs"
        self._uploads = Uploads(folder)
        self._shelf = shelf or Shelf()
        self.runs_programs = runs_programs

    def check_quick(self, request: QuickRequest) -> None:
        """Whatever is wrong with the request is raised as by `recommender quick`."""
        if not self.runs_programs:
            check_guest_request(request, self._uploads)
        check_quick(request, self._book())

    def check_files(self, plan: Plan, folder: Path) -> None:
        """Raises BadRequest for one whose files may not be opened for whoever asks."""
        if not self.runs_programs:
            check_guest_plan(plan, folder, self._uploads)

    def holds(self, file: str) -> bool:
        """Whether it is an upload."""
        return self._uploads.holds(file)

    def start_quick(self, request: QuickRequest) -> Run:
        """Whatever is wrong with the request is raised as by `recommender quick`."""
        if not self.runs_programs:
            check_guest_request(request, self._uploads)
        run = create_quick(request, self._store, self._book(), None)
        return self._begin(run)

    def start_loadtest(self, plan: Plan, folder: Path) -> Run:
        """Whatever is wrong with the plan is raised as by `recommender loadtest`.

        folder: where the plan's payload files are.
        """
        self.check_files(plan, folder)
        run = create_loadtest(plan, folder, self._store, self._book(), None)
        return self._begin(run)

    def resume(self, run_id: str) -> Run:
        """Goes on with a run that nobody works on. Raises RunInUse, and RunEnded if finished."""
        return self._begin(self._store.run(run_id))

    def stop(self, run_id: str) -> None:
        """Asks the run's process to stop, which ends the run STOPPED once it has tidied up.

        What was measured is kept. Asked again, it goes on tidying up. Raises RunEnded for a run
        that nobody works on, and BadRequest when its process cannot be asked from here.
        """
        run = self._store.run(run_id)
        if not run.status.is_under_way:
            raise _nothing_to_stop(run)
        if run.owner is not None:
            _ask_to_stop(run, run.owner)
        if run.status is RunStatus.CREATED:
            self._end_unclaimed(run.id)

    def delete(self, run_id: str) -> None:
        """The run, its log, and uploads that are no other run's. Raises RunInUse if it runs."""
        run = self._store.run(run_id)
        self._store.delete_run(run.id)
        self._log(run.id).unlink(missing_ok=True)
        self._uploads.release(run.id)

    def said(self, run_id: str) -> str | None:
        """The last lines its process wrote. None: it wrote none, or was started elsewhere."""
        if RUN_ID.fullmatch(run_id) is None:
            return None
        try:
            with self._log(run_id).open("rb") as log:
                log.seek(max(log.seek(0, os.SEEK_END) - MOST_SAID_BYTES, 0))
                lines = log.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return None
        return "\n".join(lines[-MOST_SAID_LINES:]) or None

    def keep_upload(self, name: str, content: bytes) -> Path:
        """A file of that name, made safe. It goes with the last run that was started with it.

        Raises BadRequest for one that is too large, or when too many wait for a run.
        """
        return self._uploads.keep(name, content)

    def _book(self) -> PriceBook:
        return self._shelf.newest().book

    def _log(self, run_id: str) -> Path:
        return self._logs / f"{run_id}.log"

    def _begin(self, run: Run) -> Run:
        self._uploads.keep_for(run)
        try:
            return self._left_to_a_process(run)
        except OSError as error:
            reason = f"its process could not be started: {error.strerror or error}"
            if run.status is RunStatus.CREATED:
                self._store.finish(run.id, RunStatus.FAILED, reason)
            raise RecommenderError(f"run {run.id}: {reason}") from error

    def _left_to_a_process(self, run: Run) -> Run:
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._log(run.id).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - this program
                ["/bin/sh", "-c", GATE, "recommender", *PROGRAM, run.kind, "--resume", run.id],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )
        Thread(target=process.wait, name=f"waiting for {run.id}", daemon=True).start()
        assert process.stdin is not None  # noqa: S101 - it was asked for
        with process.stdin as gate:
            left = self._store.leave_to(run.id, process_owner(process.pid))
            with suppress(BrokenPipeError):  # stopped already
                gate.write(OPEN)
        return left

    def _environment(self) -> Mapping[str, str]:
        """The store goes by here, since others may read a command line, and a URL a password."""
        passed_on = {name: value for name, value in os.environ.items() if name not in SECRETS}
        return passed_on if self._store_url is None else passed_on | {STORE: self._store_url}

    def _end_unclaimed(self, run_id: str) -> None:
        """It may have been claimed at the last moment: then its process ends it."""
        run = self._store.run(run_id)
        if run.status is RunStatus.INTERRUPTED or (run.status.is_under_way and run.owner is None):
            with suppress(RunEnded):
                self._store.finish(run_id, RunStatus.STOPPED, STOPPED_BY_USER)


def _ask_to_stop(run: Run, owner: Owner) -> None:
    """By a signal that cannot reach another process which has its number since.

    SIGTERM is Ctrl-C to the program, but is also heard by one that a script put in the background.
    """
    if not is_here(owner):
        raise BadRequest(
            f"the run {run.id} is the work of process {owner.pid} on {owner.host}, out of reach "
            "from here",
            hint=f"stop it there: recommender stop {run.id}",
        )
    with suppress(ProcessLookupError):
        process = os.pidfd_open(owner.pid)
        try:
            if process_owner(owner.pid) == owner:
                signal.pidfd_send_signal(process, signal.SIGTERM)
                if run.status is RunStatus.CREATED:
                    _wait_for_end(process)
        except PermissionError as error:
            raise BadRequest(
                f"process {owner.pid}, which works on the run {run.id}, is another user's",
                hint="ask who started it to stop it",
            ) from error
        finally:
            os.close(process)


def _wait_for_end(process: int) -> None:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.poll(GONE_WITHIN_MS)


def _nothing_to_stop(run: Run) -> RunEnded:
    if run.status is RunStatus.INTERRUPTED:
        said = "its process is gone already"
    else:
        said = f"it is {run.status.lower()} already"
    return RunEnded(
        f"nobody works on the run {run.id}: {said}", hint=f"see it: recommender show {run.id}"
    )
