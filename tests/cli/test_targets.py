"""Plans of every kind of deployment, on servers whose truth is known."""

import json
import re
from typing import Any, NamedTuple

import pytest

from loadtests.accelerators import find_gpus
from recommender.loadtest.report import LoadTestReport

pytestmark = pytest.mark.locust

TTFT_S, GAP_S, TOKENS = 0.05, 0.01, 20
DEPLOYED = """
name: every deployment
model: "demo: --servers 4 --service det:0.01"
payloads: payload.json
configurations:
  - {name: serverless, serverless: {memory_gib: 1, max_concurrency: 2, from_zero: true}}
  - {name: copies, replicas: 2}
  - name: spot
    replicas: 2
    spot: {at: [1s], notice: 1min, start_up_delay: 30s, time_scale: 0.02, signals: false}
  - name: line
    model:
      pipeline:
        first: "demo: --servers 4 --service det:0.004"
        second: "demo: --servers 1 --service det:0.012"
  - name: both
    model:
      fan_out:
        small: "demo: --servers 4 --service det:0.004"
        large: "demo: --servers 4 --service det:0.02"
slo: p50<5s, error_rate<99%
traffic: 40rps
duration: 5
scenarios:
  - {name: serverless, configurations: [serverless]}
  - {name: copies, configurations: [copies]}
  - {name: spot, configurations: [spot]}
  - {name: line, configurations: [line]}
  - {name: both, configurations: [both]}
"""
MIB = 2**20
LIMIT_GIB, LEAK_BYTES = 0.125, MIB // 4
DIES = f"""
name: dies
model: "demo: --servers 4 --service det:0.005 --leak {LEAK_BYTES}"
payloads: payload.json
configurations: [{{name: leaks, vcpus: 1, memory_gib: {LIMIT_GIB}}}, {{name: has room, vcpus: 1}}]
traffic: 80rps
duration: 7
"""
STREAMED = f"""
name: streams
model: "demo: --servers 8 --ttft det:{TTFT_S} --itl det:{GAP_S} --tokens {TOKENS}"
payloads:
  count: 1
  json:
    model: demo
    stream: true
    stream_options: {{include_usage: true}}
    messages: [{{role: user, content: hi}}]
path: /v1/chat/completions
configurations: [{{name: demo}}]
slo: p90_ttft<200ms, p90_itl<50ms, goodput>80%
traffic: 12rps
duration: 12
"""


class Seen(NamedTuple):
    program: Any
    done: Any
    reports: list[LoadTestReport]

    def run(self, scenario):
        """Its measurement, of the first try that came to its end."""
        tests = [test for each in self.reports for test in each.tests if test.scenario == scenario]
        found = next((each for each in tests if each.state == "finished"), tests[-1])
        assert found.state == "finished", found.reason
        return found.runs[-1].measurement


@pytest.fixture(scope="module")
def look_at(loadtested):
    def look(plan, **how):
        program, done, reports = loadtested(plan, **how)
        return Seen(program, done, list(map(LoadTestReport.model_validate_json, reports)))

    return look


@pytest.fixture(scope="module")
def deployed(look_at):
    return look_at(DEPLOYED, whole=False)


@pytest.fixture(scope="module")
def streamed(look_at):
    return look_at(STREAMED)


def median_s(quantiles):
    return next(each.seconds.value for each in quantiles if each.quantile == 0.5)


def test_a_serverless_run_from_zero_waits_for_its_start_and_throttles_beyond_the_limit(deployed):
    measured = deployed.run("serverless")
    inside = measured.inside
    assert inside.kind == "serverless"
    assert inside.requests.count == measured.due
    assert inside.requests.throttled == measured.statuses.get(429, 0) > 0
    assert inside.requests.cold >= 1
    assert 1 <= inside.starts.count <= 2
    # From zero nothing is answered before an instance is there: 40 a second find two seats.
    assert inside.requests.throttled >= 0.5 * 40 * (inside.starts.setup_s.low or 0) - 5
    assert inside.instances.ready[0][1] == 0
    assert median_s(inside.requests.warm_service) == pytest.approx(0.01, rel=0.3)


def test_copies_share_the_requests_evenly(deployed):
    inside = deployed.run("copies").inside
    assert inside.kind == "replicas"
    first, second = (each.requests for each in inside.members)
    assert abs(first - second) <= 1


