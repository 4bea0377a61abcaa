"""What a load test found, in words: nothing hidden, and nothing in powers of ten."""

import loadtest_reports as made
import pytest

from loadtests.resources import ResourceSummary
from loadtests.resources.series import Level
from recommender.cli.loadtest import loadtest_exit_code
from recommender.cli.loadtest_report import report_markdown
from recommender.loadtest.report import LoadTestReport
from recommender.loadtest.words import (
    COLUMNS,
    between,
    energy,
    findings,
    headline,
    instrument,
    milliseconds,
    run_rows,
)


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


def used(**known):
    """What a run used, of which only this is known."""
    others = dict.fromkeys(
        (
            "target_vcpus", "target_memory_bytes", "generator_vcpus", "generator_memory_bytes",
            "core_busy_ratio", "gpu_busy_ratio", "gpu_memory_bytes",
        )
    )  # fmt: skip
    return ResourceSummary(elapsed_s=10.0, own_cpu_ratio=0.0, notes={}, **(others | known))


def test_energy_is_told_for_each_request_of_the_fastest_run():
    slow = made.measurement(throughput_rps=50.0, resources=used(gpu_energy_j={"0 H200": 9e9}))
    fast = made.measurement(
        throughput_rps=100.0, succeeded=1000, resources=used(gpu_energy_j={"0 A": 3e3, "1 A": 1e3})
    )
    assert energy([slow, fast, made.measurement()]) == (
        "GPU: 4 J a request at 100 req/s, 400 W on average, of whole boards.",
    )


def test_of_energy_that_is_not_known_nothing_is_said():
    assert energy([made.measurement(), made.measurement(resources=used())]) == ()


def test_a_run_of_a_batch_size_is_told_apart_by_it():
    runs = [(f"closed-2-rows-{rows}", made.measurement(made.CLOSED)) for rows in (1, 64)]
    others = [("closed-2", made.measurement()), ("users-1-rows-8-invalid-x", made.measurement())]
    rows = run_rows(made.outcome("offline", runs=[*runs, *others]))
    assert [row[0] for row in rows] == [
        "closed, 1 row",
        "closed, 64 rows",
        "closed",
        "users, 8 rows",
    ]


def test_what_the_generator_used_is_that_of_the_longest_run():
    mib = 2**20
    generator = {
        "generator_vcpus": Level(mean=0.213, peak=0.4),
        "generator_memory_bytes": Level(mean=96 * mib, peak=97 * mib),
    }
    long = made.measurement(elapsed_s=600.0, resources=used(**generator))
    assert instrument([made.measurement(elapsed_s=3.0), long]) == (
        "The load generator used 0.21 vCPUs, and held 96 MiB on average, 97 at most.",
    )
    assert instrument([made.measurement(), made.measurement(resources=used())]) == ()
    assert instrument([]) == ()
