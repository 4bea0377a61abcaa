"""Against a simulation of every single request, written apart (discrete_fleet.py)."""

import pytest
from fifty_fleets import HOW_MANY, TOLERANCE, compared


@pytest.mark.parametrize("seed", range(HOW_MANY))
def test_cost_and_attainment_are_within_five_percent(seed):
    """`python tests/simulation/fifty_fleets.py` prints them all."""
    found = compared(seed)
    assert max(abs(error) for error in found.errors) < TOLERANCE, found
