"""Options made up for a law: fleets with given draws, and offers at given prices."""

from datetime import date
from decimal import Decimal

import numpy as np

from pricing import (
    Architecture,
    Confidence,
    Cpu,
    InstanceType,
    Offer,
    Platform,
    PriceBasis,
    Purchase,
)
from recommender.fleets import Evaluated, Fleet
from recommender.recommendation import Basis, LatencySeconds, Performance, Range


def machine(name):
    return InstanceType(
        name=name,
        vcpus=2,
        memory_gib=4.0,
        cpu=Cpu(architecture=Architecture.X86_64, vendor="Intel"),
        source="made up",
    )


def offer(name, usd_per_hour, purchase="on-demand", region="r"):
    return Offer(
        instance=machine(name),
        platform=Platform.EC2,
        purchase=Purchase(purchase),
        region=region,
        usd_per_hour=Decimal(usd_per_hour),
        observed_on=date(2026, 11, 1),
        source="made up",
        basis=PriceBasis.REPORTED,
        confidence=Confidence.HIGH,
    )


def fleet(*, name, hours=1, latency_s=0.01, draws=(1.0,), items=()):
    """draws: hours needed in each, infinite where the SLO is missed."""
    return Fleet(
        machine=name,
        replicas=1,
        unit="instance-hour",
        quantity=Decimal(hours),
        quantity_draws=np.asarray(draws, dtype=float),
        performance=Performance(
            capacity_rps=Range(median=1, low=1, high=1),
            latency_s=LatencySeconds(p50=latency_s, p90=latency_s, p95=latency_s, p99=latency_s),
            interval=Range(median=latency_s, low=latency_s, high=None),
            interval_quantile=0.95,
            utilization_ratio=0.5,
            basis=Basis.TRANSFERRED,
            price_basis="reported",
        ),
        verdicts=(),
        items=items,
    )


def evaluated(name, usd_per_hour, latency_s=0.01, purchase="on-demand"):
    return Evaluated(fleet(name=name, latency_s=latency_s), offer(name, usd_per_hour, purchase))


def option(number, *, draws, usd_per_hour=1):
    """Of a machine of its own."""
    name = f"m{number}.large"
    return Evaluated(fleet(name=name, draws=draws), offer(name, usd_per_hour))
