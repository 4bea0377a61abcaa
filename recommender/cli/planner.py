from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd
from rich.console import Console

from recommender.cli.options import new_file
from recommender.cli.progress import progress_shown
from recommender.cli.tables import plain_table
from recommender.performance.scorecard import Scorecard, Validation
from recommender.performance.transfer import at_home, read_catalogue, read_rates
from recommender.planner.ground import HOME, read_ground
from recommender.planner.prior import left_out_priors
from recommender.planner.replay import Settings, replay, replayable
from recommender.planner.replay_report import report_of

if TYPE_CHECKING:
    from rich.table import Table

    from recommender.planner.replay_report import ReplayPoint, ReplayReport

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
SHOWN = (0, 1, 2, 3, 5, 10)
DEFAULTS = Settings()
WRITERS = {".json": "to_json", ".csv": "to_csv"}
COMMAND = "recommender planner replay --data DIR"


def _in_a_format_known(
    context: click.Context, parameter: click.Parameter, file: Path | None
) -> Path | None:
    if file is not None and file.suffix not in WRITERS:
        raise click.BadParameter(f"{file} ends in neither {' nor '.join(WRITERS)}")
    return new_file(context, parameter, file)


@click.group("planner")
def planner_command() -> None:
    """What to measure next, and how well that is chosen."""


@planner_command.command("replay")
@click.option(
    "--data",
    "data_dir",
    type=FOLDER,
    required=True,
    metavar="DIR",
    help="Folder with the tables of the ground truth.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_in_a_format_known,
    metavar="FILE",
    help="Write what was found: .json, or .csv with the points alone.",
)
@click.option(
    "--workloads",
    multiple=True,
    metavar="PATTERN",
    help="These only (web:*); may be given again.",
)
@click.option(
    "--reference",
    default=DEFAULTS.reference,
    show_default=True,
    metavar="TYPE",
    help="The machine measured at first.",
)
@click.option(
    "--shortlists",
    type=click.IntRange(1, 400),
    default=DEFAULTS.shortlists,
    show_default=True,
    metavar="N",
    help="Drawn for each workload.",
)
@click.option(
    "--measurements",
    type=click.IntRange(1, 19),
    default=DEFAULTS.measurements,
    show_default=True,
    metavar="N",
    help="Made by each policy, at most.",
)
@click.option(
    "--demand",
    "demand_ratio",
    type=click.FloatRange(0, min_open=True),
    metavar="TIMES",
    help="Choose a fleet for so many times what the reference serves, not by throughput per "
    "dollar.",
)
@click.option(
    "--scorecard",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=new_file,
    metavar="JSON",
    help="Write the regrets into this scorecard; the rest of it stays.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON, to stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def replay_command(
    data_dir: Path,
    out: Path | None,
    workloads: tuple[str, ...],
    *,
    scorecard: Path | None,
    as_json: bool,
    quiet: bool,
    **settings: Any,  # noqa: ANN401
) -> None:
    """Choose what to measure on machines whose throughput is known; print regret and spending.

    Each workload, and all of the same model or page, is left out of what the prior is fitted to,
    then measured on the reference, and served by the best of 20 types drawn at random. Regret is
    what the choice costs more than the cheapest of them, after so many measurements: by the
    planner, at random, the cheapest machine first, and by Bayesian optimisation with a plain GP,
    that knows of no other workload (CherryPick).
    """
    chosen = Settings(**settings)
    every = read_catalogue(data_dir)
    nothing_asked = pd.DataFrame({"workload": [], "kind": []})
    rates, catalogue = at_home(read_rates(data_dir, every, nothing_asked), every, HOME)
    ground = replayable(read_ground(data_dir, catalogue, rates).only(workloads), chosen)
    with progress_shown(quiet=quiet, color=True) as progress:
        priors = left_out_priors(ground, catalogue, rates, progress)
        courses = replay(ground, priors, chosen, progress)
    report = report_of(courses, chosen)
    if out is not None:
        out.write_text(getattr(report, WRITERS[out.suffix])())
    if scorecard is not None:
        made = Validation(made_on=dt.datetime.now(dt.UTC).date(), command=COMMAND)
        Scorecard(replayed=made, replay=report.curves()).write_into(scorecard)
    if as_json:
        click.echo(report.to_json(), nl=False)
        return
    console = Console(highlight=False)
    kinds = tuple(dict.fromkeys(point.kind for point in report.points))
    for kind in kinds if len(kinds) > 2 else kinds[1:]:  # noqa: PLR2004 - all, and one kind
        console.print(_regrets(report, kind))
    console.print(_stops(report))


def _regrets(report: ReplayReport, kind: str) -> Table:
    points = [point for point in report.points if point.kind == kind]
    counts = [count for count in SHOWN if count <= points[-1].measurements]
    table = plain_table(f"{kind}: regret in % after so many measurements, mean (9 of 10 below)")
    table.add_column("policy", no_wrap=True)
    for count in counts:
        table.add_column(str(count), justify="right", no_wrap=True)
    table.add_column("$", justify="right", no_wrap=True)
    for policy in dict.fromkeys(point.policy for point in points):
        own = [point for point in points if point.policy == policy]
        regrets = (_regret(own[count]) for count in counts)
        table.add_row(policy, *regrets, f"{own[-1].usd_mean:.2f}")
    return table


def _regret(point: ReplayPoint) -> str:
    return _percent(point.regret_ratio_mean, point.regret_ratio_p90)


def _percent(mean_ratio: float, p90_ratio: float) -> str:
    return f"{_digits(100 * mean_ratio)} ({_digits(100 * p90_ratio)})"


def _digits(value: float) -> str:
    if 0 < value < 0.05:  # noqa: PLR2004 - what would be rounded to nothing
        return "<0.1"
    return f"{value:.0f}" if value == 0 or value >= 1 else f"{value:.1f}"


def _stops(report: ReplayReport) -> Table:
    table = plain_table("Where each stops by its own rule, mean")
    table.add_column("policy", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for name in ("stopped", "measurements", "regret, %", "$"):
        table.add_column(name, justify="right", no_wrap=True)
    for stop in report.stops:
        table.add_row(
            stop.policy,
            stop.kind,
            f"{stop.stopped_share:.0%}",
            f"{stop.measurements_mean:.1f}",
            _percent(stop.regret_ratio_mean, stop.regret_ratio_p90),
            f"{stop.usd_mean:.2f}",
        )
    return table
