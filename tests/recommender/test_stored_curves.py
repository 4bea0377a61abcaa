"""Stored runs as what the speed prior learns from."""

import pytest
from measured_runs import SLO, Server, demand, measure

from recommender.request import QuickRequest, Source
from recommender.store import RunStatus, open_store
from recommender.stored_curves import stored_curves

SIZES = (1.0, 2.0)


@pytest.fixture(scope="module")
def measured():
    return measure(Server(vcpus=SIZES, closed_requests=200, measure_s=5.0))


@pytest.fixture
def store(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/store.sqlite3", default_folder=tmp_path) as opened:
        yield opened


def keep(store, measured, where, status=RunStatus.FINISHED):
    asked = demand()
    source = Source(kind="command", where=where)
    request = QuickRequest(source=source, traffic=asked.traffic, slo=SLO, workload_digest="d")
    store.finish(measured.keep_in(store, request).id, status)


def test_the_sizes_of_a_run_make_a_curve(store, measured):
    keep(store, measured, "serve")
    (curve,) = stored_curves(store)
    assert curve.workload == "serve"
    assert curve.vcpus == SIZES
    assert curve.throughput_rps[1] > curve.throughput_rps[0]
    assert curve.tells


def test_a_workload_measured_again_counts_once(store, measured):
    keep(store, measured, "serve")
    keep(store, measured, "serve")
    keep(store, measured, "serve another")
    assert sorted(curve.workload for curve in stored_curves(store)) == ["serve", "serve another"]


def test_a_run_that_failed_teaches_nothing(store, measured):
    keep(store, measured, "serve", RunStatus.FAILED)
    assert stored_curves(store) == ()
