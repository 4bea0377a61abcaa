"""What a person reads of two runs compared, and the form of what a program reads."""

import io
import json

from rich.console import Console

from loadtests.measurement import Interval
from recommender.cli.comparison_tables import comparison_markdown, render_comparison
from recommender.comparison import (
    Condition,
    Difference,
    MoneyLine,
    NotCompared,
    RunComparison,
    SideFacts,
    Verdict,
)
from recommender.comparison.words import notes, said


def difference(name, of, before, after, change, verdict, **other):
    low, value, high = change
    unit = {"errors": "share", "memory": "bytes"}.get(of, "s")
    return Difference(
        of=of, name=name, where=other.pop("where", "1 vCPU"),
        unit="req/s" if of in ("capacity", "saturation") else unit,
        higher_is_better=of in ("capacity", "saturation"), before=before, after=after,
        change=Interval(value=value, low=low, high=high),
        margin=0.01 if of == "errors" else 0.05, verdict=verdict, reason="as a test has it",
        requests=(500, 480), **other,
    )  # fmt: skip


DIFFERENCES = (
    difference("capacity at the SLO", "capacity", 212.0, 167.0, (0.72, 0.788, 0.86),
               Verdict.WORSE),
    difference("saturated throughput", "saturation", 236.4, 189.1, (0.77, 0.8, 0.83),
               Verdict.WORSE),
    difference("p95 latency at 120 req/s", "latency", 0.0212, 0.0931, (None, 4.39, None),
               Verdict.UNKNOWN, more_requests=12_400),
    difference("mean service time alone", "service", 0.0042, 0.0041, (0.95, 0.976, 1.002),
               Verdict.SAME),
    difference("errors", "errors", 0.0, 0.0042, (-0.001, 0.0042, 0.0131), Verdict.UNKNOWN),
    difference("memory at its peak", "memory", 262_144_000.0, 131_072_000.0, (0.45, 0.5, 0.55),
               Verdict.BETTER, where="1 vCPU, 2 vCPU"),
    difference("start-up", "start", 1.5, 1.4, (None, 0.93, None), Verdict.UNKNOWN,
               where="1 vCPU, 2 vCPU"),
)  # fmt: skip
CONDITIONS = (
    Condition(what="cores", before="2", after="4", weight="unsound"),
    Condition(what="what serves", before="mine:1", after="mine:<2>", weight="changed"),
    Condition(what="kernel", before="6.1", after="6.8", weight="noted"),
)


SIDES = (
    SideFacts(run="q20261121-060000-aaaa", kind="quick", label="mine:1",
              created_at="2026-11-21T06:00:00+00:00"),
    SideFacts(run="l20261122-060000-bbbb", kind="loadtest", label="mine|2",
              created_at="2026-11-22T06:00:00+00:00", configuration="small"),
)  # fmt: skip


def comparison(conditions=CONDITIONS, verdict=Verdict.UNKNOWN):
    return RunComparison(
        before=SIDES[0],
        after=SIDES[1],
        threshold_ratio=0.05,
        verdict=verdict,
        said=said(verdict, DIFFERENCES, conditions, SIDES),
        conditions=conditions,
        differences=DIFFERENCES,
        money=(
            MoneyLine(
                per="month", question="100rps at p95<100ms", before="2 of c8g.medium (EC2 spot)",
                after="3 of c8g.medium (EC2 spot)", before_usd=32.71, after_usd=49.07,
                change=Interval(value=1.5, low=1.0, high=2.0), verdict=Verdict.UNKNOWN,
                said="100rps at p95<100ms: 3 of c8g.medium for $49.07 a month instead of $32.71.",
            ),
        ),
        price_book="2026-11-21",
        not_compared=(NotCompared(what="2 vCPU", why="the second run has nothing like it"),),
        notes=notes(0.021, DIFFERENCES, ("p95<100ms, error_rate<1%",)),
    )  # fmt: skip


def printed(found):
    console = Console(
        file=io.StringIO(), width=120, no_color=True, highlight=False, force_terminal=False
    )
    render_comparison(console, found)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_a_comparison_in_a_terminal_is_as_agreed(golden):
    text = printed(comparison())
    assert text == golden.agreed("comparison.txt", text)


def test_its_markdown_is_as_agreed(golden):
    text = comparison_markdown(comparison())
    assert text == golden.agreed("comparison.md", text)


def test_without_a_doubt_the_verdict_comes_first():
    found = comparison(CONDITIONS[1:], Verdict.WORSE)
    assert printed(found).startswith(
        "Worse after than before: capacity at the SLO -21 % at 1 vCPU"
    )


def test_its_json_reads_back_as_the_same(golden):
    found = comparison()
    text = found.model_dump_json(indent=1) + "\n"
    agreed = RunComparison.model_validate_json(golden.agreed("comparison.json", text))
    assert agreed == found


def test_the_schema_of_a_comparison_is_as_agreed(golden):
    text = json.dumps(RunComparison.model_json_schema(), indent=1, sort_keys=True) + "\n"
    assert json.loads(text) == json.loads(golden.agreed("comparison.schema.json", text))
