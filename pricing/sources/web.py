"""Public files over HTTP. Proxies and certificates as requests takes them from the environment."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from pricing.errors import BadOffer, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Web"]

CHUNK_BYTES: Final = 1 << 18
TIMEOUT_S: Final = (10, 60)
_AGAIN: Final = Retry(
    total=5,
    connect=2,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    respect_retry_after_header=True,
)


class Web:
    def __init__(self) -> None:
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=_AGAIN))

    @contextmanager
    def file(self, url: str) -> Iterator[requests.Response]:
        """An answer whose body is still to be read. What goes wrong in reading it is named too."""
        try:
            with self._session.get(url, stream=True, timeout=TIMEOUT_S) as answer:
                _require_found(answer)
                yield answer
        except requests.exceptions.RetryError as error:
            raise SourceUnavailable(
                f"{url} is overloaded or throttles us; asked {_AGAIN.total} times again in vain",
                hint="run the same command again in a while: what was fetched is kept",
            ) from error
        except (
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            raise BadOffer(
                f"{url} was cut short on its way: {_line(error)}",
                hint="run the same command again: what was fetched is kept",
            ) from error
        except requests.RequestException as error:
            raise SourceUnavailable(
                f"{url} cannot be reached: {_line(error)}",
                hint="see to the network or the proxy, then run the same command again:"
                " what was fetched is kept",
            ) from error


def _require_found(answer: requests.Response) -> None:
    if not answer.ok:
        raise SourceUnavailable(
            f"{answer.url} answered {answer.status_code} {answer.reason}",
            hint="is the address right? --offer-url and --spot-advisor-url name others",
        )


def _line(error: Exception) -> str:
    """The innermost reason: requests wraps urllib3's, which names its own objects first."""
    inner = error.args[0] if error.args else error
    said = " ".join(str(getattr(inner, "reason", None) or inner).split())
    return said.rpartition("): ")[2][:200]
