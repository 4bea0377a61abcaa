"""`recommender prices refresh`: a new price book from where prices are published."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.table import Table

from loadtests.environment import utc_now
from pricing.errors import PricingError
from pricing.parts import KeptParts
from pricing.quarantine import QUARANTINE_FILE
from pricing.refresh import Wanted, fetch, publish, refreshed_book
from pricing.sources.aws import Aws
from pricing.sources.instance_types import InstanceTypes
from pricing.sources.offer_file import OfferFile
from pricing.sources.price_list import PriceList
from pricing.sources.products import EC2, ELB, SAGEMAKER
from pricing.sources.region_files import OFFER_URL
from pricing.sources.savings_plan_file import SavingsPlanFile
from pricing.sources.spot_advisor import SPOT_ADVISOR_URL, SpotAdvisor
from pricing.sources.spot_history import SpotHistory
from recommender.cli.places import books_folder, cache_folder
from recommender.cli.price_books import book_in_use, price_shelf
from recommender.cli.progress import progress_shown
from recommender.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from pricing import PriceBook
    from pricing.quarantine import Quarantined
    from pricing.refresh import Refreshed
    from pricing.sources import PriceSource

__all__ = ["refresh_command"]

# Those with list prices come first: a region that they do not know is a slip.
PUBLIC: Final = ("savings-plan-file", "spot-advisor")
WITH_ACCOUNT: Final = ("price-list", "instance-types", "spot-history", *PUBLIC)
WITHOUT: Final = ("offer-file", "elb-offer-file", "ec2-offer-file", *PUBLIC)
SOURCES: Final = tuple(dict.fromkeys(("price-list", *WITHOUT[:3], *WITH_ACCOUNT)))
SHOWN: Final = 8
STOPPED: Final = 130
COUNTED: Final = ("seen", "taken", "moved", "followed", "advised", "older", "quarantined")


@click.command("refresh")
@click.option(
    "--region", "regions", multiple=True, metavar="REGION",
    help="To refresh; may be given again.  [default: us-east-1]",
)  # fmt: skip
@click.option("--all-regions", is_flag=True, help="Every region of the book in force.")
@click.option(
    "--source", "sources", multiple=True, type=click.Choice(SOURCES),
    help="Ask this one only; may be given again.  [default: see above]",
)  # fmt: skip
@click.option("--book", "name", metavar="NAME", help="Name of the new book.  [default: its day]")
@click.option(
    "--prices", metavar="BOOK", help="Start from this price book.  [default: the newest]"
)
@click.option(
    "--accept", "accepted", multiple=True, metavar="GLOB",
    help="A machine whose price did move over 30 %, e.g. 'p5.*'; may be given again.",
)  # fmt: skip
@click.option(
    "--offer-url", metavar="URL", envvar="RECOMMENDER_OFFER_URL",
    help="Where the public offer files and savings plan files are.  [default: AWS's]",
)  # fmt: skip
@click.option(
    "--spot-advisor-url", metavar="URL", envvar="RECOMMENDER_SPOT_ADVISOR_URL",
    help="Where Spot Advisor's data is.  [default: AWS's]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="As JSON, to stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
def refresh_command(**given: Any) -> None:  # noqa: ANN401 - what click parsed
    """Read today's prices and write them as a new price book of your own.

    With AWS credentials it asks the AWS Price List (price-list), what machines are
    (instance-types) and what spot costs now (spot-history); they need the rights
    pricing:GetProducts, ec2:DescribeSpotPriceHistory and ec2:DescribeInstanceTypes. Without them
    it reads the public offer files (offer-file is SageMaker's, 4 MB a region; elb-offer-file is
    that of load balancers; ec2-offer-file is EC2's, some 400 MB). Either way it reads Spot Advisor
    and the rates of SageMaker's savings plans (savings-plan-file). Endpoints are set in boto3's
    ways (AWS_ENDPOINT_URL_PRICING, AWS_ENDPOINT_URL_EC2).

    The new book is written whole or not at all; until then, and after any fault, the book in force
    stays in force. A refresh that stopped goes on where it was. A row that was not refreshed is
    carried over with its own day.

    A price that moves over 30 %, or that makes hosting less than 1.10 or more than 1.45 times
    EC2's, is not used: it stands in quarantine.csv in the book's folder, with the reason, and the
    old row stays. Spot moves as it likes, between a twentieth of on-demand and on-demand. A plan's
    rate lies between a tenth of on-demand and on-demand.
    """
    now = utc_now()
    in_force = book_in_use(given["prices"])
    wanted = _wanted(given, in_force, now)
    parts = KeptParts(cache_folder() / "price-refresh", now)
    try:
        refreshed = _refreshed(wanted, in_force, parts, quiet=given["quiet"])
        folder = publish(refreshed, books_folder())
    except PricingError as error:
        stays = f"price book {in_force.name} stays in force"
        error.hint = stays if error.hint is None else f"{error.hint}\n{stays}"
        raise
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on where it was", err=True)
        sys.exit(STOPPED)
    parts.forget(wanted.sources, wanted.regions)
    _tell(refreshed, folder, as_json=given["as_json"])


def _tell(refreshed: Refreshed, folder: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_document(refreshed, folder), indent=2))
    else:
        _show(refreshed)
    click.echo(f"written: {folder}", err=True)
    if tuple(price_shelf().folders())[-1] != folder.name:
        click.echo(f"  a newer book is in force; use it with --prices {folder.name}", err=True)


def _refreshed(wanted: Wanted, in_force: PriceBook, parts: KeptParts, *, quiet: bool) -> Refreshed:
    with progress_shown(quiet=quiet, color=True) as progress:
        by_region = fetch(wanted, in_force, parts, lambda doing: progress(doing, None))
    return refreshed_book(wanted, in_force, by_region)


def _wanted(given: dict[str, Any], in_force: PriceBook, now: datetime) -> Wanted:
    if given["regions"] and given["all_regions"]:
        raise BadRequest("--region and --all-regions are both given; give one")
    regions = in_force.regions if given["all_regions"] else given["regions"] or ("us-east-1",)
    aws = Aws.as_configured()
    hosting_types = cache(aws.hosting_types)
    return Wanted(
        name=_name(given["name"], now),
        on=now.date(),
        sources=tuple(_source(name, given, aws) for name in _chosen(given["sources"], aws)),
        regions=tuple(dict.fromkeys(regions)),
        is_hosting=lambda name: name in hosting_types(),
        accepted=given["accepted"],
    )


def _chosen(asked: tuple[str, ...], aws: Aws) -> tuple[str, ...]:
    if asked:
        return tuple(name for name in SOURCES if name in asked)
    if aws.has_credentials():
        return WITH_ACCOUNT
    click.echo(
        f"no AWS credentials: reading what is public ({', '.join(WITHOUT)}); EC2's file is large",
        err=True,
    )
    return WITHOUT


def _source(name: str, given: dict[str, Any], aws: Aws) -> PriceSource:
    offers, advice = given["offer_url"] or OFFER_URL, given["spot_advisor_url"] or SPOT_ADVISOR_URL
    makers: dict[str, Callable[[], PriceSource]] = {
        "price-list": lambda: PriceList(aws),
        "offer-file": lambda: OfferFile(SAGEMAKER, offers),
        "elb-offer-file": lambda: OfferFile(ELB, offers),
        "ec2-offer-file": lambda: OfferFile(EC2, offers),
        "savings-plan-file": lambda: SavingsPlanFile(offers),
        "instance-types": lambda: InstanceTypes(aws),
        "spot-history": lambda: SpotHistory(aws),
        "spot-advisor": lambda: SpotAdvisor(advice),
    }
    return makers[name]()


def _name(asked: str | None, now: datetime) -> str:
    shelf = price_shelf()
    if asked is None:
        return shelf.free_name(now.date())
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", asked):
        raise BadRequest(f"--book {asked!r}: letters, digits, dots and dashes make a book's name")
    if asked in shelf.folders():
        raise BadRequest(f"--book {asked}: there is one; a book is never changed in place")
    return asked


def _document(refreshed: Refreshed, folder: Path) -> dict[str, Any]:
    return {
        "book": refreshed.book.name,
        "folder": str(folder),
        "regions": [asdict(counts) for counts in refreshed.counts],
        "quarantined": [asdict(row) for row in refreshed.quarantined],
        "passed_over": refreshed.passed_over,
    }


def _show(refreshed: Refreshed) -> None:
    table = Table(title=f"price book {refreshed.book.name}", title_justify="left")
    table.add_column("region")
    for column in COUNTED:
        table.add_column(column.replace("_", " "), justify="right")
    for counts in refreshed.counts:
        cells = (str(getattr(counts, column)) for column in COUNTED)
        table.add_row(counts.region, *cells)
    console = Console(highlight=False)
    console.print(table)
    _say_quarantined(refreshed.quarantined)
    if refreshed.passed_over:
        click.echo(
            f"{refreshed.passed_over} EC2 machines have a price and are not in the book:"
            " neither hosted by SageMaker nor of a family that is"
        )


def _say_quarantined(rows: tuple[Quarantined, ...]) -> None:
    if not rows:
        return
    click.echo(f"{len(rows)} not used, with reasons in {QUARANTINE_FILE}:")
    for row in rows[:SHOWN]:
        said = f" at {row.usd} USD" if row.usd else ""
        click.echo(f"  {row.region} {row.what}{said} {row.reason}")
    if len(rows) > SHOWN:
        click.echo(f"  and {len(rows) - SHOWN} more")
