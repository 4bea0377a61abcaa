from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any

import click

from loadtests.journal import Journal
from pricing import load_book
from recommender.cli.options import (
    constraint_changes,
    constraints_options,
    open_chosen_store,
    store_option,
    this_architecture,
)
from recommender.cli.output import Output, output_options, present
from recommender.cli.places import cache_folder, journal_folder
from recommender.cli.progress import progress_shown
from recommender.demand import Constraints
from recommender.errors import BadRequest
from recommender.performance.speed_prior import SpeedPrior
from recommender.quick import Workplace, resume_quick, run_quick
from recommender.request import KIND, QuickRequest, Source, traffic_facts

DEFAULT_TRAFFIC = "100rps"
DEFAULT_SLO = "p95<100ms, error_rate<1%"


@click.command(
    "quick", epilog="Without --command, --url or --model the bundled sample container is measured."
)
@click.option(
    "--command",
    metavar="CMD",
    help="Starts your model server; {port} becomes the port to listen on.",
)
@click.option("--url", metavar="URL", help="A server that already runs; measured as it is.")
@click.option(
    "--model",
    metavar="DIR",
    help="Model artefacts for the sample serving stack (model.joblib, as in /opt/ml/model).",
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
    help=f"50rps, 500rpm, 1.2M/day, or a CSV of requests per hour.  [default: {DEFAULT_TRAFFIC}]",
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
@constraints_options
@output_options
@store_option
def quick_command(**given: Any) -> None:  # noqa: ANN401 - click's own values
    """Measure a model container on this machine and rank what would serve it.

    The container is started as a process under each CPU size this machine can give, load-tested,
    and carried over to every SageMaker, serverless, EC2 and spot offer of the price book, at your
    traffic.
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
            book=load_book(),
            prior=SpeedPrior.bundled(),
            cache_folder=cache_folder(),
            progress=progress,
        )
        if request is None:
            run = store.run(resume)
            if run.kind != KIND:
                raise BadRequest(
                    f"{run.id} is not a quick run",
                    hint=f"recommender {run.kind} --resume {run.id}",
                )
            outcome = resume_quick(run, QuickRequest.model_validate(run.request), workplace)
        else:
            outcome = run_quick(request, workplace)
    for failure in outcome.failures:
        click.echo(f"not measured: {failure}", err=True)
    sys.exit(present(outcome.recommendation, output))


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
    )


def _source(given: dict[str, Any]) -> Source:
    named = {kind: given[kind] for kind in ("command", "url", "model") if given[kind]}
    if len(named) > 1:
        raise BadRequest(f"{' and '.join('--' + kind for kind in named)}: give one of them")
    kind, where = next(iter(named.items()), ("sample", None))
    if given["more_payloads"] and not given["payloads"]:
        raise BadRequest(
            f"unexpected argument {given['more_payloads'][0]}",
            hint="payload files follow --payload",
        )
    return Source(
        kind=kind,
        where=where,
        environment=dict(_variable(text) for text in given["environment"]),
        memory_gib=given["memory_gib"],
        startup_timeout_s=given["startup_timeout_s"],
    )


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
    if not sizes or min(sizes) <= 0:
        raise BadRequest(f"--sizes {text}: not numbers of vCPUs", hint="for example --sizes 1,2")
    return sizes
