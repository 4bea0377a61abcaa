from __future__ import annotations

import math
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from loadtests.journal import Journal
from recommender.cli.model_file import model_facts, model_options
from recommender.cli.options import (
    constraint_changes,
    constraints_options,
    open_chosen_store,
    store_option,
    this_architecture,
)
from recommender.cli.output import Output, output_options, present
from recommender.cli.own_prior import prior_in_use
from recommender.cli.places import cache_folder, journal_folder
from recommender.cli.price_books import book_in_use
from recommender.cli.progress import progress_shown
from recommender.demand import Constraints
from recommender.errors import BadRequest
from recommender.quick import Workplace, resume_quick, run_quick
from recommender.request import QuickRequest, Source, SourceKind, traffic_facts

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DEFAULT_SLO", "DEFAULT_TRAFFIC", "quick_command", "request_of"]

DEFAULT_TRAFFIC = "100rps"
DEFAULT_SLO = "p95<100ms, error_rate<1%"


@click.command(
    "quick",
    epilog="Without --command, --image, --build, --url or --model the bundled sample container is "
    "measured.",
)
@click.option(
    "--command",
    metavar="CMD",
    help="Starts your model server; {port} becomes the port to listen on.",
)
@click.option(
    "--image",
    metavar="IMAGE",
    help="A container image that answers as SageMaker asks: `IMAGE serve`, GET /ping, "
    "POST /invocations on 8080. Needs Docker or Podman.",
)
@click.option("--build", metavar="DIR", help="The same, built from the Dockerfile in DIR.")
@click.option("--url", metavar="URL", help="A server that already runs; measured as it is.")
@click.option(
    "--model",
    metavar="DIR",
    help="Model artefacts: what --image, --build or --command finds as /opt/ml/model; alone, for "
    "the sample serving stack (model.joblib).",
)
@click.option(
    "--payload",
    "payloads",
    multiple=True,
    metavar="FILE…",
    help="Request bodies, one a file; several files or a glob.",
)
@click.argument("more_payloads", nargs=-1, metavar="")
@click.option("--content-type", metavar="TYPE", help="Of the payload.  [default: by file name]")
@click.option(
    "--path", default="/invocations", show_default=True, help="Where requests are posted."
)
@click.option(
    "--env",
    "environment",
    multiple=True,
    metavar="NAME=VALUE",
    help="For the server; may be given again.",
)
@click.option(
    "--traffic",
    metavar="RATE|CSV",
    help="50rps, 500rpm, 1.2M/day, or a CSV of requests per hour; '50rps, cv 3' comes in bursts.  "
    f"[default: {DEFAULT_TRAFFIC}]",
)
@click.option("--slo", metavar="SLO", help=f"Objectives.  [default: {DEFAULT_SLO}]")
@click.option("--vcpus", type=float, metavar="N[,N]", help="With --url: the vCPUs it runs on.")
@click.option(
    "--sizes", metavar="N,N", help="vCPUs to measure at.  [default: 1, 2 and 4 as they fit]"
)
@click.option("--memory-gib", type=float, metavar="GIB", help="Memory limit of the server.")
@click.option(
    "--measured-on",
    metavar="TYPE",
    help="This machine (or the URL's) is of this type: what is measured stands for it.",
)
@click.option(
    "--measure-s",
    type=click.FloatRange(1, 3600),
    default=10.0,
    show_default=True,
    help="Longest open-loop run at each size.",
)
@click.option(
    "--startup-timeout-s",
    type=click.FloatRange(1, 3600),
    default=480.0,
    show_default=True,
    help="Until /ping must answer 200.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the arrival times.")
@click.option("--resume", metavar="RUN", help="Go on with a run that was interrupted.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@model_options
@constraints_options
@output_options
@store_option
def quick_command(**given: Any) -> None:  # noqa: ANN401 - click's own values
    """Measure a model container on this machine and rank what would serve it.

    It is started under each CPU size this machine can give, as a process or a container,
    load-tested, and carried over to every SageMaker, serverless, EC2 and spot offer of the price
    book, at your traffic.
    """
    output = Output.taken_from(given)
    quiet, resume, store_url = given.pop("quiet"), given.pop("resume"), given.pop("store_url")
    request = None if resume else _request(given)
    with ExitStack() as stack:
        store = stack.enter_context(open_chosen_store(store_url))
        progress = stack.enter_context(progress_shown(quiet=quiet, color=output.color))
        workplace = Workplace(
            store=store,
            journal=Journal(journal_folder()),
            book=book_in_use(),
            prior=prior_in_use(),
            cache_folder=cache_folder(),
            progress=progress,
        )
        if request is None:
            outcome = resume_quick(store.run(resume), workplace)
        else:
            outcome = run_quick(request, workplace)
    for failure in outcome.failures:
        click.echo(f"not measured: {failure}", err=True)
    sys.exit(present(outcome.recommendation, output))


def request_of(arguments: Iterable[str]) -> QuickRequest:
    """What the command would be asked with these. Raises click.UsageError too."""
    with quick_command.make_context("quick", list(arguments)) as context:
        return _request(context.params)


def _request(given: dict[str, Any]) -> QuickRequest:
    source = _source(given)
    default_arch = "any" if source.kind == "sample" else this_architecture()
    sizes = given["sizes"]
    return QuickRequest(
        source=source,
        payloads=(*given["payloads"], *given["more_payloads"]),
        content_type=given["content_type"],
        path=given["path"],
        traffic=traffic_facts(given["traffic"] or DEFAULT_TRAFFIC),
        slo=given["slo"] or DEFAULT_SLO,
        constraints=Constraints(**constraint_changes(given, default_arch=default_arch)),
        sizes=None if sizes is None else _sizes(sizes),
        vcpus=given["vcpus"],
        measured_on=given["measured_on"],
        measure_s=given["measure_s"],
        seed=given["seed"],
        model=model_facts(given),
    )


def _source(given: dict[str, Any]) -> Source:
    kind, where, artefacts = _served(given)
    if given["more_payloads"] and not given["payloads"]:
        raise BadRequest(
            f"unexpected argument {given['more_payloads'][0]}",
            hint="payload files follow --payload",
        )
    return Source(
        kind=kind,
        where=where,
        artefacts=artefacts,
        environment=dict(_variable(text) for text in given["environment"]),
        memory_gib=given["memory_gib"],
        startup_timeout_s=given["startup_timeout_s"],
    )


def _served(given: dict[str, Any]) -> tuple[SourceKind, str | None, str | None]:
    """Kind, where, and the artefacts that go with it."""
    kinds: tuple[SourceKind, ...] = ("command", "image", "build", "url")
    named = [kind for kind in kinds if given[kind]]
    if len(named) > 1:
        raise BadRequest(f"{' and '.join('--' + kind for kind in named)}: give one of them")
    model = given["model"]
    if not named:
        return ("sample", None, None) if model is None else ("model", model, None)
    if model is not None and named[0] == "url":
        raise BadRequest("--url and --model: a server that runs already has its model")
    return named[0], given[named[0]], model


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise BadRequest(f"--env {text}: not NAME=VALUE")
    return name, value


def _sizes(text: str) -> tuple[float, ...]:
    try:
        sizes = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        sizes = ()
    if not sizes or not all(0 < each < math.inf for each in sizes):
        raise BadRequest(f"--sizes {text}: not numbers of vCPUs", hint="for example --sizes 1,2")
    return sizes
