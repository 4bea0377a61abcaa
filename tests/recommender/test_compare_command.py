"""`recommender compare` on stored runs: what it prints, writes and exits with."""

import json

import pytest
from click.testing import CliRunner
from measured_runs import ENVIRONMENT, SLO, Server, demand, measure

from recommender.cli.compare import compare_command
from recommender.comparison import RunComparison, Verdict
from recommender.errors import UnknownRun
from recommender.request import QuickRequest, Source
from recommender.store import RunStatus, open_store, this_process

FEW = ("c7i.large", "ml.c7i.large")
QUICK = {"vcpus": (1.0,), "closed_requests": 300, "measure_s": 4.0}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A store's address, and a run of a fast and of a slow server in it."""
    folder = tmp_path_factory.mktemp("compared")
    url = f"sqlite:///{folder}/store.sqlite3"
    asked = demand(instance_types=FEW)
    request = QuickRequest(
        source=Source(kind="sample"), traffic=asked.traffic, slo=SLO, constraints=asked.constraints
    )
    runs = {}
    with open_store(url, default_folder=folder) as store:
        for name, mean_s in (("fast", 0.008), ("slow", 0.012)):
            run = store.create_run(
                "quick", name, request.model_dump(mode="json"),
                ENVIRONMENT.model_dump(mode="json"), this_process(),
            )  # fmt: skip
            found = measure(Server(mean_s=mean_s, **QUICK)).documents
            for key, (measurement, samples) in found.items():
                document = measurement.model_dump(mode="json")
                store.add_measurement(run.id, key, document, samples.encode())
            runs[name] = store.finish(run.id, RunStatus.FINISHED).id
    return url, runs


@pytest.fixture
def run(kept, monkeypatch, tmp_path):
    url, runs = kept
    monkeypatch.setenv("RECOMMENDER_HOME", str(tmp_path))

    def call(before, after, *options):
        names = [runs.get(each, each) for each in (before, after)]
        return CliRunner().invoke(compare_command, [*names, "--store", url, *options])

    return call


def test_what_is_worse_exits_with_three_and_says_so_first(run):
    found = run("fast", "slow", "--no-color")
    assert found.exit_code == 3
    assert found.output.startswith("Worse after than before: capacity at the SLO -")
    for part in ("In money", "Compared; what matters is 5 % or more", "mode compare"):
        assert part in found.output


def test_what_is_better_exits_with_none(run):
    assert run("slow", "fast").exit_code == 0


def test_what_cannot_be_told_exits_with_four(run):
    found = run("fast", "fast", "--threshold", "0.1%")
    assert (found.exit_code, found.output[:22]) == (4, "Both are the same run.")


def test_json_alone_on_stdout_reads_back(run):
    found = run("fast", "slow", "--json", "-", "--threshold", "10%")
    read = RunComparison.model_validate(json.loads(found.stdout))
    assert (read.verdict, read.threshold_ratio) == (Verdict.WORSE, 0.1)
    assert read.money


def test_markdown_is_written_beside_the_table(run, tmp_path):
    found = run("fast", "slow", "--markdown", str(tmp_path / "found.md"))
    assert (tmp_path / "found.md").read_text().startswith("# Comparison")
    assert "saturated throughput" in found.output


@pytest.mark.parametrize("threshold", ["much", "0", "200%"])
def test_a_threshold_that_is_none_is_refused(run, threshold):
    found = run("fast", "slow", "--threshold", threshold)
    assert found.exit_code == 2
    assert repr(threshold) in found.output


def test_an_unknown_run_is_refused(run):
    assert isinstance(run("fast", "q-nope").exception, UnknownRun)
