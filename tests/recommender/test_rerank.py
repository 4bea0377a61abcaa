import pytest
from measured_runs import ENVIRONMENT, NOW, SLO, WORKLOAD, Server, demand, measure

from loadtests.errors import UsageError
from pricing import UnknownInstanceType, UnknownRegion
from recommender.errors import BadRequest, NothingMeasured
from recommender.recommend import recommend
from recommender.recommendation import Recommendation
from recommender.request import QuickRequest, Source, traffic_facts
from recommender.rerank import Changes, rerank
from recommender.store import RunStatus, open_store, this_process
from recommender.stored_run import read_run, stored_steps

FEW = ("c7i.large", "ml.c7i.large", "m6i.large")


@pytest.fixture
def store(tmp_path):
    with open_store(f"sqlite:///{tmp_path}/store.sqlite3", default_folder=tmp_path) as opened:
        yield opened


def request(**changes):
    asked = demand(instance_types=FEW)
    return QuickRequest(
        **{
            "source": Source(kind="sample"),
            "traffic": asked.traffic,
            "slo": SLO,
            "constraints": asked.constraints,
            **changes,
        }
    )


def keep(store, simulated, **changes):
    return simulated.keep_in(store, request(**changes))


@pytest.fixture
def finished(store, simulated, book, prior):
    """A run as `recommender quick` leaves it: measured, recommended, ended."""
    run = keep(store, simulated)
    asked = demand(instance_types=FEW)
    answer = recommend(read_run(store, run, SLO), asked, book, prior, NOW)
    store.add_recommendation(run.id, answer.model_dump(mode="json"))
    return store.finish(run.id, RunStatus.FINISHED)


@pytest.fixture
def again(store, finished, book, prior):
    def ask(**changes):
        return rerank(store, finished, Changes(**changes), (book, prior), NOW)

    return ask


def kept_answer(store, run):
    return Recommendation.model_validate(store.recommendation(run.id).document)


def test_what_is_read_back_is_what_was_measured(store, finished, simulated):
    found = read_run(store, finished, SLO)
    assert found.source == simulated.run.source
    assert found.environment == simulated.run.environment
    assert [each.key for each in found.measurements] == list(simulated.documents)
    for read, measured in zip(found.sizes, simulated.run.sizes, strict=True):
        assert read.vcpus == measured.vcpus
        assert read.memory_peak_bytes == measured.memory_peak_bytes
        assert read.capacity.rate_rps == measured.capacity.rate_rps
        assert read.capacity.basis == measured.capacity.basis


def test_the_same_demand_has_the_same_answer(again, store, finished):
    assert again() == kept_answer(store, finished)


def test_another_traffic_changes_the_fleet_and_the_demand(again, store, finished):
    before, after = kept_answer(store, finished), again(traffic="2000rps")
    assert after.demand.traffic == traffic_facts("2000rps")
    assert after.best.option.replicas > before.best.option.replicas
    assert after.demand.slo == before.demand.slo


def test_another_slo_is_judged_from_the_samples(again, store, finished):
    tight = again(slo="p99<40ms")
    assert tight.demand.slo == "p99<40ms"
    before = kept_answer(store, finished).evidence.sizes[0]
    assert tight.evidence.sizes[0].capacity_rps < before.capacity_rps
    assert tight.evidence.sizes[0].saturation_rps == before.saturation_rps


def test_another_region_has_other_prices(again, store, finished):
    before, after = kept_answer(store, finished), again(constraints={"region": "eu-west-1"})
    assert {each.option.region for each in after.ranked} == {"eu-west-1"}
    assert after.best.cost.usd_per_month != before.best.cost.usd_per_month
    assert after.best.performance.capacity_rps == before.best.performance.capacity_rps


def test_constraints_not_named_stay_as_they_were(again):
    assert again(constraints={"zones": 2}).demand.constraints.instance_types == FEW


def test_nothing_is_measured_or_kept_by_ranking_again(again, store, finished):
    counts = len(store.measurements(finished.id)), store.recommendation(finished.id)
    again(traffic="1rps")
    assert (len(store.measurements(finished.id)), store.recommendation(finished.id)) == counts


