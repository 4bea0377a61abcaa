"""Two runs, or two configurations of load tests, held against each other."""

from recommender.comparison.compare import DEFAULT_THRESHOLD, StoreMarket, compare_runs, in_money
from recommender.comparison.document import (
    Condition,
    Difference,
    MoneyLine,
    NotCompared,
    RunComparison,
    SideFacts,
    Verdict,
)
from recommender.comparison.money import Market
from recommender.comparison.sides import Reference, Side, configuration_names, read_side

__all__ = [
    "DEFAULT_THRESHOLD",
    "Condition",
    "Difference",
    "Market",
    "MoneyLine",
    "NotCompared",
    "Reference",
    "RunComparison",
    "Side",
    "SideFacts",
    "StoreMarket",
    "Verdict",
    "compare_runs",
    "configuration_names",
    "in_money",
    "read_side",
]
