"""Where things are kept for this user, and the one place that reads the environment for it."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = [
    "books_folder",
    "cache_folder",
    "data_folder",
    "jobs_folder",
    "journal_folder",
    "state_folder",
]

APP = "inference-recommender"


def data_folder() -> Path:
    return _given("RECOMMENDER_HOME", "data") or Path(platformdirs.user_data_dir(APP))


def books_folder() -> Path:
    return data_folder() / "price-books"


def state_folder() -> Path:
    return _given("RECOMMENDER_HOME", "state") or Path(platformdirs.user_state_dir(APP))


def cache_folder() -> Path:
    return _given("RECOMMENDER_HOME", "cache") or Path(platformdirs.user_cache_dir(APP))


def jobs_folder() -> Path:
    return state_folder() / "jobs"


def journal_folder() -> Path:
    return state_folder() / "journal"


def _given(variable: str, below: str) -> Path | None:
    folder = os.environ.get(variable)
    return None if not folder else Path(folder) / below
