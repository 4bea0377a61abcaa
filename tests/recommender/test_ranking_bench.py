import json
from dataclasses import replace

import pytest
from measured_runs import demand

from pricing import OffersByRegion
from recommender.cli.output import Destinations
from recommender.cli.ranking_table import present_bench
from recommender.errors import NothingMeasured
from recommender.ranking_bench import RankingBench, Timed, bench_ranking


def timed(options, total_s):
    return Timed(
        options=options, machines=200, ranked=options, judging_s=total_s - 0.01, ranking_s=0.01
    )


BENCH = RankingBench(fitting_s=0.5, rows=(timed(6000, 0.1), timed(50_000, 0.188)))


def test_it_ranks_as_many_options_as_it_is_asked_to(run, book, prior):
    """More than the book has offers, too."""
    one_region = replace(book, offers_by_region=OffersByRegion.of(book.offers("us-east-1")))
    found = bench_ranking(run, demand(), one_region, prior, options=(200, 3000), repeats=1)
    assert [row.options for row in found.rows] == [200, 3000]
    assert all(0 < row.ranked <= row.options for row in found.rows)
    assert found.fitting_s > 0
    assert all(row.judging_s > 0 and row.ranking_s > 0 for row in found.rows)


def test_a_run_without_evidence_is_not_timed(run, book, prior):
    with pytest.raises(NothingMeasured):
        bench_ranking(replace(run, sizes=()), demand(), book, prior)


def test_what_one_more_option_takes_leaves_out_what_does_not_grow():
    assert BENCH.s_per_further_thousand == pytest.approx(0.002)
    assert BENCH.is_good
    assert not replace(BENCH, rows=(timed(50_000, 0.31),)).is_good


def test_it_is_printed_by_thousand_and_exits_by_the_goal(tmp_path, capsys):
    file = tmp_path / "bench.json"
    code = present_bench(BENCH, Destinations(str(file), "-", color=False))
    assert code == 0
    written = json.loads(file.read_text())
    assert written["rows"][1]["s_per_thousand"] == pytest.approx(0.00376)
    out = capsys.readouterr().out
    assert "| 50,000 | 200 | 50,000 | 178.0 | 10.0 | 188.0 | 3.8 |" in out
    assert "further 1,000 options take 2.00 ms" in out
    slow = replace(BENCH, rows=(timed(6000, 0.1), timed(50_000, 0.4)))
    assert present_bench(slow, Destinations(None, None, color=False)) == 4
    assert "MISSED" in capsys.readouterr().out
