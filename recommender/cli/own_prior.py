"""The speed prior in use: the user's own, where they have refitted it; else the shipped one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.cli.places import data_folder
from recommender.performance.speed_prior import SpeedPrior

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["own_prior_file", "prior_in_use"]


def own_prior_file() -> Path:
    return data_folder() / "cpu_speed.json"


def prior_in_use() -> SpeedPrior:
    file = own_prior_file()
    if not file.is_file():
        return SpeedPrior.bundled()
    return SpeedPrior.from_json(file.read_text(encoding="utf-8"))
