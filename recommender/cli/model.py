from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recommender.cli.options import new_file, open_chosen_store, store_option
from recommender.cli.own_prior import own_prior_file, prior_in_use
from recommender.cli.progress import progress_shown
from recommender.errors import BadRequest, NotMeasured
from recommender.performance.own_curves import learnt_from
from recommender.performance.scorecard import Validation
from recommender.performance.speed_prior import SpeedPrior
from recommender.stored_curves import stored_curves

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from recommender.performance.own_curves import MeasuredCurve
    from recommender.performance.speed_prior import SpeedPriorParameters
    from recommender.quick import Progress

__all__ = ["model_command"]

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path, writable=True)
OWN = "own: "
LEFT_OUT = ("workload", "family", "silicon")


@click.group("model")
def model_command() -> None:
    """The model that carries a measurement to other machines, and how right it is."""


@model_command.command("validate")
@click.option(
    "--data",
    "data_dir",
    type=FOLDER,
    required=True,
    metavar="DIR",
    help="The tables of the ground truth.",
)
@click.option(
    "--tasks",
    "tasks_file",
    type=FILE,
    metavar="FILE",
    help="What to predict.  [default: DIR/tasks.csv.gz]",
)
@click.option(
    "--out", type=NEW_FILE, callback=new_file, metavar="CSV", help="Write the predictions."
)
@click.option(
    "--leave-out",
    "left_out",
    multiple=True,
    type=click.Choice(LEFT_OUT),
    help="Score the predictions of what is left out; may be given again.  "
    "[default: all three, where scores are written]",
)
@click.option("--baselines", is_flag=True, help="Score simpler methods beside ours.")
@click.option(
    "--report", type=NEW_FILE, callback=new_file, metavar="MD", help="Write the scores as tables."
)
@click.option(
    "--scorecard",
    type=NEW_FILE,
    callback=new_file,
    metavar="JSON",
    help="Write them as JSON; what else the file holds stays.",
)
@click.option(
    "--calibration",
    type=NEW_FILE,
    callback=new_file,
    metavar="JSON",
    help="Write what a calibration plot needs.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
def validate_command(  # noqa: PLR0913 - one for each option
    *,
    data_dir: Path,
    tasks_file: Path | None,
    out: Path | None,
    left_out: tuple[str, ...],
    baselines: bool,
    report: Path | None,
    scorecard: Path | None,
    calibration: Path | None,
    quiet: bool,
) -> None:
    """Predict what DIR holds the truth of, without looking at a task's own workload.

    With --leave-out the predictions are scored: of workloads never seen, and of families or
    silicon of machines never seen either.
    """
    from recommender.performance.transfer.prediction import (  # noqa: PLC0415 - learners are slow
        predict_tasks,
        read_tasks,
    )

    files = {"report": report, "scorecard": scorecard, "calibration": calibration}
    if any(files.values()):
        left_out = left_out or LEFT_OUT
    if out is None and not left_out:
        raise BadRequest(
            "nothing was asked for",
            hint="--out FILE writes predictions; --leave-out workload scores them",
        )
    tasks = read_tasks(tasks_file or data_dir / "tasks.csv.gz")
    with progress_shown(quiet=quiet, color=False) as said:
        if out is not None:
            found = predict_tasks(data_dir, tasks, said)
            found.to_csv(out, index=False)
            click.echo(f"{len(found):,} predictions of {found.task_id.nunique()} tasks")
        if left_out:
            _score(data_dir, tasks, (left_out, baselines), files, said)


def _score(
    data_dir: Path,
    tasks: pd.DataFrame,
    what: tuple[tuple[str, ...], bool],
    files: dict[str, Path | None],
    said: Progress,
) -> None:
    from recommender.performance.transfer.validation import (  # noqa: PLC0415 - learners are slow
        validate,
    )

    left_out, baselines = what
    words = [f"--leave-out {each}" for each in left_out]
    words += ["--baselines"] if baselines else []
    words += [f"--{name} FILE" for name, file in files.items() if file is not None]
    command = " ".join(["recommender model validate --data DIR", *words])
    made = Validation(made_on=dt.datetime.now(dt.UTC).date(), command=command)
    found = validate(data_dir, tasks, left_out, made, said, with_baselines=baselines)
    _write(files["report"], found.report())
    _write(files["calibration"], found.calibration())
    if files["scorecard"] is not None:
        found.scorecard().write_into(files["scorecard"])
    click.echo(found.report())


def _write(file: Path | None, text: str) -> None:
    if file is not None:
        file.write_text(text, encoding="utf-8")


@model_command.command("show")
def show_command() -> None:
    """Say what the speed prior in use was fitted to, and how wrong it was about the rest."""
    parameters = prior_in_use().parameters
    made = parameters.provenance
    whose = "your own" if own_prior_file().is_file() else "shipped"
    click.echo(f"speed prior: {whose}, fitted on {made.fitted_on} to {made.machines:,} machines")
    click.echo(f"  source: {made.source}, commit {made.commit} ({made.licence})")
    click.echo(f"  command: {made.command}")
    own = [name.removeprefix(OWN) for name in made.workloads if name.startswith(OWN)]
    click.echo(f"  your own workloads in it: {', '.join(own) or 'none'}")
    for row in parameters.holdout:
        click.echo(
            f"  {row.kind}, left out {row.left_out.replace('_', ' ')}: "
            f"median error {row.error:.0%}, 80 % interval holds {row.coverage_80:.0%}"
        )


@model_command.command("refit")
@click.option(
    "--data",
    "data_dir",
    type=FOLDER,
    metavar="DIR",
    help="The tables of the ground truth.  [default: the shipped prior as it is]",
)
@click.option(
    "--with-store",
    is_flag=True,
    help="With --data: your own runs as well. Without it they always are.",
)
@click.option(
    "--out",
    type=NEW_FILE,
    callback=new_file,
    metavar="JSON",
    help="Where to.  [default: your data folder, for later runs to use]",
)
@click.option("--commit", default="unknown", help="Of the source that DIR was made from.")
@store_option
def refit_command(
    *,
    data_dir: Path | None,
    with_store: bool,
    out: Path | None,
    commit: str,
    store_url: str | None,
) -> None:
    """Fit the speed prior anew: to the benchmark tables in DIR, and to your own runs.

    Your runs teach how your servers scale with size; later commands use what they taught.
    """
    parameters = SpeedPrior.bundled().parameters if data_dir is None else _fitted(data_dir, commit)
    if data_dir is None or with_store:
        with open_chosen_store(store_url) as store:
            curves = [curve for curve in stored_curves(store) if curve.tells]
        if not curves and data_dir is None:
            raise NotMeasured(
                "no stored run has measured a workload at two sizes or more",
                hint="recommender quick --sizes 1,2, or give --data DIR",
            )
        parameters = _taught(parameters, curves)
        click.echo(f"{len(curves)} of your own workloads taught it")
    file = out or own_prior_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SpeedPrior(parameters).to_json(), encoding="utf-8")
    click.echo(f"written to {file}")


def _fitted(data_dir: Path, commit: str) -> SpeedPriorParameters:
    from recommender.performance.prior_validation import fit  # noqa: PLC0415 - takes its time

    return fit(
        data_dir,
        fitted_on=dt.datetime.now(dt.UTC).date().isoformat(),
        command="recommender model refit --data DIR",
        commit=commit,
    )


def _taught(
    parameters: SpeedPriorParameters, curves: Sequence[MeasuredCurve]
) -> SpeedPriorParameters:
    taught = learnt_from(curves, parameters.scaling["application"])
    names = tuple(f"{OWN}{curve.workload}" for curve in curves)
    made = parameters.provenance
    return replace(
        parameters,
        scaling={**parameters.scaling, "application": taught},
        provenance=replace(made, workloads=(*made.workloads, *names)),
    )
