"""The cheapest fleet of more than one type of machine, by a small integer programme.

After Mélange (Griggs et al. 2024, "Mélange: Cost Efficient Large Language Model Serving by
Exploiting GPU Heterogeneity"): each kind of request is shared out among types that differ in how
many of it they serve per dollar.

    minimise    Σᵢ priceᵢ nᵢ
    such that   Σᵢ yᵢₖ = rateₖ                 every request of kind k is served somewhere
                Σₖ yᵢₖ / capacityᵢₖ ≤ nᵢ       no type is asked for more than it has
                nᵢ whole, at most `most` of it; at most `most_types` types with nᵢ > 0

Solved exactly, by HiGHS (Huangfu & Hall 2018) through SciPy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, eye_array, hstack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["MachineType", "Mixture", "best_mixture", "shortage_rps"]

TOLERANCE = 1e-7  # HiGHS's own, of a rate
TIGHTENINGS = 8


@dataclass(frozen=True, slots=True, eq=False)
class MachineType:
    """capacity_rps: of one machine that gets one kind of request alone, headroom taken off.

    Shape (draws, kinds), the draws being the same for every type; 0 where it cannot serve that
    kind. most: to be had of it; None where there is no limit.
    """

    name: str
    usd_per_hour: float
    capacity_rps: Floats
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Mixture:
    """counts: of each type, in the order given. confidence: share of draws that it suffices in.

    alone: the cheapest fleet of one type; None where no type suffices alone.
    """

    counts: tuple[int, ...]
    usd_per_hour: float
    confidence: float
    alone: Mixture | None = None

    @property
    def machines(self) -> int:
        return sum(self.counts)


def best_mixture(
    types: Sequence[MachineType], rates_rps: Floats, confidence: float, *, most_types: int = 2
) -> Mixture | None:
    """The cheapest that serves each kind at its rate, with the stated confidence.

    rates_rps: shape (kinds,). Each type is planned at its cautious capacity, then the whole is
    tried in every draw, and planned again for more where that does not suffice. Never dearer than
    the cheapest fleet of one type. None: no such fleet.
    """
    alone = _cheapest([_alone(types, at, rates_rps, confidence) for at in range(len(types))])
    cautious = np.stack(
        [np.quantile(each.capacity_rps, 1 - confidence, axis=0, method="lower") for each in types]
    )
    asked = 1.0
    for _ in range(TIGHTENINGS):
        counts = _planned(types, cautious, rates_rps * asked, most_types)
        if counts is None:
            break
        reached, needed = _tried(types, counts, rates_rps, confidence)
        if reached >= confidence:
            mixed = Mixture(counts, _price(types, counts), reached)
            best = _cheapest([alone, mixed])
            return None if best is None else _beside(best, alone)
        asked *= max(needed, 1.01)
    return None if alone is None else _beside(alone, alone)


def _beside(best: Mixture, alone: Mixture | None) -> Mixture:
    return Mixture(best.counts, best.usd_per_hour, best.confidence, alone)


def _cheapest(found: Sequence[Mixture | None]) -> Mixture | None:
    """The first of equals."""
    real = [each for each in found if each is not None]
    return min(real, key=lambda each: each.usd_per_hour, default=None)


def _price(types: Sequence[MachineType], counts: Sequence[int]) -> float:
    return math.fsum(each.usd_per_hour * count for each, count in zip(types, counts, strict=True))


def _alone(
    types: Sequence[MachineType], at: int, rates_rps: Floats, confidence: float
) -> Mixture | None:
    """Exactly: the load of one type is the same sum in every draw."""
    load = _load(types[at].capacity_rps, rates_rps)
    needed = float(np.quantile(load, confidence, method="higher"))
    most = types[at].most
    if not math.isfinite(needed) or (most is not None and needed > most):
        return None
    count = math.ceil(needed - TOLERANCE)
    counts = tuple(count if place == at else 0 for place in range(len(types)))
    reached = float((load <= count + TOLERANCE).mean())
    return Mixture(counts, _price(types, counts), reached)


def _load(capacity_rps: Floats, rates_rps: Floats) -> Floats:
    """Machines' worth of work, of a type that serves all; infinite where it cannot. (draws,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(rates_rps > 0, rates_rps / capacity_rps, 0.0)
    return np.asarray(each.sum(axis=-1))


