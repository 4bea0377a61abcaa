"""Numbers for a person: as many digits as are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recommender.explanation.document import Figures
    from recommender.recommendation import Range

__all__ = ["between", "range_figures"]


def between(values: Range, factor: float = 1.0) -> str:
    """Median and 80 % interval."""
    high = "no end" if values.high is None else f"{values.high * factor:.3g}"
    return f"{values.median * factor:.3g} ({values.low * factor:.3g} to {high})"


def range_figures(name: str, values: Range) -> Figures:
    found: Figures = {f"{name}_median": values.median, f"{name}_low": values.low}
    return found if values.high is None else found | {f"{name}_high": values.high}
