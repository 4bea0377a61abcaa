"""What is measured: the servers, the rates, and for how long each."""

from __future__ import annotations

from dataclasses import dataclass, fields

from loadtests.demo_server import DemoServer

__all__ = [
    "ENDPOINT",
    "ENDPOINT_S",
    "FLOODED",
    "FLOOD_USERS",
    "KILL_RPS",
    "STALLED",
    "STALL_RPS",
    "Durations",
    "queue",
]

SEED = 7
PLENTY = 4096  # of servers: nobody ever waits for one
ENDPOINT_S = 0.001
ENDPOINT = DemoServer(servers=PLENTY, service=f"det:{ENDPOINT_S:g}", seed=SEED)
FLOODED = DemoServer(servers=PLENTY, service="det:0.0005", seed=SEED)
FLOOD_USERS = 50
STALLED = DemoServer(servers=PLENTY, service=f"det:{ENDPOINT_S:g}", stall="10:1", seed=SEED)
STALL_RPS = 200
KILL_RPS = 1000
QUEUE_SERVERS, QUEUE_LOAD = 4, 0.7


def queue(rate_rps: int) -> DemoServer:
    """M/M/4 at 70 %: at 200/s its median is 13 ms, at 1,000/s 2.6 ms."""
    mean_s = QUEUE_SERVERS * QUEUE_LOAD / rate_rps
    return DemoServer(servers=QUEUE_SERVERS, service=f"exp:{mean_s:g}", seed=SEED)


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds of load.

    About as short as the gaps at 200/s can be judged: by chance alone n gaps are 0.87/√n off.
    """

    endpoint_s: float = 8.0
    ladder_s: float = 5.0
    queue_200_s: float = 30.0
    queue_1000_s: float = 8.0
    stall_s: float = 20.0
    flood_s: float = 8.0
    kill_s: float = 6.0
    peer_flood_s: float = 3.0
    peer_steady_s: float = 6.0

    @property
    def ours_s(self) -> float:
        once = self.endpoint_s + self.queue_200_s + self.queue_1000_s + self.stall_s
        return once + 5 * self.ladder_s + self.flood_s + self.kill_s

    def peer_s(self, *, has_rate: bool) -> float:
        return self.peer_flood_s + (self.peer_steady_s + self.stall_s if has_rate else 0.0)

    def scaled(self, factor: float) -> Durations:
        """For a trial of the bench itself."""
        return Durations(**{each.name: getattr(self, each.name) * factor for each in fields(self)})
