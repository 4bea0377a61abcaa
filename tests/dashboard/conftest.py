"""A small recommendation, stores with runs in them, a browser, and the program served to it."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashboard.data import LoadTest, StoreRepository, WithDemo
from loadtests.environment import Environment
from loadtests.slo import Verdict
from recommender.demand import Demand, TrafficFacts, WorkloadFacts
from recommender.recommendation import (
    Basis,
    Candidate,
    Cost,
    CostItem,
    CostOfMeasuring,
    Evidence,
    LatencySeconds,
    MeasurementSummary,
    ModelFacts,
    ObjectiveVerdict,
    Option,
    Performance,
    PriceBookFacts,
    PriceFacts,
    Range,
    Recommendation,
    Rejected,
    RejectReason,
    Serverless,
    SizeFacts,
)
from recommender.store import Run, RunStatus, Store, open_store, this_process

sys.path.insert(0, str(Path(__file__).parent))
from chromium import Chromium, fresh_browser, need_browser
from served import served
from simulated_loadtest import keep_loadtest


@pytest.fixture
def browser_here() -> None:
    need_browser()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    need_browser()
    with fresh_browser() as browser:
        yield browser


@pytest.fixture
def another_browser():
    need_browser()
    return fresh_browser


@pytest.fixture
def address(own_home) -> Iterator[str]:
    """Of the dashboard as a user starts it, over the store in their home."""
    with served(own_home) as found:
        yield found


ENVIRONMENT = Environment(
    host="bench",
    kernel="6.1",
    architecture="x86_64",
    cpu_vendor="AuthenticAMD",
    cpu_name="AMD EPYC",
    cpu_family=25,
    cpu_model_number=17,
    cpu_flags=("avx2",),
    cores=2,
    threads_per_core=1,
    memory_gib=8.0,
    python="3.11.7",
    locust="2.47.0",
    tool="0.1.0",
)
DEMAND = Demand(
    workload=WorkloadFacts(
        digest="d1", content_type="application/json", payloads=1,
        request_bytes_mean=100.0, request_bytes_largest=100,
    ),
    traffic=TrafficFacts(text="50rps", peak_rps=50.0, mean_rps=50.0),
    slo="p95<100ms, error_rate<1%",
)  # fmt: skip


def candidate(rank, option, usd_per_month, latency_s, **other):
    """latency_s: median, low and high."""
    median, low, high = latency_s
    return Candidate(
        rank=rank,
        option=option,
        cost=Cost(
            usd_per_hour="0.1",
            usd_per_month=usd_per_month,
            usd_per_million="0.555",
            items=(
                CostItem(
                    name="machine", quantity="1460", unit="instance-hour",
                    usd_per_unit="0.05", usd=usd_per_month,
                ),
            ),
            price=PriceFacts(
                basis=other.get("price_basis", "reported"), confidence="high",
                observed_on="2026-08-18", source="price list",
            ),
        ),
        performance=Performance(
            capacity_rps=Range(median=303.5, low=113.4, high=other.get("capacity_high", 738.7)),
            latency_s=LatencySeconds(p50=0.005, p90=0.01, p95=median, p99=None),
            interval=Range(median=median, low=low, high=high),
            interval_quantile=0.95,
            utilization_ratio=0.3,
            basis=other.get("basis", Basis.TRANSFERRED),
            price_basis=other.get("price_basis", "reported"),
        ),
        verdicts=(
            ObjectiveVerdict(
                objective="p95<100ms", verdict=Verdict.MET, probability=0.93, margin_ratio=0.86
            ),
            ObjectiveVerdict(
                objective="error_rate<1%", verdict=Verdict.MET, probability=None, margin_ratio=None
            ),
        ),
        probability_best=other.get("best", 0.0),
        frontier=other.get("frontier", False),
        notes=other.get("notes", ()),
    )  # fmt: skip


@pytest.fixture
def recommendation() -> Recommendation:
    """Three ranked, the second of them dominated and without an upper bound; three rejected."""
    spot = Option(
        platform="ec2", instance_type="c7g.large", purchase="spot", region="us-east-1", replicas=2
    )
    sagemaker = Option(
        platform="sagemaker", instance_type="ml.c7g.large", purchase="on-demand",
        region="us-east-1", replicas=1,
    )  # fmt: skip
    serverless = Option(
        platform="serverless", purchase="on-demand", region="us-east-1",
        serverless=Serverless(memory_mib=2048, max_concurrency=5),
    )  # fmt: skip
    gpu = sagemaker.model_copy(update={"instance_type": "ml.g5.xlarge", "replicas": None})
    return Recommendation(
        run="q20261121-060422-xw11",
        created_at="2026-11-21T06:05:22+00:00",
        demand=DEMAND,
        ranked=(
            candidate(
                1, spot, "73", (0.0136, 0.0046, 0.0731),
                best=0.6, frontier=True, price_basis="derived", notes=("spot: <5% reclaimed",),
            ),
            candidate(2, sagemaker, "81.76", (0.02, 0.01, None), best=0.004, capacity_high=None),
            candidate(
                3, serverless, "1095.5", (0.0095, 0.006, 1.2),
                best=0.396, frontier=True, basis=Basis.PRIOR,
            ),
        ),
        rejected=(
            Rejected(option=gpu, reason=RejectReason.NEEDS_MEASUREMENT, detail="not on a CPU",
                     remedy="recommender quick --url http://HOST:8080"),
            Rejected(option=gpu.model_copy(update={"instance_type": "ml.g6.xlarge"}),
                     reason=RejectReason.NEEDS_MEASUREMENT, detail="not on a CPU",
                     remedy="recommender quick --url http://HOST:8080"),
            Rejected(option=spot, reason=RejectReason.NO_PRICE, detail="never <b>seen</b>"),
        ),
        evidence=Evidence(
            measurements=(
                measured("1 vCPU/closed-1", "closed loop, 1 at a time", None),
                measured("1 vCPU/open-170", "open loop, 170 req/s", 0.124),
                measured("1 vCPU/open-180-invalid-1", "open loop, 180 req/s", None).model_copy(
                    update={"validity": "invalid", "faults": ("late: stop other work",)}
                ),
            ),
            sizes=(
                SizeFacts(
                    vcpus=1.0, capacity_rps=216.6, capacity_low_rps=207.7,
                    capacity_high_rps=225.6, basis="model", saturation_rps=236.4, servers=1,
                    service_mean_s=0.00423, cpu_s_per_request=None, memory_peak_bytes=None,
                    setup_s=None,
                ),
            ),
            price_book=PriceBookFacts(name="2026-11-21", published_on="2026-11-21", age_days=3),
            model=ModelFacts(
                name="USL", source_silicon=None, holdout_error=None, holdout_coverage=0.79,
                draws=400,
            ),
            environment=ENVIRONMENT,
        ),
        assumptions=("The network is not in it.",),
        cost_of_measuring=CostOfMeasuring(seconds=60.3, requests=4925, usd="0"),
    )  # fmt: skip


def measured(key, load, latency_p95_s):
    return MeasurementSummary(
        key=key, target="python3", vcpus=1.0, limits=None, load=load, throughput_rps=165.6,
        latency_p95_s=latency_p95_s, cpu_s_per_request=0.0042, requests=1689, validity="valid",
    )  # fmt: skip


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    with open_store(tmp_path / "store.sqlite3", default_folder=tmp_path) as opened:
        yield opened


def kept(store: Store, recommendation: Recommendation | None, label: str) -> Run:
    run = store.create_run("quick", label, {}, {}, this_process())
    if recommendation is None:
        return store.finish(run.id, RunStatus.FAILED, error="<b>it</b> did not start")
    document = recommendation.model_copy(update={"run": run.id}).model_dump(mode="json")
    store.add_recommendation(run.id, document)
    return store.finish(run.id, RunStatus.FINISHED)


@pytest.fixture
def keep(store, recommendation) -> Callable[..., Run]:
    """Keeps a run in the store: with the recommendation, or a failed one without any."""

    def add(*, label: str = "the sample container", failed: bool = False) -> Run:
        return kept(store, None if failed else recommendation, label)

    return add


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[WithDemo]:
    """What an empty store shows: the recorded run alone."""
    folder = tmp_path_factory.mktemp("empty")
    with open_store(folder / "store.sqlite3", default_folder=folder) as opened:
        repository = WithDemo(StoreRepository(opened))
        yield repository
        repository.close()


@pytest.fixture(scope="session")
def environment() -> Environment:
    return ENVIRONMENT


@pytest.fixture(scope="session")
def loadtest_file(tmp_path_factory) -> Path:
    """A store with a load test of every mode, finished."""
    file = tmp_path_factory.mktemp("loadtest") / "store.sqlite3"
    with open_store(file, default_folder=file.parent) as opened:
        run = keep_loadtest(opened, ENVIRONMENT)
        opened.finish(run.id, RunStatus.FINISHED)
    return file


@pytest.fixture
def loadtests(loadtest_file) -> Iterator[Store]:
    with open_store(loadtest_file, default_folder=loadtest_file.parent) as opened:
        yield opened


@pytest.fixture(scope="session")
def tested(loadtest_file) -> LoadTest:
    """What the dashboard is told of it."""
    with open_store(loadtest_file, default_folder=loadtest_file.parent) as opened:
        repository = StoreRepository(opened)
        return repository.loadtest(repository.run("latest"))
