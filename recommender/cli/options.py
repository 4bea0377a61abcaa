"""Options that several commands share, and what they become."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from recommender.cli.places import data_folder
from recommender.cli.price_terms import taken_terms, terms_options
from recommender.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from recommender.store import Store

__all__ = ["constraints_options", "new_file", "open_chosen_store", "store_option"]

Function = TypeVar("Function", bound=Callable[..., Any])


def store_option(function: Function) -> Function:
    return click.option(
        "--store",
        "store_url",
        metavar="URL",
        envvar="RECOMMENDER_STORE",
        help="Where runs are kept: a SQLite file, or postgresql://… "
        "[default: a file in your data folder]",
    )(function)


def new_file(
    _context: click.Context, _parameter: click.Parameter, file: Path | None
) -> Path | None:
    """The callback of a file to be written: what is wrong is said before the work."""
    if file is not None and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.absolute().parent}")
    return file


def open_chosen_store(url: str | None) -> Store:
    return open_store(url, default_folder=data_folder())


def constraints_options(function: Function) -> Function:
    """Names equal the fields of `Constraints`; None leaves a field as it was."""
    for option in (
        click.option(
            "--confidence", metavar="SHARE",
            type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
            help="With which a fleet must meet the SLO.  [default: 0.8]",
        ),
        click.option(
            "--zones", type=click.IntRange(1, 6), metavar="N",
            help="Spread replicas over N zones, so that losing one keeps the SLO.  [default: 1]",
        ),
        click.option(
            "--headroom", "headroom_ratio", metavar="SHARE",
            type=click.FloatRange(0, 1, max_open=True),
            help="Share of the capacity kept free at peak.  [default: 0.2]",
        ),
        click.option(
            "--instance-type", "instance_types", multiple=True, metavar="GLOB",
            help="Consider these only, e.g. 'ml.c7i.*'; may be given again.",
        ),
        click.option(
            "--purchase", "purchases", multiple=True,
            type=click.Choice(["on-demand", "spot", "savings-plan"]),
            help="Consider this only; may be given again.",
        ),
        click.option(
            "--platform", "platforms", multiple=True,
            type=click.Choice(["sagemaker", "serverless", "ec2", "own"]),
            help="Consider this only; may be given again.",
        ),
        click.option(
            "--arch", "architectures", type=click.Choice(["x86_64", "arm64", "any"]),
            help="What the container's image is built for.  [default: this machine's]",
        ),
        click.option("--region", metavar="REGION", help="Price region.  [default: us-east-1]"),
    ):  # fmt: skip
        function = option(function)
    return terms_options(function)


def constraint_changes(
    given: dict[str, Any], *, default_arch: str | None = None
) -> dict[str, Any]:
    """Only what was asked for; takes its names out of `given`."""
    names = (
        "region", "architectures", "platforms", "purchases", "instance_types",
        "headroom_ratio", "zones", "confidence",
    )  # fmt: skip
    asked = {name: given.pop(name) for name in names} | taken_terms(given)
    asked["architectures"] = _architectures(asked["architectures"] or default_arch)
    return {name: value for name, value in asked.items() if value not in (None, ())}


def this_architecture() -> str:
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def _architectures(choice: str | None) -> tuple[str, ...] | None:
    if choice is None:
        return None
    return ("x86_64", "arm64") if choice == "any" else (choice,)
