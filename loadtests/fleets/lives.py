"""When each replica of a fleet that scales was there, and what it is paid for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Life", "paid_s"]


@dataclass(frozen=True, slots=True)
class Life:
    """Asked for, first in service, given back: all on one clock. None: not until now."""

    asked_s: float
    served_s: float | None = None
    left_s: float | None = None

    def paid_s(self, began_s: float, ended_s: float) -> float:
        """From being asked for on, as a machine is paid for while it boots; within a time."""
        left_s = math.inf if self.left_s is None else self.left_s
        return max(min(left_s, ended_s) - max(self.asked_s, began_s), 0.0)


def paid_s(lives: Iterable[Life], began_s: float, ended_s: float) -> float:
    return sum(life.paid_s(began_s, ended_s) for life in lives)
