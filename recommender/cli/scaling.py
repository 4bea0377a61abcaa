from __future__ import annotations

import sys
from typing import Any

import click

from loadtests.environment import utc_now
from recommender.cli.simulation_options import Asked, simulation_options
from recommender.cli.simulation_tables import present_simulation
from recommender.simulation.reports import scaling_report

OBJECTIVE_MISSED = 3


@click.command("scaling")
@click.argument("run", default="latest")
@simulation_options
def scaling_command(run: str, **given: Any) -> None:  # noqa: ANN401
    """Search the scaling policy to deploy for RUN: target, bounds and cooldowns, by simulation.

    The cheapest policy with which the objective is met, with the confidence asked for; beside it
    the smallest fixed fleet and AWS's formula. The policy is in the JSON, ready for Application
    Auto Scaling.
    """
    asked = Asked.taken_from(run, given)
    found = scaling_report(asked.market, utc_now())
    present_simulation(found, asked.destinations)
    sys.exit(0 if found.meets else OBJECTIVE_MISSED)
