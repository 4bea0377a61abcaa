from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from loadtests.environment import utc_now
from loadtests.generator_bench import run_bench
from loadtests.journal import Journal
from loadtests.validity import Status
from recommender.cli.bench_tables import bench_shown
from recommender.cli.places import cache_folder, data_folder, journal_folder
from recommender.cli.prediction_tables import agreements_shown
from recommender.cli.price_books import book_in_use
from recommender.cli.progress import progress_shown
from recommender.cli.simulation_check_tables import figures_shown
from recommender.cli.tables import plain_table
from recommender.doctor import Folders, Level, examine
from recommender.performance.speed_prior import SpeedPrior
from recommender.prediction_cases import sample_scene
from recommender.prediction_check import Bench as PredictionBench
from recommender.prediction_check import check_predictions
from recommender.self_test import run_self_test
from recommender.simulation_cases import stages
from recommender.simulation_check import Bench as SimulationBench
from recommender.simulation_check import check_simulation
from recommender.turns import own_turn

if TYPE_CHECKING:
    from rich.table import Table

    from loadtests.generator_bench import Bench
    from recommender.doctor import Finding
    from recommender.prediction_cases import Agreement
    from recommender.quick import Progress
    from recommender.self_test import Comparison
    from recommender.simulation_cases import Figure

WRONG = 4


