"""From measurements of a workload on a few machines to its throughput on every machine."""

from recommender.performance.transfer.catalogue import Catalogue, read_catalogue
from recommender.performance.transfer.fitting import TransferFit, at_home, fit_transfer
from recommender.performance.transfer.rates import Rates, read_rates

__all__ = [
    "Catalogue",
    "Rates",
    "TransferFit",
    "at_home",
    "fit_transfer",
    "read_catalogue",
    "read_rates",
]
