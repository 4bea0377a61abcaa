"""A run keeps what the machine it ran on is like, and is ranked again by that."""

import pytest
from measured_runs import NOW, SLO, Server, demand, measure

from recommender.placement.here import Placement
from recommender.recommend import recommend
from recommender.request import QuickRequest, Source
from recommender.store import open_store
from recommender.stored_run import read_run

PLACED = Placement(
    silicons={"Zen4": 0.7, "Zen5": 0.28, "Zen3": 0.01},
    unseen=0.01,
    whole_cores=0.97,
    families=("m7a",),
    rates=None,
)


@pytest.fixture(scope="module")
def measured():
    return measure(Server(vcpus=(1.0,), closed_requests=200, measure_s=5.0))


@pytest.fixture
def read(tmp_path, measured):
    def keep(placement, source):
        asked = demand()
        request = QuickRequest(source=source, traffic=asked.traffic, slo=SLO)
        known = {} if placement is None else {"placement": placement.model_dump(mode="json")}
        with open_store(f"sqlite:///{tmp_path}/store.sqlite3", default_folder=tmp_path) as store:
            return read_run(store, measured.keep_in(store, request, **known), SLO)

    return keep


def test_a_run_is_of_what_its_machine_is_likest_to(read):
    found = read(PLACED, Source(kind="sample"))
    assert (found.source.silicon, found.source.threads_per_core) == ("Zen4", 1)
    assert {machine.silicon: share for machine, share in found.likely} == pytest.approx(
        {"Zen4": 0.7 / 0.98, "Zen5": 0.28 / 0.98}
    )


def test_a_run_of_before_machines_were_placed_goes_by_the_name_of_the_cpu(read):
    found = read(None, Source(kind="sample"))
    assert found.source.silicon == "IceLake"
    assert found.likely == ()


@pytest.mark.parametrize(
    ("url", "silicon"), [("http://127.0.0.1:80", "Zen4"), ("http://192.0.2.7:80", None)]
)
def test_a_server_elsewhere_is_not_placed_by_this_machine(read, url, silicon):
    found = read(PLACED, Source(kind="url", where=url))
    assert found.source.silicon == silicon
    assert bool(found.likely) == (silicon is not None)


def test_a_machine_that_may_be_two_leaves_more_open_elsewhere(read, book, prior):
    sure = PLACED.model_copy(update={"silicons": {"Zen4": 1.0}, "unseen": 0.0})
    torn = PLACED.model_copy(update={"silicons": {"Zen4": 0.5, "Skylake": 0.5}, "unseen": 0.0})
    widths = []
    for placement in (sure, torn):
        run = read(placement, Source(kind="sample"))
        asked = demand(instance_types=("c6i.xlarge",), purchases=("on-demand",))
        answer = recommend(run, asked, book, prior, NOW)
        capacity = answer.ranked[0].performance.capacity_rps
        widths.append(capacity.high / capacity.low)
    assert widths[1] > 1.1 * widths[0]