def test_the_cost_of_measuring_stays_what_it_was(again, store, finished):
    before = kept_answer(store, finished).cost_of_measuring
    assert again(traffic="1rps").cost_of_measuring == before


def test_an_unknown_region_names_close_ones_and_all(again):
    with pytest.raises(UnknownRegion, match="us-east-1") as raised:
        again(constraints={"region": "us-esat-1"})
    assert "eu-west-1" in raised.value.hint


def test_an_unknown_instance_type_names_close_ones(again):
    with pytest.raises(UnknownInstanceType, match="did you mean"):
        again(constraints={"instance_types": ("ml.c7i.lrage",)})


@pytest.mark.parametrize("changes", [{"slo": ""}, {"traffic": ""}, {"slo": "fast"}])
def test_an_empty_wish_is_not_no_wish(again, changes):
    with pytest.raises(UsageError):
        again(**changes)


def test_an_interrupted_run_is_ranked_by_what_it_has(store, simulated, book, prior):
    """It has no recommendation yet; its demand is its request's."""
    run = keep(store, simulated)
    found = rerank(store, run, Changes(), (book, prior), NOW)
    assert found.ranked
    assert found.demand.workload.response_bytes_mean == WORKLOAD.response_bytes_mean
    assert found.cost_of_measuring.seconds > 0


def test_a_run_that_measured_nothing_says_how_to_go_on(store, book, prior):
    run = store.create_run("quick", None, request().model_dump(mode="json"), {}, this_process())
    with pytest.raises(NothingMeasured) as raised:
        rerank(store, run, Changes(), (book, prior), NOW)
    assert f"--resume {run.id}" in raised.value.hint


def test_an_invalid_try_is_listed_and_is_no_evidence(store, simulated):
    run = keep(store, simulated)
    key, (measurement, samples) = next(iter(simulated.documents.items()))
    store.add_measurement(
        run.id, f"{key}-invalid-1", measurement.model_dump(mode="json"), samples.encode()
    )
    found = read_run(store, run, SLO)
    assert len(found.measurements) == len(simulated.documents) + 1
    steps = stored_steps(store, run.id)
    assert sum(map(len, steps.values())) == len(simulated.documents)
    assert found.sizes[0].capacity.rate_rps == simulated.run.sizes[0].capacity.rate_rps


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://localhost:8080", True),
        ("http://[::1]:8080", True),
        ("http://10.0.0.7:8080", False),
        ("http://model.example.com", False),
    ],
)
def test_a_server_elsewhere_does_not_run_on_the_hardware_here(store, simulated, url, is_here):
    run = keep(store, simulated, source=Source(kind="url", where=url), vcpus=2.0)
    found = read_run(store, run, SLO)
    assert (found.source.silicon == "IceLake") is is_here
    assert found.size_known


def test_a_server_of_unsaid_size_is_taken_for_as_large_as_this_machine(store):
    unsaid = measure(Server(vcpus=(None,), true_vcpus=2.0))
    run = keep(store, unsaid, source=Source(kind="url", where="http://127.0.0.1:1"))
    found = read_run(store, run, SLO)
    assert not found.size_known
    assert found.sizes[0].vcpus == ENVIRONMENT.cores


def test_cpu_per_request_is_taken_where_throughput_was_highest(simulated):
    size = simulated.run.sizes[0]
    assert size.cpu_s_per_request == pytest.approx(0.008, rel=0.01)
    assert size.memory_peak_bytes == 150 * 2**20


def test_payloads_that_changed_since_are_not_the_workload(tmp_path):
    payload = tmp_path / "one.json"
    payload.write_text("[1]")
    asked = request(source=Source(kind="command", where="serve"), payloads=(str(payload),))
    known = asked.model_copy(update={"workload_digest": asked.workload().digest})
    payload.write_text("[2]")
    with pytest.raises(BadRequest, match="not those the run began with"):
        known.workload()


def test_a_server_without_a_payload_to_send_is_refused():
    with pytest.raises(BadRequest) as raised:
        request(source=Source(kind="command", where="serve")).workload()
    assert "--payload" in raised.value.hint
