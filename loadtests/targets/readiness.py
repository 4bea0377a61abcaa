"""Is it ready, and does it answer? A small HTTP client and the waiting loop around it."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from loadtests.errors import PayloadRejected, TargetUnreachable, UsageError
from loadtests.targets.protocol import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadtests.targets.protocol import Target

__all__ = ["Answer", "Ping", "Pinged", "exchange", "try_payload", "wait_for_ping"]

OK = 200
FIRST_SERVER_ERROR = 500
DEATH_SHOWS_WITHIN_S = 0.5
FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.1
STARTING = frozenset({500, 502, 503, 504})  # what a front end says while its back end starts
REFUSED_FOR_S = 10.0  # any other answer, repeated so long, is meant
EXCERPT_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """seconds: from the connection's start to the last byte of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004

    def excerpt(self) -> str:
        text = " ".join(self.body.decode(errors="replace").split())
        return text if len(text) <= EXCERPT_CHARACTERS else text[:EXCERPT_CHARACTERS] + "…"


def exchange(
    url: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
) -> Answer:
    """One request on a connection of its own; redirects are answers. Else TargetUnreachable.

    `timeout_s` bounds connecting and each silence, not the whole.
    """
    connection, path = _connection(url, timeout_s)
    begun = time.perf_counter()
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        content = response.read()
    except TimeoutError:
        raise TargetUnreachable(f"{url} gave no answer within {timeout_s:g} s") from None
    except (OSError, http.client.HTTPException) as problem:
        raise TargetUnreachable(f"{url}: {_in_words(problem)}") from problem
    finally:
        connection.close()
    fields = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, fields, content, time.perf_counter() - begun)


def _connection(url: str, timeout_s: float) -> tuple[http.client.HTTPConnection, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise UsageError(f"{url!r} is no URL: {problem}") from None
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise UsageError(f"{url!r} is no http:// or https:// URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return kinds[parts.scheme](parts.hostname, port, timeout=timeout_s), path


def _in_words(problem: Exception) -> str:
    match problem:
        case ConnectionRefusedError():
            return "connection refused"
        case http.client.RemoteDisconnected() | ConnectionResetError():
            return "closed the connection without an answer"
        case OSError(strerror=str(words)):
            return words
        case _:
            return f"{type(problem).__name__}: {problem}"


@dataclass(frozen=True, slots=True)
class Ping:
    url: str
    startup_timeout_s: float = 480.0
    ping_timeout_s: float = 2.0
    refused_for_s: float = REFUSED_FOR_S


@dataclass(frozen=True, slots=True)
class Pinged:
    """last: what the last ping met ("200", "404", "connection refused")."""

    ready: bool
    waited_s: float
    status: int | None
    last: str


def wait_for_ping(
    ping: Ping,
    still_alive: Callable[[], None],
    progress: Callable[[Waiting], None] | None = None,
) -> Pinged:
    """Ping until 200, the time-out, or an answer that waiting will not change.

    `still_alive` raises when the target has ended, and so ends the waiting.
    """
    begun = time.perf_counter()
    refused_since: float | None = None
    pause_s = FIRST_PAUSE_S
    while True:
        still_alive()
        status, last = _ping_once(ping)
        waited_s = time.perf_counter() - begun
        if status is None or status in STARTING:
            refused_since = None
        elif refused_since is None:
            refused_since = waited_s
        meant = refused_since is not None and waited_s - refused_since >= ping.refused_for_s
        over = meant or waited_s >= ping.startup_timeout_s
        if status == OK or over:
            return Pinged(status == OK, waited_s, status, last)
        if progress is not None:
            progress(Waiting(waited_s, ping.startup_timeout_s, last))
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _ping_once(ping: Ping) -> tuple[int | None, str]:
    try:
        answer = exchange(ping.url, timeout_s=ping.ping_timeout_s)
    except TargetUnreachable as problem:
        return None, str(problem).removeprefix(f"{ping.url}: ").removeprefix(f"{ping.url} ")
    return answer.status, str(answer.status)


def try_payload(
    target: Target, body: bytes, *, content_type: str, path: str = "/invocations"
) -> Answer:
    """One request before any load. PayloadRejected for anything but 2xx, TargetDied if it fell."""
    description = target.describe()
    url = description.base_url + path
    try:
        answer = exchange(
            url,
            method="POST",
            body=body,
            headers={"Content-Type": content_type},
            timeout_s=description.timeouts.answer_s,
        )
    except TargetUnreachable as problem:
        _let_death_show(target)
        raise PayloadRejected(
            f"the trial request was not answered: {problem}",
            hint="see the target's log" + _quoted(target.log_tail()),
        ) from problem
    if not answer.is_success:
        target.check()
        raise PayloadRejected(
            f"POST {url} with a payload of {len(body)} bytes of {content_type} answered "
            f"{answer.status}: {answer.excerpt() or '(empty body)'}",
            hint=_advice(answer, content_type, target),
        )
    return answer


def _let_death_show(target: Target) -> None:
    """A connection breaks a moment before the end of its process is reported."""
    given_up = time.perf_counter() + DEATH_SHOWS_WITHIN_S
    while time.perf_counter() < given_up:
        target.check()
        time.sleep(LONGEST_PAUSE_S / 2)


def _advice(answer: Answer, content_type: str, target: Target) -> str:
    where = answer.headers.get("location", "nowhere")
    known = {
        301: f"it redirects to {where}: use that URL",
        302: f"it redirects to {where}: use that URL",
        307: f"it redirects to {where}: use that URL",
        308: f"it redirects to {where}: use that URL",
        404: "it does not know this path; does it serve another?",
        405: "it takes no POST on this path; does it serve another?",
        413: "the payload is too large for this server",
        415: f"{content_type} is not taken: give another --content-type",
    }
    if answer.status in known:
        return known[answer.status]
    if answer.status < FIRST_SERVER_ERROR:
        return f"does the payload fit the model, and is it {content_type} (--content-type)?"
    return "the server failed on this payload; see its log" + _quoted(target.log_tail())


def _quoted(lines: tuple[str, ...]) -> str:
    return "".join(f"\n  | {line}" for line in lines)
