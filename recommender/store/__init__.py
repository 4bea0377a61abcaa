"""Runs, measurements and recommendations, kept in SQLite or PostgreSQL."""

from recommender.store.opening import open_store
from recommender.store.owner import is_here, process_owner, this_process
from recommender.store.protocol import Store
from recommender.store.records import (
    Owner,
    Progress,
    Run,
    RunStatus,
    StoredMeasurement,
    StoredRecommendation,
)

__all__ = [
    "Owner",
    "Progress",
    "Run",
    "RunStatus",
    "Store",
    "StoredMeasurement",
    "StoredRecommendation",
    "is_here",
    "open_store",
    "process_owner",
    "this_process",
]
