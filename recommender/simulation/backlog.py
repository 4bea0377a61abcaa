"""Work left over from one step to the next, at replicas that come and go.

Requests go to replicas at random, as SageMaker's routing has it unless told otherwise: a replica
that enters service takes its share of what comes, and none of what waits at the others. So after
scaling out there are two kinds of replica, those with work left over and those without, until the
first have caught up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Backlog", "BacklogState", "backlog"]


class Backlog(NamedTuple):
    """Shapes (steps, policies, draws); waits in seconds, at the start of each step.

    old_s, new_s: at replicas that were there before the last ones came, and at those.
    old_ratio: share of the replicas that are old; 1 where all are alike. refused_s: work refused
    at each replica, in the mean. end: of the last step, where the next part begins.
    """

    old_s: Floats
    new_s: Floats
    old_ratio: Floats
    refused_s: Floats
    end: BacklogState

    @property
    def wait_s(self) -> Floats:
        """In the mean over replicas."""
        return np.asarray(self.old_ratio * self.old_s + (1 - self.old_ratio) * self.new_s)


def backlog(
    replicas: Floats,
    moves: tuple[Floats, Floats],
    start: BacklogState,
    most_s: float,
    worth_s: float,
) -> Backlog:
    """moves: X and Y of each step at one replica (`ReplicaQueue.moves`).

    most_s: a request that would wait longer is refused. worth_s: while less than that waits, new
    replicas are as good as old ones.
    """
    shape = replicas.shape
    old_s, new_s, refused_s = np.empty(shape), np.zeros(shape), np.empty(shape)
    old_ratio = np.ones(shape)
    state, is_split = start, start.is_split
    before = np.concatenate([start.replicas[None], replicas[:-1]])
    changed = (replicas != before).any(axis=(1, 2))
    for step, (free, formed) in enumerate(zip(*moves, strict=True)):
        if changed[step]:
            if is_split or state.old_s.max() > worth_s:
                state = state.among(replicas[step], worth_s)
                is_split = state.is_split
            else:
                state = state._replace(replicas=replicas[step])
        old_s[step] = state.old_s
        if is_split:
            new_s[step], old_ratio[step] = state.new_s, state.ratio
        state, refused_s[step] = state.moved(free, formed, most_s, is_split=is_split)
        is_split = is_split and state.is_split
    return Backlog(old_s, new_s, old_ratio, refused_s, state)


class BacklogState(NamedTuple):
    """Of one step, shapes (policies, draws). new_s counts where ratio, of old ones, is below 1."""

    replicas: Floats
    old_s: Floats
    new_s: Floats
    ratio: Floats

    @classmethod
    def idle(cls, replicas: Floats) -> Self:
        return cls(replicas, np.zeros_like(replicas), np.zeros_like(replicas), replicas * 0 + 1)

    @property
    def wait_s(self) -> Floats:
        """In the mean over replicas."""
        return self.mean(self.old_s, self.new_s)

    @property
    def is_split(self) -> bool:
        return bool((self.ratio < 1).any())

    def mean(self, old: Floats, new: Floats) -> Floats:
        return np.asarray(self.ratio * old + (1 - self.ratio) * new)

    def moved(
        self, free: Floats, formed: Floats, most_s: float, *, is_split: bool
    ) -> tuple[BacklogState, Floats]:
        """One step on, and the work refused in it."""
        asked_s = np.maximum(self.old_s + free, formed)
        old_s = np.minimum(asked_s, most_s)
        if not is_split:
            return self._replace(old_s=old_s), asked_s - old_s
        asked_new_s = np.maximum(self.new_s + free, formed)
        new_s = np.minimum(asked_new_s, most_s)
        # Moved alike, they meet where both begin anew.
        ratio = np.where(old_s > new_s, self.ratio, 1.0)
        refused_s = self.mean(asked_s - old_s, asked_new_s - new_s)
        return BacklogState(self.replicas, old_s, new_s, ratio), refused_s

    def among(self, now: Floats, worth_s: float) -> BacklogState:
        """Replicas come without work, to the new ones if those have less than half of the old's.

        Else all that were there are the old ones. The newest leave first, and finish what they
        have on their own.
        """
        before = self.replicas
        grows, is_split = now > before, self.ratio < 1
        joins = grows & is_split & (2 * self.new_s <= self.old_s)
        begins = grows & ~joins
        old_count = np.where(begins, before, np.minimum(self.ratio * before, now))
        new_count = (1 - self.ratio) * before
        came = np.maximum(now - before, 0.0)
        joined_s = self.new_s * new_count / np.maximum(new_count + came, 1.0)
        old_s = np.where(begins & is_split, self.mean(self.old_s, self.new_s), self.old_s)
        new_s = np.where(joins, joined_s, np.where(begins, 0.0, self.new_s))
        return BacklogState(now, old_s, new_s, np.where(old_s > worth_s, old_count / now, 1.0))
