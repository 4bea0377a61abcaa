"""How good is the load generator? Its figures on a server whose truth is known, and its peers'.

`goals` says what is to be reached and how it is judged, `evidence` what follows from a run,
`course` runs everything, `peers` runs other load generators on the same server.
"""

from __future__ import annotations

from loadtests.generator_bench.course import Bench, run_bench
from loadtests.generator_bench.goals import Figure, Goal, Unit
from loadtests.generator_bench.peers import PeerRow

__all__ = ["Bench", "Figure", "Goal", "PeerRow", "Unit", "run_bench"]
