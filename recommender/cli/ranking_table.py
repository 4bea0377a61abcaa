"""How long predicting and ranking takes, to a person, a file or a pipe."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.text import Text

from recommender.cli.tables import plain_table
from recommender.ranking_bench import GOAL_OPTIONS, GOAL_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.cli.output import Destinations
    from recommender.ranking_bench import RankingBench

__all__ = ["present_bench"]

TOO_SLOW = 4
COLUMNS = ("options", "machine types", "meet the SLO", "predict, judge ms", "rank ms", "all ms",
           "ms per 1,000")  # fmt: skip


def present_bench(bench: RankingBench, destinations: Destinations) -> int:
    """Returns the exit code."""
    destinations.write(json.dumps(_document(bench), indent=2) + "\n", _markdown(bench))
    if destinations.is_for_a_person:
        console = destinations.console()
        table = plain_table()
        for name in COLUMNS:
            table.add_column(name, justify="right", no_wrap=True)
        for row in _rows(bench):
            table.add_row(*row)
        console.print(table)
        for line in _said(bench):
            console.print(Text(line))
    return 0 if bench.is_good else TOO_SLOW


def _rows(bench: RankingBench) -> Iterator[tuple[str, ...]]:
    for row in bench.rows:
        numbers = (row.judging_s, row.ranking_s, row.total_s, row.s_per_thousand)
        counts = (row.options, row.machines, row.ranked)
        yield (*(f"{each:,}" for each in counts), *(f"{each * 1e3:.1f}" for each in numbers))


def _said(bench: RankingBench) -> tuple[str, ...]:
    verdict = "met" if bench.is_good else "MISSED"
    return (
        f"Each further 1,000 options take {bench.s_per_further_thousand * 1e3:.2f} ms.",
        f"Once for a run, before that: {bench.fitting_s * 1e3:.0f} ms to simulate its queue.",
        f"{GOAL_OPTIONS:,} options in {GOAL_S * 1e3:.0f} ms: {verdict}.",
    )


def _markdown(bench: RankingBench) -> str:
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'--:|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(bench)]
    return "\n".join([*lines, "", *_said(bench)]) + "\n"


def _document(bench: RankingBench) -> dict[str, object]:
    return {
        "fitting_s": bench.fitting_s,
        "rows": [
            asdict(row) | {"total_s": row.total_s, "s_per_thousand": row.s_per_thousand}
            for row in bench.rows
        ],
        "s_per_further_thousand": bench.s_per_further_thousand,
        "is_good": bench.is_good,
    }
