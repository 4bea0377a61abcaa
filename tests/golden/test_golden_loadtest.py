"""What a person reads of a load test, and the form of what a program reads."""

import io
import json

import loadtest_reports as made
from rich.console import Console

from recommender.cli.loadtest_report import explanation_table, render_report, report_markdown
from recommender.loadtest.explanation import explain
from recommender.loadtest.plan import Plan
from recommender.loadtest.report import LoadTestReport

PLAN = Plan.model_validate(
    {
        "name": "two sizes",
        "model": "http://127.0.0.1:8080",
        "configurations": [{"name": "small", "usd_per_hour": "3.60"}, {"name": "large"}],
        "limits": {"time": "2min", "usd": "0.05"},
        "scenarios": [
            {"mode": "capacity"},
            {"mode": "profile", "rates": ["10rps", "20rps"]},
            {"mode": "offline"},
            {"traffic": "1200/min", "duration": "1min", "repeats": 3},
            {"traffic": {"kind": "ramp", "start_rps": 1, "end_rps": 9, "duration_s": 300}},
            {"traffic": {"kind": "stairs", "users_per_step": 2, "number_of_steps": 5,
                         "duration_s": 50}},
            {"mode": "soak", "traffic": "20rps", "duration": "3h"},
            {"mode": "tune", "environment": {"THREADS": [1, 2], "BATCH": [1, 8]}},
            {"mode": "compare", "traffic": "20rps", "shadow": {"large": 0.5}},
        ],
    }
)  # fmt: skip
CORES = 4


def printed(show):
    console = Console(
        file=io.StringIO(), width=120, no_color=True, highlight=False, force_terminal=False
    )
    show(console)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_the_report_of_a_load_test_is_as_agreed(golden):
    text = printed(lambda console: render_report(console, made.report()))
    assert text == golden.agreed("loadtest.txt", text)


def test_its_markdown_is_as_agreed(golden):
    text = report_markdown(made.report())
    assert text == golden.agreed("loadtest.md", text)


def test_the_explanation_of_a_plan_is_as_agreed(golden):
    prices = {"small": PLAN.configurations[0].usd_per_hour}
    explained = explain(PLAN, CORES, prices)

    def show(console):
        console.print(explanation_table(explained))
        for line in explained.words:
            console.print(line)

    text = printed(show)
    assert text == golden.agreed("explanation.txt", text)


def test_the_schemas_of_plan_and_report_are_as_agreed(golden):
    for name, document in (("plan", Plan), ("loadtest", LoadTestReport)):
        text = json.dumps(document.model_json_schema(), indent=1, sort_keys=True) + "\n"
        assert json.loads(text) == json.loads(golden.agreed(f"{name}.schema.json", text))
