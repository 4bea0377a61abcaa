"""Runs, measurements and recommendations, kept in SQLite or PostgreSQL."""

from recommender.store.opening import open_store
from recommender.store.owner import this_process
from recommender.store.protocol import Store
from recommender.store.records import (
    Owner,
    Run,
    RunStatus,
    StoredMeasurement,
    StoredRecommendation,
)

__all__ = [
    "Owner",
    "Run",
    "RunStatus",
    "Store",
    "StoredMeasurement",
    "StoredRecommendation",
    "open_store",
    "this_process",
]
