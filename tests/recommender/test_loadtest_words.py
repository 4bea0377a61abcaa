"""What a load test found, in words: nothing hidden, and nothing in powers of ten."""

import loadtest_reports as made
import pytest

from recommender.cli.loadtest import loadtest_exit_code
from recommender.cli.loadtest_report import report_markdown
from recommender.loadtest.report import LoadTestReport
from recommender.loadtest.words import COLUMNS, between, findings, headline, milliseconds, run_rows


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (made.about(212.34, 198.2, 230.1), "212 (198 to 230)"),
        (made.about(2497.0, 2491.0, 2503.0), "2,500 (2,490 to 2,500)"),
        (made.about(0.5, 0.2, None), "0.5 (0.2 to ?)"),
        (made.about(0.0, 1.7e-16, 0.025), "0 (0 to 0.025)"),
        (made.NOT_KNOWN, "not known"),
    ],
)
def test_an_interval_is_said_with_both_ends(interval, said):
    assert between(interval) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.00421, "4.21 ms"), (1.5, "1,500 ms"), (123.4, "123,000 ms")]
)
def test_milliseconds_are_written_out(seconds, said):
    assert milliseconds(seconds) == said


def test_every_answer_of_every_mode_has_findings():
    for test in made.WHOLE:
        assert (len(test.findings) > 0) == (test.answer is not None)
        for each in test.findings:
            assert each.endswith(".")
            assert "e+" not in each
            assert "None" not in each


def test_a_tier_is_named_where_there_are_several():
    gold, silver, dream = findings(made.CAPACITY)
    assert gold.startswith("gold: 173 (165 to 181) req/s meet p95<20ms (confirmed)")
    assert "$0.184 a million requests" in gold
    assert "a cliff beyond it" in silver
    assert "1,240 (1,190 to ?)" in silver
    assert dream == "dream: p95<1ms is missed even by one request at a time."
    only = made.CAPACITY.model_copy(update={"tiers": made.CAPACITY.tiers[:1]})
    assert findings(only)[0].startswith("173 ")


def test_a_knee_that_was_not_seen_is_told_with_the_reason():
    assert findings(made.WITHOUT_A_KNEE) == (
        "No knee was seen: no rate was that slow.",
        "Saturated at 12,300 req/s.",
    )


def test_a_verdict_not_reached_is_never_said_to_be_met():
    missed, undecided, unknown = findings(made.MIXED)
    assert "MISSED" in missed
    assert "not decided; measured 500 (200 to ?) ms" in undecided
    assert unknown == "tin: p99<1s: not decided; measured not known."
    assert not any(": met" in each for each in findings(made.MIXED))


def test_a_closed_loop_says_so_with_its_figures():
    assert all("closed loop" in each for each in findings(made.USERS))
    assert not any("closed loop" in each for each in findings(made.MET))


def test_how_many_more_requests_would_decide_a_comparison_is_told():
    said = findings(made.COMPARED)
    assert "new against old: FAIL." in said
    assert "newer against old: INCONCLUSIVE." in said
    assert "About 12,000 more requests would decide it." in said


def test_a_setting_that_failed_is_told_with_its_reason_once():
    said = findings(made.TUNED)
    assert said[0].startswith("Best: THREADS=2, BATCH=8, 97% sure it is")
    assert "1.47 times the baseline (1.39 to 1.55)." in said
    assert "THREADS=2: +38.5 % (+30.1 to +46.9)." in said
    assert [each for each in said if "out of memory" in each] == [
        "THREADS=1, BATCH=64 failed: it was out of memory."
    ]
    assert not any("surely worse" in each for each in said)


def test_a_gain_that_may_be_chance_is_not_called_one():
    chance = made.TUNING.gain.model_copy(update={"low": 0.98, "is_sure": False})
    answer = made.TUNED.model_copy(
        update={"tuning": made.TUNING.model_copy(update={"gain": chance})}
    )
    assert "No setting is surely better than the baseline." in findings(answer)
    assert not any("times the baseline" in each for each in findings(answer))


def test_a_run_is_a_row_with_a_cell_for_each_column():
    for test in made.WHOLE:
        for row in run_rows(test):
            assert len(row) == len(COLUMNS)


def test_closed_rows_show_service_times_and_open_rows_latencies():
    found = made.measurement(latency=())
    closed, opened = (
        dict(zip(COLUMNS, run_rows(made.outcome("x", runs=[("r-1", each)]))[0], strict=True))
        for each in (made.measurement(made.CLOSED), found)
    )
    assert closed["p95 ms"] == "12.3"
    assert closed["p99 ms"] == "1,500"
    assert opened["p95 ms"] == "-"


def test_the_headline_counts_every_state_and_what_was_paid():
    assert headline(made.report()).startswith(
        "two sizes: 9 finished, 1 invalid, 1 failed, 1 partial, 1 not run; 3 min under load, "
    )
    assert "$" not in headline(made.report())
    assert headline(made.report(usd="0.5123")).endswith("30,123 requests, $0.5123.")


def test_a_table_in_markdown_has_as_many_cells_in_each_row():
    rows = [line for line in report_markdown(made.report()).splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in rows} == {len(COLUMNS) + 1}


def test_a_report_survives_its_own_json():
    found = made.report()
    assert LoadTestReport.model_validate_json(found.model_dump_json()) == found


EXIT_CODES = {
    "all met": ((made.outcome("a", made.MET), made.outcome("b", made.OFFLINE)), 0),
    "an objective missed": ((made.outcome("a", made.MET), made.outcome("b", made.MIXED)), 3),
    "a comparison failed": ((made.outcome("a", made.COMPARED),), 3),
    "a soak that drifted": ((made.outcome("a", made.SOAK),), 3),
    "not decided": (
        (made.outcome("a", made.MIXED.model_copy(update={"verdicts": made.MIXED.verdicts[1:]})),),
        4,
    ),
    "nothing fit to be evidence": (
        (made.outcome("a", made.MET), made.outcome("b", state="invalid", reason="x")),
        4,
    ),
    "a part only": ((made.outcome("a", state="partial", reason="x"),), 4),
    "never run": ((made.outcome("a", state="not run", reason="x"),), 4),
    "a server that did not start": (
        (made.outcome("a", made.MIXED), made.outcome("b", state="failed", reason="x")),
        1,
    ),
    "missed before undecided": (
        (made.outcome("a", state="not run", reason="x"), made.outcome("b", made.MIXED)),
        3,
    ),
}


@pytest.mark.parametrize("case", EXIT_CODES)
def test_the_worst_of_its_tests_is_the_exit_code(case):
    tests, code = EXIT_CODES[case]
    assert loadtest_exit_code(made.report(*tests)) == code
