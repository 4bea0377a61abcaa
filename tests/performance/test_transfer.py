"""The transfer model on a world whose truth is planted, and its scorer on the real one."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from recommender.cli.model import model_command
from recommender.errors import BadRequest, NotMeasured, OutOfRange
from recommender.performance.scorecard import OUR_METHOD, Scorecard
from recommender.performance.transfer import (
    at_home,
    fit_transfer,
    read_catalogue,
    read_rates,
)
from recommender.performance.transfer.baselines import BASELINES
from recommender.performance.transfer.forecasts import distances, forecast_folds, questions_of
from recommender.performance.transfer.intervals import REACH_80, Calibration
from recommender.performance.transfer.prediction import predict_tasks, read_tasks
from recommender.performance.transfer.rates import workload_of
from recommender.performance.transfer.scores import score_tasks

SPEED = {
    # silicon: (architecture, threads per core, log speed of a core, families)
    "CascadeLake": ("x86_64", 2, -0.5, ("m5", "c5")),
    "IceLake": ("x86_64", 2, -0.2, ("m6i", "c6i")),
    "SapphireRapids": ("x86_64", 2, 0.0, ("m7i", "r7i")),
    "Zen3": ("x86_64", 2, -0.1, ("m6a", "c6a")),
    "Zen4": ("x86_64", 1, 0.2, ("m7a", "r7a")),
    "Neoverse-V1": ("aarch64", 1, -0.1, ("m7g", "c7g")),
}
SIZES = (2, 4, 8, 16, 32, 64)
PAGES = (1, 4, 16, 64, 256)
NOISE, TASTE = 0.03, 0.06
GROUND_TRUTH = os.environ.get("RECOMMENDER_GROUNDTRUTH")  # before a test's world is scrubbed
ONE = ("m7i.8",)
THREE = ("m7i.8", "m7a.8", "m7g.8")


def machines():
    return pd.DataFrame(
        {
            "vendor": "aws",
            "instance": f"{family}.{vcpus}",
            "family": family,
            "arch": arch,
            "uarch": silicon,
            "vcpus": vcpus,
            "physical_cores": vcpus / threads,
            "threads_per_core": threads,
            "sngf_n": vcpus * np.exp(speed),
            "bw_rd_largest": vcpus * 1e4,
        }
        for silicon, (arch, threads, speed, families) in SPEED.items()
        for family in families
        for vcpus in SIZES
    )


def truth(table, rng):
    """t = (a + c B)(1 + sigma (n - 1)) / (n speed), and what a silicon does to one workload."""
    for page in PAGES:
        taste = dict(zip(SPEED, rng.normal(0, TASTE, len(SPEED)), strict=True))
        for m in table.itertuples():
            n = m.physical_cores
            seconds = (1e-5 + 1e-5 * page / 64) * (1 + 0.005 * (n - 1)) / n
            log_rate = SPEED[m.uarch][2] - np.log(seconds) + taste[m.uarch]
            yield {
                "vendor": m.vendor,
                "instance": m.instance,
                "vcpus": m.vcpus,
                "workload": f"web:{page}k",
                "kind": "web",
                "price": 0.05 * m.vcpus,
                "value": float(np.exp(log_rate + rng.normal(0, NOISE))),
            }


def tasks_of(rows, references, design):
    for workload, own in rows.groupby("workload"):
        values = own.set_index("instance").value.loc[list(references)]
        yield {
            "task_id": f"{workload}|{design}",
            "vendor": "aws",
            "workload": workload,
            "kind": "web",
            "design": design,
            "refs": ";".join(references),
            "ref_values": ";".join(str(value) for value in values),
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("planted")
    table = machines()
    rows = pd.DataFrame(truth(table, np.random.default_rng(7)))
    table.to_csv(path / "instances.csv.gz", index=False)
    rows.to_csv(path / "truth.csv.gz", index=False)
    tasks = [*tasks_of(rows, ONE, "one"), *tasks_of(rows, THREE, "three")]
    pd.DataFrame(tasks).to_csv(path / "tasks.csv.gz", index=False)
    return path


@pytest.fixture(scope="module")
def world(folder):
    tasks = read_tasks(folder / "tasks.csv.gz")
    catalogue = read_catalogue(folder)
    return *at_home(read_rates(folder, catalogue, tasks), catalogue, "aws"), tasks


@pytest.fixture(scope="module")
def forecasts(world):
    rates, catalogue, tasks = world
    return forecast_folds(rates, catalogue, questions_of(tasks, rates), lambda *_: None)


@pytest.fixture(scope="module")
def fit(world):
    rates, catalogue, _ = world
    return fit_transfer(rates.without(["web:16k"]), catalogue)


def joint_of(fit, rates):
    return fit.joints((rates.workloads["web:16k"],))["web:16k"]


def seen_on(world, names):
    rates, catalogue, _ = world
    at = catalogue.positions().droplevel("vendor").loc[list(names)].to_numpy()
    rows = rates.table[rates.table.workload.eq("web:16k")].set_index("machine").log_rate
    return at, rows.loc[at].to_numpy(), rows


def test_a_workload_never_seen_is_predicted_within_what_silicon_does_to_it(world, fit):
    at, values, rows = seen_on(world, ONE)
    told = joint_of(fit, world[0]).given(at, values, 1e-3)
    error = np.abs(rows.to_numpy() - told.mean[rows.index])
    assert np.median(error) < 2 * TASTE


def test_three_silicon_tell_more_than_one(world, fit):
    joint = joint_of(fit, world[0])
    errors, spread = [], []
    for names in (ONE, THREE):
        at, values, rows = seen_on(world, names)
        told = joint.given(at, values, 1e-3)
        errors.append(np.median(np.abs(rows.to_numpy() - told.mean[rows.index])))
        spread.append(told.sd)
    assert errors[1] < errors[0]
    assert np.all(spread[1] <= spread[0] + 1e-9)


def test_a_machine_that_was_measured_is_predicted_as_measured(world, fit):
    at, values, _ = seen_on(world, THREE)
    told = joint_of(fit, world[0]).given(at, values, 1e-4)
    assert told.mean[at] == pytest.approx(values, abs=1e-3)
    assert np.all(told.sd[at] < 1e-3)


def test_silicon_never_seen_is_less_certain(world, fit):
    rates, catalogue, _ = world
    hidden = np.flatnonzero(catalogue.facts.silicon.eq("Zen3"))
    blind = fit_transfer(rates.without(["web:16k"], hidden), catalogue, fit.components)
    at, values, _ = seen_on(world, ONE)
    known, unknown = (
        joint_of(each, rates).given(at, values, 1e-3).sd[hidden] for each in (fit, blind)
    )
    assert np.all(unknown > known)
    assert set(distances(rates.without([], hidden), catalogue)[hidden]) == {2}


def test_a_family_never_seen_is_nearer_than_silicon_never_seen(world):
    rates, catalogue, _ = world
    hidden = np.flatnonzero(catalogue.facts.family.eq("aws/c6a"))
    assert set(distances(rates.without([], hidden), catalogue)[hidden]) == {1}


def test_intervals_hold_what_they_say(forecasts, world):
    found = forecasts.with_intervals()
    rates = world[0]
    inside = []
    values = rates.table.assign(fold=rates.table.workload)
    positions = forecasts.catalogue.positions()
    for row in found.itertuples():
        page, _, design = row.task_id.partition("|")
        if row.instance in (ONE if design == "one" else THREE):
            continue
        machine = positions[(row.vendor, row.instance)]
        value = values[values.fold.eq(page) & values.machine.eq(machine)].log_rate.iloc[0]
        inside.append(row.lo <= np.exp(value) <= row.hi)
    assert 0.7 <= np.mean(inside) <= 0.92


def test_a_fold_sets_no_interval_of_its_own():
    rng = np.random.default_rng(3)
    rows = [
        pd.DataFrame(
            {
                "design": "a",
                "kind": "web",
                "fold": fold,
                "silicon": "IceLake",
                "band": 0,
                "distance": 0,
                "score": np.abs(rng.normal(0, scale, 4000)),
            }
        )
        for fold, scale in (("calm", 1.0), ("wild", 3.0))
    ]
    calibration = Calibration(pd.concat(rows))
    wider = 1.13  # one workload seen: the next one's scale may be another
    for fold, others in (("wild", 1.0), ("calm", 3.0)):
        stretch = calibration.stretch("a", "web", fold)[0, 0]
        assert stretch == pytest.approx(wider * others, rel=0.05)
    assert pytest.approx(1.2816, abs=1e-4) == REACH_80


def test_every_machine_of_the_vendor_gets_a_prediction(folder, world):
    tasks = world[2].head(1)
    found = predict_tasks(folder, tasks, lambda *_: None)
    assert set(found.instance) == set(machines().instance)
    assert np.all((found.lo < found.pred) & (found.pred < found.hi))


def test_a_workload_of_no_known_kind_is_refused():
    with pytest.raises(OutOfRange, match="of no known kind"):
        workload_of("sql:tpcc", {})
    with pytest.raises(OutOfRange, match="nobody says"):
        workload_of("llm:strange:tg16", {})


def test_a_table_that_is_missing_or_lacks_a_column_is_named(folder, tmp_path):
    with pytest.raises(NotMeasured, match="is not there"):
        read_catalogue(tmp_path)
    machines().drop(columns="uarch").to_csv(tmp_path / "instances.csv.gz", index=False)
    with pytest.raises(NotMeasured, match="no column uarch"):
        read_catalogue(tmp_path)
    tasks = read_tasks(folder / "tasks.csv.gz").assign(kind="sql")
    tasks.to_csv(tmp_path / "tasks.csv", index=False)
    with pytest.raises(OutOfRange, match="kind sql"):
        read_tasks(tmp_path / "tasks.csv")


def test_a_report_into_no_folder_is_refused_before_the_work(folder, tmp_path):
    wrong = str(tmp_path / "nowhere" / "report.md")
    given = ["validate", "--data", str(folder), "--leave-out", "workload", "--report", wrong]
    done = CliRunner().invoke(model_command, given)
    assert done.exit_code == 2
    assert "there is no folder" in done.output


def test_the_fewest_workloads_and_silicon_that_nobody_names_still_get_predictions(tmp_path):
    """Machines kept aside show catalogue facts alone, and not always all of them."""
    table, rng = machines(), np.random.default_rng(3)
    rows = pd.DataFrame(truth(table, rng))
    rows = rows[rows.workload.isin(["web:1k", "web:16k", "web:256k"])]
    aside = table.family.isin(["m7g", "c7g", "r7a"])
    table.loc[aside, ["sngf_n", "bw_rd_largest"]] = np.nan
    table.loc[table.family.eq("r7a"), "uarch"] = None
    rows = rows[~rows.instance.isin(table[aside].instance)]
    table.to_csv(tmp_path / "instances.csv.gz", index=False)
    rows.to_csv(tmp_path / "truth.csv.gz", index=False)
    asked = pd.DataFrame(tasks_of(rows, ONE, "one"))
    asked.to_csv(tmp_path / "tasks.csv.gz", index=False)
    rows[rows.workload.ne("web:1k")].to_csv(tmp_path / "truth.csv.gz", index=False)
    found = predict_tasks(tmp_path, read_tasks(tmp_path / "tasks.csv.gz"), lambda *_: None)
    assert set(found.instance) == set(table.instance)
    assert np.isfinite(found[["pred", "lo", "hi"]]).all(axis=None)
    assert ((found.lo < found.pred) & (found.pred < found.hi)).all()


def test_asking_for_nothing_is_refused(folder):
    done = CliRunner().invoke(model_command, ["validate", "--data", str(folder)])
    assert isinstance(done.exception, BadRequest)


def test_the_command_writes_predictions_tables_and_calibration(folder, tmp_path):
    files = [tmp_path / name for name in ("out.csv", "report.md", "card.json", "calibration.json")]
    options = ("--out", "--report", "--scorecard", "--calibration")
    given = [str(each) for pair in zip(options, files, strict=True) for each in pair]
    asked = ["validate", "--data", str(folder), "--leave-out", "workload", "--baselines"]
    done = CliRunner().invoke(model_command, [*asked, "--quiet", *given])
    assert done.exit_code == 0, done.output
    tasks = read_tasks(folder / "tasks.csv.gz")
    assert len(pd.read_csv(files[0])) == len(tasks) * len(machines())
    report = files[1].read_text()
    assert "| web | ours |" in report
    assert "| workload | web |" in report.partition("## Our intervals, by vCPUs")[2]
    card = Scorecard.model_validate_json(files[2].read_text())
    assert {score.method for score in card.scores} == {OUR_METHOD, *BASELINES}
    for curve in json.loads(files[3].read_text()):
        assert curve["observed"] == sorted(curve["observed"])
        assert sum(curve["deciles"]) == pytest.approx(1.0, abs=0.01)


@pytest.mark.skipif(GROUND_TRUTH is None, reason="RECOMMENDER_GROUNDTRUTH names no folder")
def test_scores_are_those_of_the_ground_truth_scorer():
    data = Path(GROUND_TRUTH)
    spec = importlib.util.spec_from_file_location("scorer", data / "eval.py")
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    tasks = pd.read_csv(data / "tasks.csv.gz")
    tasks = tasks[tasks.workload.eq("web:64k")].head(2)
    table = pd.read_csv(data / "truth.csv.gz", low_memory=False)
    table = table[table.workload.eq("web:64k")]
    rng = np.random.default_rng(5)
    rows = [
        scorer.targets(task, table).assign(task_id=task.task_id) for task in tasks.itertuples()
    ]
    said = pd.concat(rows)[["task_id", "vendor", "instance", "value"]]
    said["pred"] = said.value * np.exp(rng.normal(0.1, 0.3, len(said)))
    said = said.drop(columns="value").assign(lo=said.pred / 1.5, hi=said.pred * 1.5)
    theirs = scorer.evaluate(said, tasks, table).query("group == 'ALL'").set_index("task_id")
    ours = score_tasks(said, tasks, table).set_index("task_id")
    names = {
        "error": "mdape", "p90_error": "p90", "bias": "bias", "spearman": "spearman",
        "regret": "regret_sub", "coverage_80": "cover80", "width_80": "width80",
        "error up to 16": "mdape_le16", "error over 64": "mdape_gt64",
    }  # fmt: skip
    for mine, other in names.items():
        assert ours[mine].to_numpy() == pytest.approx(theirs[other].to_numpy())
