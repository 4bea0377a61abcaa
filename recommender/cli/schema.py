from __future__ import annotations

import json

import click

from recommender.demand import Demand
from recommender.recommendation import Recommendation
from recommender.request import QuickRequest

DOCUMENTS = {"recommendation": Recommendation, "demand": Demand, "request": QuickRequest}


@click.command("schema")
@click.argument("document", type=click.Choice(list(DOCUMENTS)), default="recommendation")
def schema_command(document: str) -> None:
    """Print the JSON Schema of a document: what --json writes, or what a run stores."""
    click.echo(json.dumps(DOCUMENTS[document].model_json_schema(), indent=2))
