"""Replicas and scenarios whose truth is planted."""

from functools import cache

import numpy as np

from loadtests.queueing import Queue
from recommender.simulation.fleet import FleetScenario
from recommender.simulation.replica import LatencyLimit, Replica, long_curve
from recommender.simulation.scaling_policy import AlarmTiming
from recommender.simulation.traffic import TrafficTrace


@cache
def curve(servers, cv=1.0):
    shape = 1 / cv**2
    service = np.random.default_rng(1).gamma(shape, 1 / shape, 4000)
    return long_curve(service, Queue(servers))


def replica(servers=1, mean_s=0.1, *, cv=1.0, draws=1, start_s=120.0, busy_ratio=1.0):
    return Replica(
        saturation_rps=np.full(draws, servers / mean_s),
        service_mean_s=np.full(draws, mean_s),
        service_cv=cv,
        delay_s=0.0,
        curve=curve(servers, cv),
        start_s=start_s,
        busy_ratio=busy_ratio,
    )


def scenario(rates_rps, of=None, *, limit_s=0.3, quantile=0.95, timeout_s=1e9, **settings):
    of = replica() if of is None else of
    return FleetScenario(
        trace=TrafficTrace(60.0, np.asarray(rates_rps, dtype=float)),
        replica=of,
        limit=LatencyLimit(quantile, limit_s),
        levels=np.ones(of.draws),
        timing=AlarmTiming(settings.pop("metric_delay_s", 60.0)),
        timeout_s=timeout_s,
        **settings,
    )