@click.command("doctor")
@click.option(
    "--self-test", is_flag=True, help="Measure the built-in server, whose truth is known."
)
@click.option(
    "--duration-s", type=click.FloatRange(2, 600), default=60.0, show_default=True,
    help="Of the shortest case of the self-test; the four take 11 times that.",
)  # fmt: skip
@click.option(
    "--bench-generator", is_flag=True, help="Measure the load generator, beside others (3 min)."
)
@click.option(
    "--check-predictions", "rounds", metavar="ROUNDS", type=click.IntRange(1, 50),
    help="Predict the sample container from 1 vCPU, then measure it (2 min a round).",
)  # fmt: skip
@click.option(
    "--check-simulation", "minutes", metavar="MINUTES", type=click.FloatRange(0.5, 60),
    help="Simulate two fleets that scale, then do the same (twice that, and a minute).",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="As JSON, to stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def doctor_command(*, as_json: bool, quiet: bool, **asked: Any) -> None:  # noqa: ANN401
    """Say what this machine can do: limits, containers, GPU, AWS credentials, price-book age.

    --self-test measures queues whose latencies are known by theory (at the rate that was offered
    and the mean service time that was drawn) and prints the error of each quantile; it exits with
    4 when one is neither within 10 % nor inside its stated interval.
    "added" is what the instrument itself adds: measured less the server's own log of the same
    requests.

    --bench-generator measures the load generator itself on the built-in server, each on a core of
    its own, and beside it wrk, k6 and stock Locust where they are installed; it exits with 4 when
    a goal was missed.

    --check-predictions measures the sample container at 1 vCPU, predicts it at 2 vCPUs, as 2
    replicas, at half a vCPU and under other mixes of requests, and measures those; reference and
    case take turns for so many rounds. It exits with 4 when throughput or p95 is over 10 % off.

    --check-simulation measures one replica of the built-in server and one of the sample container,
    simulates what automatic scaling makes of a day's wave of requests, squeezed into so many
    minutes, and then does it: the wave is sent, the policy decides from what really came, replicas
    start and stop. It exits with 4 when cost or attainment is outside the 80 % interval that the
    simulation states; a right one is outside once in five times. 3 minutes and more say something.
    """
    journal = Journal(journal_folder())
    folders = Folders(data_folder(), cache_folder())
    findings = examine(folders, journal, book_in_use(), utc_now().date())
    with progress_shown(quiet=quiet, color=True) as progress:
        done = _done(_Asked(**asked), findings, journal, progress)
    if as_json:
        click.echo(json.dumps(done.document(), indent=2))
    else:
        _show(done)
    sys.exit(0 if done.is_good else WRONG)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Beyond what is found by looking."""

    self_test: bool
    duration_s: float
    bench_generator: bool
    rounds: int | None
    minutes: float | None

    @property
    def measures(self) -> bool:
        checks = self.rounds is not None or self.minutes is not None
        return self.self_test or self.bench_generator or checks


@dataclass(frozen=True, slots=True)
class _Done:
    findings: tuple[Finding, ...]
    self_test: tuple[Comparison, ...]
    bench: Bench | None
    predictions: tuple[Agreement, ...]
    simulations: tuple[Figure, ...]

    @property
    def is_good(self) -> bool:
        is_right = [row.is_right for row in self.self_test]
        is_right += [row.is_right for row in self.predictions]
        is_right += [row.is_right for row in self.simulations]
        return all(is_right) and (self.bench is None or self.bench.is_good)

    def document(self) -> dict[str, object]:
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "self_test": [
                asdict(row) | {"error_ratio": row.error_ratio, "is_right": row.is_right}
                for row in self.self_test
            ],
            "generator_bench": None if self.bench is None else self.bench.as_json(),
            "predictions": [asdict(row) | {"is_right": row.is_right} for row in self.predictions],
            "simulations": [
                row.as_json() | {"is_right": row.is_right} for row in self.simulations
            ],
        }


def _done(
    asked: _Asked, findings: tuple[Finding, ...], journal: Journal, progress: Progress
) -> _Done:
    rounds, minutes = asked.rounds, asked.minutes
    turn = own_turn(cache_folder(), "recommender doctor", progress)
    with turn if asked.measures else nullcontext():
        return _Done(
            findings,
            run_self_test(journal, asked.duration_s, progress) if asked.self_test else (),
            run_bench(journal, progress) if asked.bench_generator else None,
            () if rounds is None else _predictions(journal, progress, rounds),
            () if minutes is None else _simulations(journal, progress, minutes),
        )


def _predictions(journal: Journal, progress: Progress, rounds: int) -> tuple[Agreement, ...]:
    bench = PredictionBench(journal, cache_folder(), SpeedPrior.bundled(), progress)
    return check_predictions(bench, sample_scene(), rounds=rounds)


def _simulations(journal: Journal, progress: Progress, minutes: float) -> tuple[Figure, ...]:
    bench = SimulationBench(journal, cache_folder(), SpeedPrior.bundled(), progress)
    return check_simulation(bench, stages(), 60 * minutes)


def _show(done: _Done) -> None:
    console = Console(highlight=False)
    console.print(_findings(done.findings))
    if done.self_test:
        console.print(_comparisons(done.self_test))
    if done.bench is not None:
        console.print(bench_shown(done.bench))
    if done.predictions:
        console.print(agreements_shown(done.predictions))
    if done.simulations:
        console.print(figures_shown(done.simulations))


def _findings(findings: tuple[Finding, ...]) -> Table:
    table = plain_table(has_heading=False)
    marks = {
        Level.OK: "[green]ok[/]",
        Level.NOTE: "[yellow]note[/]",
        Level.PROBLEM: "[red]problem[/]",
    }
    for finding in findings:
        text = finding.found if finding.advice is None else f"{finding.found}: {finding.advice}"
        table.add_row(marks[finding.level], finding.what, text)
    return table


def _comparisons(rows: tuple[Comparison, ...]) -> Table:
    table = plain_table("Self-test, ms", is_tight=True)
    table.add_column("queue", no_wrap=True)
    for name in ("quantile", "theory", "measured", "95 % interval", "error", "added"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_row(
            row.case,
            f"p{row.quantile * 100:g}",
            _ms(row.truth_s),
            _ms(row.measured_s),
            f"{_ms(row.low_s)} to {_ms(row.high_s)}",
            "" if row.error_ratio is None else f"{row.error_ratio:+.1%}",
            _ms(row.added_s),
            _judged(row),
        )
    return table


def _judged(row: Comparison) -> str:
    if row.status is Status.INVALID:
        return f"[red]INVALID: {'; '.join(row.faults)}[/]"
    return "[green]right[/]" if row.is_right else "[red]WRONG[/]"


def _ms(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds * 1e3:.2f}"