def _planned(
    types: Sequence[MachineType], capacity_rps: Floats, rates_rps: Floats, most_types: int
) -> tuple[int, ...] | None:
    """Variables in order: counts n, whether any u, rates y by type and then kind."""
    size, kinds = capacity_rps.shape
    enough = _most_useful(types, capacity_rps, rates_rps)
    shares = _shares(capacity_rps)
    blank = coo_array((kinds, 2 * size))
    constraints = [
        LinearConstraint(hstack([blank, _of_each_kind(size, kinds)]), rates_rps, rates_rps),
        LinearConstraint(hstack([-eye_array(size), coo_array((size, size)), shares]), ub=0.0),
        LinearConstraint(
            hstack([eye_array(size), -coo_array(np.diag(enough)), coo_array(shares.shape)]),
            ub=0.0,
        ),
        LinearConstraint(
            np.r_[np.zeros(size), np.ones(size), np.zeros(size * kinds)], ub=most_types
        ),
    ]
    usable = np.where(capacity_rps > 0, rates_rps, 0.0).ravel()
    prices = np.array([each.usd_per_hour for each in types])
    found = milp(
        np.r_[prices, np.zeros(size + size * kinds)],
        constraints=constraints,
        bounds=Bounds(0, np.r_[enough, np.ones(size), usable]),
        integrality=np.r_[np.ones(2 * size), np.zeros(size * kinds)],
        options={"mip_rel_gap": 0.0},
    )
    return None if found.x is None else tuple(int(n) for n in np.rint(found.x[:size]))


def _most_useful(types: Sequence[MachineType], capacity_rps: Floats, rates_rps: Floats) -> Floats:
    """So many of each type that it could take all it can serve; no more than are to be had."""
    able = np.where(capacity_rps > 0, rates_rps, 0.0)
    enough = np.ceil(_load(capacity_rps, able))
    limits = np.array([math.inf if each.most is None else each.most for each in types])
    return np.asarray(np.minimum(enough, limits))


def _shares(capacity_rps: Floats) -> coo_array:
    """Of a machine of each type, what one request a second of each of the rates y takes."""
    size, kinds = capacity_rps.shape
    with np.errstate(divide="ignore"):
        taken = np.where(capacity_rps > 0, 1 / capacity_rps, 0.0)
    rows = np.repeat(np.arange(size), kinds)
    return coo_array((taken.ravel(), (rows, np.arange(size * kinds))))


def _of_each_kind(size: int, kinds: int) -> coo_array:
    columns = np.arange(size * kinds)
    return coo_array((np.ones(size * kinds), (np.tile(np.arange(kinds), size), columns)))


def _tried(
    types: Sequence[MachineType], counts: Sequence[int], rates_rps: Floats, confidence: float
) -> tuple[float, float]:
    """Share of draws in which they suffice, and how many times as much to ask for if too few.

    The second is the rate over what is served of it in the draw that decides, twice at most.
    """
    capacity_rps = np.stack([each.capacity_rps for each in types])
    missing = shortage_rps(np.asarray(counts, dtype=float), capacity_rps, rates_rps)
    total = float(rates_rps.sum())
    reached = float((missing <= TOLERANCE * total).mean())
    worst = float(np.quantile(missing, confidence, method="higher"))
    return reached, total / max(total - worst, total / 2)


def shortage_rps(counts: Floats, capacity_rps: Floats, rates_rps: Floats) -> Floats:
    """Requests a second that such a fleet cannot serve, shared out at its best, in each draw.

    counts: shape (types,); capacity_rps: (types, draws, kinds). One kind is a sum; several are a
    linear programme, of all draws in one.
    """
    size, draws, kinds = capacity_rps.shape
    if kinds == 1:
        served = np.einsum("t,td->d", counts, capacity_rps[:, :, 0])
        return np.asarray(np.maximum(rates_rps[0] - served, 0.0))
    # variables in order: rates by draw, type and kind; then the shortage by draw and kind
    by_draw = capacity_rps.transpose(1, 0, 2).reshape(draws * size, kinds)
    columns = np.arange(draws * size * kinds)
    kind = np.repeat(np.arange(draws), size * kinds) * kinds + np.tile(
        np.arange(kinds), draws * size
    )
    given = coo_array((np.ones(len(columns)), (kind, columns)))
    shares = _shares(by_draw)
    found = linprog(
        np.r_[np.zeros(len(columns)), np.ones(draws * kinds)],
        A_ub=hstack([shares, coo_array((draws * size, draws * kinds))]),
        b_ub=np.tile(counts, draws),
        A_eq=hstack([given, eye_array(draws * kinds)]),
        b_eq=np.tile(rates_rps, draws),
        bounds=np.column_stack(
            [
                np.zeros(len(columns) + draws * kinds),
                np.r_[np.where(by_draw > 0, rates_rps, 0.0).ravel(), np.tile(rates_rps, draws)],
            ]
        ),
    )
    return np.asarray(found.x[len(columns) :].reshape(draws, kinds).sum(axis=1))
