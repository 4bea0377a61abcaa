from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadtests.environment import utc_now
from recommender.cli.options import new_file
from recommender.cli.output import NO_OPTION, Destinations
from recommender.cli.simulation_check_tables import present_theory
from recommender.cli.simulation_options import Asked, Duration, simulation_options
from recommender.cli.simulation_tables import present_bench, present_simulation
from recommender.errors import BadRequest
from recommender.simulation.asking import Tracking, fixed_size
from recommender.simulation.bench import bench_simulation
from recommender.simulation.check import check_theory
from recommender.simulation.policy_file import read_policy
from recommender.simulation.reports import ways_report
from recommender.simulation.scaling_policy import COOLDOWN_S
from recommender.simulation.ways.found import WAYS

if TYPE_CHECKING:
    from recommender.simulation.report import SimulationReport
    from recommender.simulation.scaling_policy import Policy

MINE = (
    "replicas", "target", "metric", "least", "most", "cooldown_out", "cooldown_in", "no_scale_in",
)  # fmt: skip


@click.command("simulate")
@click.argument("run", default="latest")
@click.option(
    "--way",
    "ways",
    type=click.Choice(list(WAYS)),
    multiple=True,
    help="Simulate this way only; may be given again.  [default: all]",
)
@click.option("--replicas", type=click.IntRange(1), metavar="N", help="A fleet of N instances.")
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Scale by this policy: YAML or JSON, in the words of Application Auto Scaling.",
)
@click.option(
    "--target",
    type=click.FloatRange(0, min_open=True),
    metavar="VALUE",
    help="Scale to this value of the metric: target tracking.",
)
@click.option(
    "--metric",
    type=click.Choice(["invocations", "cpu", "concurrency"]),
    default="invocations",
    show_default=True,
    help="Invocations of an instance in a minute, busy share of its CPUs, requests in flight.",
)
@click.option(
    "--min",
    "least",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Fewest instances.",
)
@click.option(
    "--max",
    "most",
    type=click.IntRange(1),
    metavar="N",
    help="Most instances.  [default: no limit]",
)
@click.option(
    "--cooldown-out",
    type=Duration(),
    default=COOLDOWN_S,
    metavar="DURATION",
    help="After scaling out.  [default: 5min]",
)
@click.option(
    "--cooldown-in",
    type=Duration(),
    default=COOLDOWN_S,
    metavar="DURATION",
    help="After scaling in.  [default: 5min]",
)
@click.option("--no-scale-in", is_flag=True, help="Never take an instance away.")
@click.option(
    "--chart",
    type=click.Path(path_type=Path),
    callback=new_file,
    metavar="FILE",
    help="Draw where one way overtakes another: .html stands alone, .png needs Chromium.",
)
@click.option(
    "--bench",
    "wants_bench",
    is_flag=True,
    help="Say how fast this machine simulates, and nothing else; needs no run.",
)
@click.option(
    "--check",
    "wants_check",
    is_flag=True,
    help="Say how far it is from queueing theory, and nothing else; needs no run.",
)
@simulation_options
def simulate_command(
    run: str,
    *,
    wants_bench: bool,
    wants_check: bool,
    **given: Any,  # noqa: ANN401
) -> None:
    """Compare every way to serve RUN under traffic that comes and goes, by simulation.

    What a month costs, how many requests are in time, and how sure that is: of fixed and of scaled
    fleets, serverless, spot and mixtures; and of a fleet, target or policy that you name. Cheapest
    first, of those that meet the objective. It exits with 5 when none does.
    """
    if wants_bench:
        present_bench(bench_simulation(), Destinations.taken_from(given))
        return
    if wants_check:
        sys.exit(present_theory(check_theory(), Destinations.taken_from(given)))
    policy = _policy(given.pop("policy_file"), {name: given.pop(name) for name in MINE})
    names, chart = given.pop("ways") or tuple(WAYS), given.pop("chart")
    asked = Asked.taken_from(run, given)
    found = ways_report(asked.market, utc_now(), names, policy)
    present_simulation(found, asked.destinations)
    if chart is not None:
        _draw(chart, found)
    sys.exit(0 if found.meets else NO_OPTION)


def _draw(chart: Path, found: SimulationReport) -> None:
    from dashboard.picture import write_break_even  # noqa: PLC0415 - plotly takes its time

    if found.break_even is None:
        raise BadRequest(
            "there is no break-even to draw: fewer than two ways meet the objective",
            hint="simulate more ways: leave --way out",
        )
    write_break_even(chart, found)
    click.echo(f"written: {chart}", err=True)


def _policy(file: Path | None, wanted: dict[str, Any]) -> Policy | None:
    """The user's own; None where none is asked for."""
    replicas, target = wanted["replicas"], wanted["target"]
    named = {"--policy": file, "--replicas": replicas, "--target": target}
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise BadRequest(f"{' and '.join(given)} each say how large the fleet is: name one")
    if file is not None:
        return read_policy(file)
    if replicas is not None:
        return fixed_size(replicas)
    if target is None:
        return None
    return Tracking(
        target,
        wanted["metric"],
        wanted["least"],
        wanted["most"],
        wanted["cooldown_out"],
        wanted["cooldown_in"],
        can_scale_in=not wanted["no_scale_in"],
    ).policy
