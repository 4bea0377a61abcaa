"""Files of an answer, and the addresses they are at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Response, request

from dashboard.questions import answer_to
from dashboard.report import report_page
from loadtests.errors import UsageError
from pricing import PricingError
from recommender.errors import AmbiguousRun, RecommenderError, UnknownRun
from recommender.explain import Selection
from recommender.exports.markdown import to_markdown

if TYPE_CHECKING:
    from collections.abc import Callable

    from dash import Dash

    from dashboard.data import Repository
    from recommender.recommendation import Recommendation

__all__ = ["FORMATS", "Format", "register"]


@dataclass(frozen=True, slots=True)
class Format:
    title: str
    about: str
    suffix: str
    media_type: str
    write: Callable[[Recommendation], str]

    def file_name(self, run_id: str) -> str:
        return f"recommendation-{run_id}.{self.suffix}"


FORMATS = {
    "report": Format(
        "Report (HTML)",
        "One file for people: opens offline, prints well.",
        "html",
        "text/html; charset=utf-8",
        report_page,
    ),
    "markdown": Format(
        "Markdown",
        "For a pull request or a wiki: the cheapest of each way to buy.",
        "md",
        "text/markdown; charset=utf-8",
        lambda found: to_markdown(found, Selection(top=10)),
    ),
    "json": Format(
        "JSON",
        "Every option with its bill and intervals, for programs; as recommender show --json.",
        "json",
        "application/json",
        lambda found: found.model_dump_json(indent=2) + "\n",
    ),
}
# A report holds its own script and style, and nothing that comes from elsewhere.
ALONE = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def register(app: Dash, repository: Repository) -> None:
    def export(reference: str, name: str) -> Response:
        if name not in FORMATS:
            return _refused(f"there is no export called {name!r}", 404)
        try:
            run = repository.run(reference)
            found = answer_to(repository, reference, request.query_string.decode("ascii"))
        except (UnknownRun, AmbiguousRun) as error:
            return _refused(str(error), 404)
        except (RecommenderError, PricingError, UsageError) as error:
            return _refused(str(error), 400)
        if found is None:
            return _refused("the run has no recommendation yet", 404)
        chosen = FORMATS[name]
        answer = Response(chosen.write(found), content_type=chosen.media_type)
        file_name = chosen.file_name(run.id)
        answer.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
        answer.headers["Content-Security-Policy"] = ALONE
        return answer

    app.server.add_url_rule("/runs/<reference>/export/<name>", "export", export)


def _refused(said: str, status: int) -> Response:
    return Response(f"{said}\n", status, content_type="text/plain; charset=utf-8")
