"""Where prices are published. Each source is one file; boto3 is imported when one is made."""

from pricing.sources.seen import (
    Hourly,
    PlanHourly,
    Priced,
    PriceSource,
    Refused,
    Report,
    Seen,
    SeenPrice,
    ServerlessMemory,
    SpotAdvice,
)

__all__ = [
    "Hourly",
    "PlanHourly",
    "PriceSource",
    "Priced",
    "Refused",
    "Report",
    "Seen",
    "SeenPrice",
    "ServerlessMemory",
    "SpotAdvice",
]
