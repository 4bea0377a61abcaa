"""How often it is asked, over time."""

from loadtests.traffic.files import parse_traffic, read_hourly, read_replay
from loadtests.traffic.kinds import Burst, Diurnal, Hourly, Ramp, RateStep, Steady, Steps
from loadtests.traffic.protocol import Traffic
from loadtests.traffic.replay import Replay
from loadtests.traffic.spec import (
    AnyTraffic,
    HourlyFile,
    ReplayFile,
    TrafficSpec,
    read_traffic,
)

__all__ = [
    "AnyTraffic",
    "Burst",
    "Diurnal",
    "Hourly",
    "HourlyFile",
    "Ramp",
    "RateStep",
    "Replay",
    "ReplayFile",
    "Steady",
    "Steps",
    "Traffic",
    "TrafficSpec",
    "parse_traffic",
    "read_hourly",
    "read_replay",
    "read_traffic",
]
