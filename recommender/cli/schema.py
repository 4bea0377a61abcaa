from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from recommender.comparison.document import RunComparison
from recommender.demand import Demand
from recommender.explanation.document import Explanation
from recommender.loadtest.plan import Plan
from recommender.loadtest.report import LoadTestReport
from recommender.recommendation import Recommendation
from recommender.request import QuickRequest
from recommender.simulation.policy_file import PolicyFile
from recommender.simulation.report import SimulationReport

if TYPE_CHECKING:
    from pydantic import BaseModel

DOCUMENTS: dict[str, type[BaseModel]] = {
    "recommendation": Recommendation,
    "explanation": Explanation,
    "demand": Demand,
    "request": QuickRequest,
    "plan": Plan,
    "loadtest": LoadTestReport,
    "comparison": RunComparison,
    "simulation": SimulationReport,
    "policy": PolicyFile,
}


@click.command("schema")
@click.argument("document", type=click.Choice(list(DOCUMENTS)), default="recommendation")
def schema_command(document: str) -> None:
    """Print the JSON Schema of a document: what --json writes, or what a run stores."""
    click.echo(json.dumps(DOCUMENTS[document].model_json_schema(), indent=2))
