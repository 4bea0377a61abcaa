"""Commands by name, loaded when called: `recommender --help` imports none of them."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recommender.cli.lazy import LazyGroup
from recommender.cli.places import state_folder

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "quick": ("recommender.cli.quick", "Measure a model container, rank what would serve it."),
    "loadtest": ("recommender.cli.loadtest", "Test your configurations as a plan says."),
    "worker": ("recommender.cli.worker", "Send load for a load test that runs elsewhere."),
    "show": ("recommender.cli.runs", "Show what a run found."),
    "list": ("recommender.cli.runs", "List the runs kept, newest first."),
    "stop": ("recommender.cli.jobs", "Stop a run; what it measured is kept."),
    "delete": ("recommender.cli.jobs", "Delete runs, with all they measured."),
    "compare": ("recommender.cli.compare", "Say what is better and worse in one of two runs."),
    "rank": ("recommender.cli.rank", "Rank a stored run for another demand; measures nothing."),
    "prices": ("recommender.cli.prices", "See, compare and refresh what everything costs."),
    "planner": ("recommender.cli.planner", "Replay how what to measure next is chosen."),
    "explain": ("recommender.cli.explain", "Say why a run recommends what it does."),
    "simulate": ("recommender.cli.simulate", "Play traffic that comes and goes on a fleet."),
    "scaling": ("recommender.cli.scaling", "Search the scaling policy to deploy."),
    "model": ("recommender.cli.model", "Say how right predictions are, and fit them anew."),
    "dashboard": ("recommender.cli.dashboard", "See runs and recommendations in a browser."),
    "doctor": ("recommender.cli.doctor", "Say what this machine can do, and how right it is."),
    "cleanup": ("recommender.cli.cleanup", "Remove what crashed runs left behind."),
    "schema": ("recommender.cli.schema", "Print the JSON Schema of a document."),
}
INTERRUPTED = 130
TIDIES_UP_S = 30.0


@click.group(
    cls=LazyGroup,
    parts=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="inference-recommender", prog_name="recommender")
def cli() -> None:
    """Which instance serves this model container most cheaply, and how sure is that?

    Start with `recommender quick`: it measures the bundled sample container on this machine and
    ranks what would serve it. No cloud account and no Docker are needed.
    """


def main() -> None:
    """Every error becomes one message and an exit code; a traceback goes to a file."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say(
            "stopped",
            "see it with `recommender list`; go on with --resume RUN",
        )
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the last resort of the program
        sys.exit(_report(error))


def _report(error: Exception) -> int:
    """An error with an exit code is one of ours, and says all there is to say."""
    exit_code = getattr(error, "exit_code", None)
    if isinstance(exit_code, int):
        _say(f"error: {error}", getattr(error, "hint", None))
        return exit_code
    _say(f"internal error: {type(error).__name__}: {error}", _written(error))
    return 1


def _written(error: Exception) -> str:
    file = state_folder() / f"error-{os.getpid()}.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(traceback.format_exception(error)))
    except OSError:
        return "this is a fault of the program, please report it"
    return f"this is a fault of the program; please report it with {_short(file)}"


def _short(file: Path) -> str:
    home = Path.home()
    return f"~/{file.relative_to(home)}" if file.is_relative_to(home) else str(file)


def _say(message: str, hint: str | None) -> None:
    click.echo(message, err=True)
    if hint:
        click.echo("\n".join(f"  {line}" for line in hint.splitlines()), err=True)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Asked again soon after, it goes on tidying up."""
    asked_s = time.perf_counter()

    def again(number: int, frame: FrameType | None) -> None:
        if time.perf_counter() - asked_s > TIDIES_UP_S:
            _interrupt(number, frame)

    signal.signal(number, again)
    raise KeyboardInterrupt
