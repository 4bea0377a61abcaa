from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Traffic"]


@runtime_checkable
class Traffic(Protocol):
    """Requests per second over time; time starts at 0 and, past the end, begins again."""

    @property
    def peak_rps(self) -> float: ...

    @property
    def mean_rps(self) -> float:
        """In the long run."""

    @property
    def duration_s(self) -> float | None:
        """Until it has shown all it has; None for what has no end of its own."""

    @property
    def text(self) -> str:
        """As the user would write it."""

    def rate_rps(self, t_s: float) -> float: ...

    def requests_by(self, t_s: float) -> float:
        """Expected requests in [0, t_s)."""

    def reached_s(self, requests: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of requests_by: when so many are passed. Never while the rate is 0."""