def test_a_replica_that_is_drained_in_time_loses_nothing_and_is_replaced(deployed):
    inside = deployed.run("spot").inside
    (cost,) = inside.interruptions
    assert cost.lost == cost.broken == 0
    assert cost.replacement is not None
    # 30 s of start-up delay at a fiftieth, and the server's own start on top
    assert cost.replaced_s - cost.noticed_s >= 0.6
    assert cost.missing_full_s > cost.missing_s


def test_a_line_names_the_stage_that_gives_out_and_adds_up(deployed):
    measured = deployed.run("line")
    inside = measured.inside
    assert inside.bottleneck.stage == "second"
    second = inside.stages[1]
    assert median_s(inside.stages[0].service) == pytest.approx(0.004, abs=0.002)
    assert second.service_mean_s >= 0.012
    whole = inside.stages_s + inside.gateway_s + inside.residual_s
    assert whole == pytest.approx(inside.whole_s)
    assert inside.whole_s == pytest.approx(measured.service_mean_s, rel=0.1)


def test_a_fan_out_waits_for_its_slower_branch(deployed):
    inside = deployed.run("both").inside
    last = {stage.name: stage.last_share.value for stage in inside.stages}
    assert last["large"] > 0.9
    assert last["small"] < 0.1
    assert median_s(inside.stages[1].service) == pytest.approx(0.02, abs=0.005)


def test_what_went_on_inside_is_told_and_nothing_is_left(deployed):
    tests = [test for report in deployed.reports for test in report.tests]
    told = " ".join(finding for test in tests for finding in test.findings)
    for words in ("Cold start:", "2 replicas had", "Interrupted at", "second gives out first"):
        assert words in told
    assert deployed.program.nothing_left()


def test_first_token_gaps_and_tokens_of_a_stream_are_those_that_were_planted(streamed):
    tokens = streamed.run("fixed 12rps").tokens
    assert tokens.counted_by == "usage"
    assert tokens.tokens_per_answer == pytest.approx(TOKENS)
    assert median_s(tokens.ttft) == pytest.approx(TTFT_S, abs=0.005)
    assert median_s(tokens.itl) == pytest.approx(GAP_S, abs=0.002)
    assert median_s(tokens.tpot) == pytest.approx(GAP_S, abs=0.002)
    told = " ".join(streamed.done.stdout.split())
    assert "First token after p50" in told
    assert "goodput>80%: met" in told


@pytest.mark.beside
def test_a_server_that_dies_of_its_memory_is_told_from_one_that_has_room(look_at):
    """What it held grows by what it leaks; it dies once that and what it began with fill it."""
    (leaks, has_room) = (test for test in look_at(DIES).reports[0].tests)
    assert leaks.state == "failed"
    assert "killed at its memory limit of 0.125 GiB" in leaks.reason
    assert "--memory-gib" in leaks.reason
    answered = int(re.search(r"answered ([\d,]+) requests", leaks.reason)[1].replace(",", ""))
    # A server that is tried again, for an INVALID run, has leaked before: its first run counts.
    tries = [each.measurement for each in (*has_room.runs, *has_room.invalid)]
    measured = min(tries, key=lambda each: each.started_at)
    # The other one leaked as much a request, and was warmed up with as many requests or so.
    held = measured.memory_peak_bytes - LEAK_BYTES * (measured.succeeded - answered)
    assert held == pytest.approx(LIMIT_GIB * 2**30, rel=0.35)


@pytest.mark.beside
def test_an_accelerator_that_is_not_there_is_said_not_to_be(recommender):
    if find_gpus().missing is None:
        pytest.skip("there is a GPU here")
    recommender.write_plan(
        'model: "demo: --service det:0.001"\npayloads: payload.json\n'
        "configurations: [{accelerator: 0.25}]\ntraffic: 20rps\nduration: 1\n"
    )
    done = recommender.run("loadtest", "plan.yaml", "--quiet", "--json", "report.json")
    assert done.returncode == 1, done.stderr
    (test,) = json.loads((recommender.folder / "report.json").read_text())["tests"]
    assert test["state"] == "failed"
    assert "no GPU here" in test["reason"]
    assert recommender.nothing_left()
