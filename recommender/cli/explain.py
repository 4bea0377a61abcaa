from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from recommender.cli.options import open_chosen_store, store_option
from recommender.cli.output import Destinations, destination_options
from recommender.cli.price_books import book_in_use
from recommender.cli.runs import stored_recommendation
from recommender.errors import BadRequest
from recommender.explanation.account import explain
from recommender.explanation.loadtest import explain_loadtest
from recommender.exports.markdown import escaped
from recommender.loadtest.building import build_report
from recommender.loadtest.session import KIND as LOADTEST

if TYPE_CHECKING:
    from rich.console import Console

    from recommender.explanation.document import Explanation
    from recommender.store import Run, Store

__all__ = ["explain_command", "explanation_markdown", "render_explanation"]


@click.command("explain")
@click.argument("run", default="latest")
@click.argument("instance", required=False)
@destination_options
@store_option
def explain_command(
    run: str,
    instance: str | None,
    store_url: str | None,
    **given: Any,  # noqa: ANN401
) -> None:
    """Say why RUN recommends what it does, every number with where it comes from.

    RUN is a run's id, the start of it, or `latest`. INSTANCE (ml.c7i.large, "serverless 2 GB")
    asks about that option instead of the best, also why it was rejected. Marks in brackets name
    sources: M a measurement, F a fact, A an assumption, Q what was asked.
    """
    destinations = Destinations.taken_from(given)
    with open_chosen_store(store_url) as store:
        found = _explained(store, store.run(run), instance)
    destinations.write(found.model_dump_json(indent=2) + "\n", explanation_markdown(found))
    if destinations.is_for_a_person:
        render_explanation(destinations.console(), found)


def _explained(store: Store, run: Run, instance: str | None) -> Explanation:
    if run.kind != LOADTEST:
        return explain(stored_recommendation(store, run), instance)
    if instance is not None:
        raise BadRequest(
            f"{run.id} is a load test: it ranks no instance types",
            hint=f"recommender explain {run.id}",
        )
    return explain_loadtest(build_report(store, run, book_in_use()))


def render_explanation(console: Console, explanation: Explanation) -> None:
    console.print(Text(explanation.subject, style="bold"))
    for section in explanation.sections:
        console.print(Text(f"\n{section.title}", style="bold"))
        for each in section.statements:
            line = Text(f"  {each.text}")
            if each.sources:
                line.append(f"  [{_ranges(each.sources)}]", style="dim")
            console.print(line)
    console.print(Text("\nSources", style="bold"))
    for source in explanation.sources:
        console.print(Text(f"  {source.tag:<4}{source.kind}: {source.text}", style="dim"))


def explanation_markdown(explanation: Explanation) -> str:
    lines = [f"# {escaped(explanation.subject)}"]
    for section in explanation.sections:
        lines += ["", f"## {escaped(section.title)}", ""]
        lines += [
            f"- {escaped(each.text)}" + (f" [{_ranges(each.sources)}]" if each.sources else "")
            for each in section.statements
        ]
    lines += ["", "## Sources", "", "| | kind | source |", "|---|---|---|"]
    lines += [f"| {e.tag} | {e.kind} | {escaped(e.text)} |" for e in explanation.sources]
    return "\n".join(lines) + "\n"


def _ranges(tags: tuple[str, ...]) -> str:
    """M1 M2 M3 F1 becomes M1-M3 F1."""
    runs: list[list[str]] = []
    for tag in sorted(tags, key=lambda each: ("MFAQ".index(each[0]), int(each[1:]))):
        last = runs[-1][-1] if runs else ""
        if last[:1] == tag[0] and int(last[1:]) + 1 == int(tag[1:]):
            runs[-1].append(tag)
        else:
            runs.append([tag])
    return " ".join(
        f"{run[0]}-{run[-1]}" if len(run) > 2 else " ".join(run)  # noqa: PLR2004 - a range
        for run in runs
    )
