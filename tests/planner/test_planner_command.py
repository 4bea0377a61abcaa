"""`recommender planner replay`, on a folder of planted truth and on the real one."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from recommender.cli.planner import planner_command
from recommender.errors import BadRequest, NotMeasured

SPEED = {"m5": ("Skylake", 0.7), "m6i": ("IceLake", 0.9), "m7i": ("SapphireRapids", 1.0)}
SPEED |= {"m6a": ("Zen3", 1.1), "m7a": ("Zen4", 1.6), "m7g": ("Neoverse-V1", 1.2)}
SPEED |= {"c6i": SPEED["m6i"]}  # of one kind with m6i, but for its luck
SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32}
PAGES = {"web:1k": 1.0, "web:64k": 0.4, "web:512k": 0.1}
GROUNDTRUTH = os.environ.get("RECOMMENDER_GROUNDTRUTH")  # before a test's world is scrubbed
QUICK = ("--shortlists", "2", "--measurements", "3", "--quiet")


def rows():
    rng = np.random.default_rng(8)
    for family, (silicon, speed) in SPEED.items():
        for size, vcpus in SIZES.items():
            is_arm = silicon.startswith("Neoverse")
            yield {
                "vendor": "aws",
                "instance": f"{family}.{size}",
                "family": family,
                "arch": "arm64" if is_arm else "x86_64",
                "uarch": silicon,
                "vcpus": vcpus,
                "physical_cores": vcpus if is_arm or family == "m7a" else vcpus / 2,
                "mem_gib": 4 * vcpus,
                "gpu_count": 0,
                "price_usd_h_us_east_1": 0.05 * vcpus * np.exp(rng.normal(0, 0.2)),
                "throughput": 1e4 * speed * vcpus**0.9,
            }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    planted, rng = pd.DataFrame(rows()), np.random.default_rng(9)
    truth = pd.concat(
        [
            planted[["vendor", "instance"]].assign(
                workload=page,
                kind="web",
                scored=1,
                value=planted.throughput * level * np.exp(rng.normal(0, 0.05, len(planted))),
            )
            for page, level in PAGES.items()
        ]
    )
    made = tmp_path_factory.mktemp("truth")
    planted.drop(columns="throughput").to_csv(made / "instances.csv.gz", index=False)
    truth.to_csv(made / "truth.csv.gz", index=False)
    return made


def run(*arguments):
    return CliRunner().invoke(planner_command, ["replay", *map(str, arguments)])


def test_it_prints_regret_and_writes_it_as_rows_and_as_json(folder, tmp_path):
    written = tmp_path / "replay.json"
    found = run("--data", folder, "--out", written, "--workloads", "web:64k", *QUICK)
    assert found.exit_code == 0, found.output
    for policy in ("planner", "random", "by price", "plain GP"):
        assert f"\n{policy} " in found.output
    report = json.loads(written.read_text())
    assert report["workloads"] == ["web:64k"]
    assert report["settings"]["shortlists"] == 2
    assert [p["measurements"] for p in report["points"] if p["policy"] == "planner"][:4] == [
        *(0, 1, 2, 3)
    ]
    believed = [
        p["regret_ratio_mean"]
        for p in report["points"]
        if p["kind"] == "web" and p["policy"] == "planner"
    ]
    assert believed[-1] <= believed[0] < 0.3


def test_it_prints_json_alone_and_writes_rows(folder, tmp_path):
    written = tmp_path / "replay.csv"
    asked = ("--data", folder, "--out", written, "--workloads", "web:1k", "--demand", "5")
    found = run(*asked, "--json", *QUICK)
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["settings"]["demand_ratio"] == 5
    with written.open() as file:
        assert {row["policy"] for row in csv.DictReader(file)} >= {"planner", "plain GP"}


def test_nothing_is_replayed_where_the_answer_could_not_be_written(folder, tmp_path):
    assert "neither .json nor .csv" in run("--data", folder, "--out", "replay.png").output
    nowhere = tmp_path / "nowhere" / "replay.json"
    assert "there is no folder" in run("--data", folder, "--out", nowhere).output


def test_a_workload_or_reference_that_is_not_there_is_refused_with_what_is(folder, tmp_path):
    unknown = run("--data", folder, "--workloads", "redis*", "--quiet").exception
    assert isinstance(unknown, BadRequest)
    assert "web:64k" in unknown.hint
    asked = ("--data", folder, "--workloads", "web:1k", "--reference", "m9.large", "--quiet")
    missing = run(*asked).exception
    assert isinstance(missing, NotMeasured)
    assert "m9.large is not among the 35 machines" in str(missing)
    assert isinstance(run("--data", tmp_path, "--quiet").exception, NotMeasured)


@pytest.mark.skipif(
    GROUNDTRUTH is None, reason="RECOMMENDER_GROUNDTRUTH names no folder of the ground truth"
)
def test_on_the_ground_truth_the_planner_regrets_least(tmp_path):
    written = tmp_path / "replay.json"
    asked = ("--data", Path(GROUNDTRUTH), "--out", written, "--workloads", "web:64k", "--quiet")
    found = run(*asked, "--shortlists", "100", "--measurements", "3")
    assert found.exit_code == 0, found.output
    last = {
        point["policy"]: point["regret_ratio_mean"]
        for point in json.loads(written.read_text())["points"]
        if point["kind"] == "all" and point["measurements"] == 3
    }
    assert last["planner"] == min(last.values())
    assert last["planner"] < 0.05
