"""How long a load test takes to open, by how many samples it holds; run it on a quiet machine:

python tests/dashboard/loadtest_opening.py [--samples 1000 5000000]

CPU-seconds of this process. "as measured": whoever measured kept the outline, and made the report
at the end. "anew": nothing is kept yet, as in a store of an older version.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from conftest import ENVIRONMENT
from simulated_loadtest import PLAN, Bench, keep_loadtest, records, watched

from dashboard.app import page_at
from dashboard.data import StoreRepository
from loadtests.measurement import Load, summarise_open
from loadtests.probe import Measured
from pricing import load_book
from recommender.aggregates import keep_outline
from recommender.loadtest.building import build_report
from recommender.loadtest.kept import step_key
from recommender.loadtest.plan import Plan
from recommender.store import RunStatus, open_store

SPAN_S = 600
VISITS = 9


def main(counts):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "store.sqlite3")
        with open_store(file, default_folder=file.parent) as store:
            for count in counts:
                timed(store, count)


def timed(store, count):
    for how in ("anew", "as measured"):
        run_id, kept_s = kept(store, count, keeps_outline=how == "as measured")
        repository = StoreRepository(store)
        first_s, *more_s = (opened(repository, run_id) for _ in range(VISITS))
        say(
            f"{count:>12,} samples, {how:>11}: kept in {kept_s:6.2f} s, first opened in "
            f"{first_s * 1e3:7.0f} ms, then in {statistics.median(more_s) * 1e3:4.0f} ms"
        )


def kept(store, count, *, keeps_outline):
    given = PLAN | {
        "configurations": [{"vcpus": 1}],
        "scenarios": [{"mode": "fixed", "traffic": f"{count / SPAN_S}rps", "duration": SPAN_S}],
    }
    run = keep_loadtest(store, ENVIRONMENT, given, leave=(scenario_of(given),))
    rng = np.random.default_rng(1)
    due_s = np.sort(rng.uniform(0, SPAN_S, count))
    samples = records(due_s, due_s + rng.gamma(4.0, 0.001, count))
    load = Load(loop="open", rate_rps=count / SPAN_S, process="poisson", duration_s=SPAN_S, seed=1)
    bench = Bench(store, run.id, Plan.model_validate(given))
    facts = replace(bench._facts(samples, load, 0.004, 0.2), due=count)
    measured = Measured(
        summarise_open(samples, facts, bench.objectives), samples, watched(SPAN_S, 0.5)
    )
    began_s = time.process_time()
    stored = store.add_measurement(
        run.id,
        step_key("1 vCPU", scenario_of(given), "traffic-1"),
        measured.measurement.model_dump(mode="json"),
        samples.encode(),
        measured.resources.encode(),
    )
    if keeps_outline:
        keep_outline(store, stored, measured)
    run = store.finish(run.id, RunStatus.FINISHED)
    if keeps_outline:
        build_report(store, run, load_book())
    return run.id, time.process_time() - began_s


def scenario_of(given):
    return Plan.model_validate(given).scenarios[0].name


def opened(repository, run_id):
    began_s = time.process_time()
    page_at(repository, f"runs/{run_id}")
    return time.process_time() - began_s


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[1_000, 5_000_000])
    main(parser.parse_args().samples)
