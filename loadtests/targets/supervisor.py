"""Starts a command and sees to it that nothing of it outlives the one who asked.

Run as a program of its own, by path and with the standard library alone (`python -I -S`), so that
it starts in about ten milliseconds and a command's memory is never a copy of the recommender's.

In:   one line of JSON on standard input (`Order`); then the pipe stays open. Its end is the order
to
      stop, and it ends by itself when the asking process is killed, however it is killed.
Out:  one line of JSON on standard output for each of
      {"event": "started", "pid": …}        the command runs
      {"event": "failed", "reason": …}      it could not be started
      {"event": "exited", "status": …, "signal": …, "left": […]}   it ended; what it left running
      {"event": "done", "unkillable": […]}  no descendant lives any more

As child subreaper it inherits every orphan, so a grandchild that detached itself is still found.
PR_SET_PDEATHSIG is set on the command, against a supervisor killed with signal 9. It is not set on
the
supervisor: that signal comes when the *thread* that started it ends, which may be long before the
process does.
"""
# ruff: noqa: PTH123, PTH208 - pathlib would double the time to start

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import NoReturn, TypedDict

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_MS = 500
UNKILLABLE_AFTER_S = 10.0


class Order(TypedDict):
    arguments: list[str]
    environment: dict[str, str]
    directory: str | None
    log: str
    join: list[str]  # cgroup.procs files
    cores: list[int]
    niceness: int
    grace_s: float


def parent_and_state(pid: int) -> tuple[int, str] | None:
    """Of a process; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[0].decode()


def descendants(root: int) -> list[int]:
    """Every living process below `root`, which itself is not one; zombies are not living."""
    below: dict[int, list[tuple[int, str]]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (found := parent_and_state(int(entry))) is not None:
            below.setdefault(found[0], []).append((int(entry), found[1]))
    alive: list[int] = []
    waiting = [root]
    while waiting:
        for pid, state in below.get(waiting.pop(), []):
            waiting.append(pid)
            if state not in "ZX":
                alive.append(pid)
    return alive


def name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
            return comm.read().strip()
    except OSError:
        return "gone"


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def report(**event: object) -> None:
    try:
        os.write(1, json.dumps(event).encode() + b"\n")
    except OSError:
        return  # the one who would read it is gone, which is why we are stopping


def main() -> int:
    order: Order = json.loads(read_line(0))
    parent = os.getppid()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake, stopped = listen_for_signals()
    try:
        command = start(order)
    except OSError as problem:
        report(event="failed", reason=problem.strerror or str(problem), errno=problem.errno)
        return 1
    report(event="started", pid=command)
    wait_for_the_end(command, parent, wake, stopped)
    report(event="done", unkillable=stop_everything(command, order["grace_s"]))
    return 0


def read_line(fd: int) -> bytes:
    """Byte-exact: a buffered reader would swallow the end-of-file that means "stop"."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(fd, 65536)
        if not chunk:
            raise SystemExit(1)
        line += chunk
    return line


def prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def listen_for_signals() -> tuple[int, list[int]]:
    """What turns readable when a child ends or we are told to stop; the orders to stop so far."""
    stopped: list[int] = []
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # for the wake-up alone
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda order, _frame: stopped.append(order))
    return read_end, stopped


def start(order: Order) -> int:
    """The process id of the command; OSError if it cannot be executed as ordered."""
    read_end, write_end = os.pipe()  # closed by a successful exec, else carries the error number
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        become(order, supervisor, write_end)
    os.close(write_end)
    failure = os.read(read_end, 4096)
    os.close(read_end)
    if failure:
        os.waitpid(child, 0)
        number, _, reason = failure.decode(errors="replace").partition(" ")
        raise OSError(int(number), reason)
    return child


def become(order: Order, supervisor: int, failure: int) -> NoReturn:
    doing = "start"
    try:
        os.setsid()  # `kill 0` in a start script must not reach the supervisor
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(1)
        doing = "join its control group"
        for procs in order["join"]:
            write(procs, str(os.getpid()))
        doing = "be pinned"
        if order["cores"]:
            os.sched_setaffinity(0, order["cores"])
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + order["niceness"])
        doing = "write its log"
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, standard in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, standard)
        doing = f"enter its directory {order['directory']}"
        if order["directory"] is not None:
            os.chdir(order["directory"])
        for number in (
            signal.SIGPIPE,
            signal.SIGXFSZ,
        ):  # Python ignores these; exec would keep that
            signal.signal(number, signal.SIG_DFL)
        doing = f"execute {order['arguments'][0]}"
        os.execvpe(order["arguments"][0], order["arguments"], order["environment"])  # noqa: S606
    except OSError as problem:
        os.write(failure, f"{problem.errno} could not {doing}: {problem.strerror}".encode())
    finally:
        os._exit(127)


def write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def wait_for_the_end(command: int, parent: int, wake: int, stopped: list[int]) -> None:
    """Returns when the command ended, or we were told to stop, or nobody is left to tell us."""
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    poll.register(wake, select.POLLIN)
    while True:
        if reap(command) or stopped or os.getppid() != parent:
            return
        for fd, _ in poll.poll(POLL_MS):
            if fd == 0 and not os.read(0, 4096):
                return
            if fd == wake:
                os.read(wake, 4096)


def reap(command: int) -> bool:
    """Collect whoever ended; True when the command is among them (and is reported)."""
    ended = False
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        if pid == command:
            ended = True
            killed = os.WIFSIGNALED(status)
            report(
                event="exited",
                status=None if killed else os.waitstatus_to_exitcode(status),
                signal=os.WTERMSIG(status) if killed else None,
                left=[name(pid) for pid in descendants(os.getpid())],
            )


def stop_everything(command: int, grace_s: float) -> list[int]:
    """SIGTERM to all, SIGKILL to those who stay; the processes that even that did not end."""
    me = os.getpid()
    asked = time.monotonic()
    send(descendants(me), signal.SIGTERM)
    pause_s = 0.002
    while True:
        reap(command)
        if is_childless():
            return []
        waited_s = time.monotonic() - asked
        if waited_s > grace_s:
            send(descendants(me), signal.SIGKILL)
        if waited_s > grace_s + UNKILLABLE_AFTER_S:
            return descendants(me)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)


def is_childless() -> bool:
    """Every orphan becomes our child, so then nobody is left below us.

    Looking for the living is not enough: a process shows as a zombie, and cannot be waited for,
    while other threads of it still hold its memory and its port.
    """
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
