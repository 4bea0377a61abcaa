"""A load test's report made by hand: an answer of each mode, a test in each state."""

from decimal import Decimal

from measured_runs import ENVIRONMENT

from loadtests.measurement import Interval, Load, Measurement, Quantile, TargetRecord
from loadtests.modes.compare import CompareVerdict, Comparison, Difference
from loadtests.modes.drift import Soak, Trend, TrendVerdict
from loadtests.modes.offline import OfflineResult, Rung
from loadtests.modes.profile import Knee, LoadCurve, Saturation
from loadtests.slo import Verdict
from loadtests.tuning import Dropped, Effect, Gain, Interaction, Standing, TuningResult
from loadtests.validity import Fault, Status, Validity
from recommender.loadtest.plan import Plan
from recommender.loadtest.prices import HourlyPrice
from recommender.loadtest.report import (
    CapacityAnswer,
    ComparisonAnswer,
    FixedAnswer,
    KeptRun,
    LoadTestReport,
    ObjectiveVerdict,
    OfflineAnswer,
    ProfileAnswer,
    SoakAnswer,
    TestReport,
    TierAnswer,
    TuningAnswer,
)
from recommender.loadtest.words import findings
from recommender.recommendation import CostOfMeasuring

MIB = 2**20
NOT_KNOWN = Interval(value=None)
NOISY = Fault(
    check="neighbours",
    status=Status.INVALID,
    found="other programs used 51% of the target's cores",
    advice="stop them, or measure on a quiet machine",
)
FEW = Fault(
    check="enough",
    status=Status.INCONCLUSIVE,
    found="110 requests are too few for p95",
    advice="measure for longer: 200 requests or more",
)


def about(value, low=None, high=None):
    return Interval(value=value, low=low, high=high)


OPEN = Load(loop="open", rate_rps=150.0, process="poisson", duration_s=20.0, seed=1)
CLOSED = Load(loop="closed", concurrency=4, duration_s=3.0, seed=1)
WAVE = OPEN.model_copy(update={"traffic": "a wave of 20s (mean 150rps, peak 250rps)"})
STAIRS = CLOSED.model_copy(
    update={"concurrency": None, "traffic": "closed loop, stairs of 1 more every 1s up to 3 users"}
)


def measurement(load=OPEN, *, faults=(), p95_s=0.01234, **other):
    quantiles = tuple(
        Quantile(quantile=quantile, seconds=about(seconds))
        for quantile, seconds in ((0.5, 0.00449), (0.9, 0.0101), (0.95, p95_s), (0.99, 1.5))
    )
    figures = {
        "target": TargetRecord(
            kind="process", label="serve", started_from="serve --port {port}", vcpus=1.0,
            memory_gib=None, limits="1 vCPU", shares_cores=False, setup_s=1.0,
        ),
        "workload": "0123456789abcdef",
        "load": load,
        "started_at": "2026-11-21T06:00:00+00:00",
        "elapsed_s": load.duration_s,
        "warmup_s": 1.0,
        "due": 3000,
        "succeeded": 2990,
        "failed": 8,
        "dropped": 0,
        "unfinished": 2,
        "statuses": {200: 2990, 500: 8},
        "offered_rps": load.rate_rps,
        "achieved_rps": 149.96,
        "throughput_rps": 149.5,
        "latency": quantiles if load.loop == "open" else (),
        "service": quantiles,
        "service_mean_s": 0.0042,
        "service_cv": 0.1,
        "lateness_p99_s": 0.0002,
        "error_ratio": about(0.00333, 0.0018, 0.0061),
        "in_flight": 0.7,
        "response_bytes_mean": 60.0,
        "cpu_s_per_request": 0.004,
        "cpu_busy_vcpus": 0.6,
        "memory_peak_bytes": 150 * MIB,
        "throttled_ratio": None,
        "generator_cpu_ratio": 0.1,
        "neighbour_cpu_ratio": 0.01,
        "over_saturated": False,
        "stop_reason": None,
        "validity": Validity.of(list(faults)),
    }  # fmt: skip
    return Measurement(**(figures | other))


CAPACITY = CapacityAnswer(
    tiers=(
        TierAnswer(
            tier="gold",
            slo="p95<20ms",
            capacity_rps=about(173.4, 165.2, 181.0),
            saturation_rps=247.3,
            headroom_ratio=0.3,
            basis="confirmed",
            first_breach="p95<20ms",
            cliff=None,
            usd_per_million=Decimal("0.1842"),
        ),
        TierAnswer(
            tier="silver",
            slo="p95<1s",
            capacity_rps=about(1240.0, 1190.0, None),
            saturation_rps=1251.0,
            headroom_ratio=0.01,
            basis="model",
            first_breach="p95<1s",
            cliff="above 1250 req/s it turns requests away",
            usd_per_million=None,
        ),
        TierAnswer(
            tier="dream",
            slo="p95<1ms",
            capacity_rps=about(0.0),
            saturation_rps=247.3,
            headroom_ratio=0.0,
            basis="none",
            first_breach=None,
            cliff=None,
            usd_per_million=None,
        ),
    )
)
KNEE = Knee(rate_rps=about(71.8, 60.1, 83.0), quantile=0.95, unloaded_s=0.0042, limit_s=0.0084)
PROFILE = ProfileAnswer(
    curve=LoadCurve(points=(), knee=KNEE, saturation=Saturation(measured_rps=247.3))
)
WITHOUT_A_KNEE = ProfileAnswer(
    curve=LoadCurve(
        points=(),
        knee=KNEE.model_copy(update={"rate_rps": NOT_KNOWN, "reason": "no rate was that slow"}),
        saturation=Saturation(measured_rps=12_345.0),
    )
)


def verdict(objective, measured, verdict, unit="s", tier="slo"):
    return ObjectiveVerdict(
        tier=tier, objective=objective, measured=measured, unit=unit, verdict=verdict
    )


MET = FixedAnswer(
    loop="open",
    verdicts=(
        verdict("p95<100ms", about(0.01234, 0.0101, 0.0151), Verdict.MET),
        verdict("error_rate<1%", about(0.0, 1e-18, 0.0023), Verdict.MET, "ratio"),
    ),
    usd_per_million=None,
)
MIXED = FixedAnswer(
    loop="open",
    verdicts=(
        verdict("p95<10ms", about(0.01234, 0.0111, 0.0151), Verdict.MISSED, tier="gold"),
        verdict("p95<1s", about(0.5, 0.2, None), Verdict.UNKNOWN, tier="tin"),
        verdict("p99<1s", NOT_KNOWN, Verdict.UNKNOWN, tier="tin"),
    ),
    usd_per_million=None,
)
USERS = FixedAnswer(
    loop="closed",
    verdicts=(verdict("p95<100ms", about(0.008, 0.0079, 0.0081), Verdict.MET),),
    usd_per_million=None,
)
OFFLINE = OfflineAnswer(
    offline=OfflineResult(
        concurrency=2,
        rungs=(Rung(concurrency=1, throughput_rps=237.0, service_mean_s=0.0042),),
        requests_per_s=about(249.7, 249.1, 250.3),
        rows_per_s=about(2497.0, 2491.0, 2503.0),
        s_per_million_rows=about(400.5, 399.5, 401.4),
        failed_ratio=0.0,
    ),
    usd_per_million_rows=Decimal("0.0128"),
)
SOAK = SoakAnswer(
    soak=Soak(
        verdict=TrendVerdict.DRIFTING,
        trends=(
            Trend(
                of="latency", unit="s", verdict=TrendVerdict.STEADY,
                reason="p95 changes by -1 to +2 % over the run", windows=40,
            ),
            Trend(
                of="memory", unit="bytes", verdict=TrendVerdict.DRIFTING,
                reason="it grows by 200 MiB an hour", windows=40,
            ),
        ),
    )
)  # fmt: skip


def difference(of, verdict, reason, more_requests=None):
    return Difference(
        of=of, baseline=0.01, candidate=0.011, difference=about(0.1, 0.05, 0.15), margin=0.05,
        verdict=verdict, reason=reason, more_requests=more_requests,
    )  # fmt: skip


def comparison(candidate, verdict, *differences):
    return Comparison(
        baseline="old", candidate=candidate, shadow=False, verdict=verdict,
        baseline_requests=500, candidate_requests=480, differences=differences,
    )  # fmt: skip


COMPARED = ComparisonAnswer(
    comparisons=(
        comparison(
            "new",
            CompareVerdict.FAIL,
            difference("latency", CompareVerdict.FAIL, "p95 is 10 % higher (5 to 15)"),
            difference("errors", CompareVerdict.PASS, "errors differ by -0.001 to 0.002"),
        ),
        comparison(
            "newer",
            CompareVerdict.INCONCLUSIVE,
            difference("latency", CompareVerdict.INCONCLUSIVE, "p95 differs by -4 to 9 %", 12_000),
            difference("errors", CompareVerdict.PASS, "errors differ by -0.001 to 0.002"),
        ),
    )
)
BEST = Standing(
    setting={"THREADS": "2", "BATCH": "8"}, score=312.0, low=301.0, high=322.0, rung=1, trials=3,
    probability_best=0.97,
)  # fmt: skip
FIRST = Standing(
    setting={"THREADS": "1", "BATCH": "1"}, score=212.0, low=205.0, high=220.0, rung=0, trials=2,
    probability_best=0.01,
)  # fmt: skip
TUNING = TuningResult(
    objective="capacity",
    best=BEST,
    baseline=FIRST,
    gain=Gain(ratio=1.472, low=1.39, high=1.55, is_sure=True),
    reason=None,
    standings=(BEST, FIRST),
    effects=(
        Effect(variable="THREADS", value="1", percent=0.0, low=0.0, high=0.0, trials=4),
        Effect(variable="THREADS", value="2", percent=38.5, low=30.1, high=46.9, trials=4),
        Effect(
            variable="BATCH", value="64", percent=None, low=None, high=None, trials=0,
            reason="BATCH=64 failed each time",
        ),
    ),
    interaction=Interaction(is_seen=True, typical_percent=6.2),
    dropped=(
        Dropped(setting=FIRST.setting, rung=0, reason="surely worse than the leader"),
        Dropped(setting={"THREADS": "1", "BATCH": "64"}, rung=0, reason="it was out of memory"),
        Dropped(setting={"THREADS": "2", "BATCH": "64"}, rung=0, reason="it was out of memory"),
    ),
    untried=3,
    trials=9,
    load_s=81.0,
)  # fmt: skip
TUNED = TuningAnswer(tuning=TUNING)


def outcome(scenario, answer=None, *, state="finished", reason=None, of=("1 vCPU",), **kept):
    """kept: runs and invalid ones, each a key and its measurement."""
    return TestReport(
        configurations=of,
        scenario=scenario,
        mode="fixed" if answer is None else answer.mode,
        state=state,
        reason=reason,
        answer=answer,
        findings=() if answer is None else findings(answer),
        load_s=sum(found.elapsed_s for each in kept.values() for _, found in each),
        start_s=2.1,
        **{
            name: tuple(
                KeptRun(configuration=of[n % len(of)], key=key, measurement=found)
                for n, (key, found) in enumerate(kept.get(name, ()))
            )
            for name in ("runs", "invalid")
        },
    )


WHOLE = (
    outcome(
        "capacity",
        CAPACITY,
        runs=[("closed-4", measurement(CLOSED)), ("open-150", measurement())],
        invalid=[("open-150-invalid-1", measurement(faults=[NOISY]))],
    ),
    outcome("profile", PROFILE, runs=[("open-150", measurement(faults=[FEW]))]),
    outcome("met", MET, runs=[("traffic-1", measurement(WAVE))]),
    outcome(
        "mixed",
        MIXED,
        runs=[("traffic-1", measurement(dropped=7, over_saturated=True, p95_s=None))],
    ),
    outcome("users", USERS, runs=[("users-1", measurement(STAIRS, stop_reason="errors: 5 %"))]),
    outcome("offline", OFFLINE),
    outcome("soak", SOAK, runs=[("traffic-1", measurement(memory_peak_bytes=None))]),
    outcome(
        "tune",
        TUNED,
        runs=[("trial-0-1 THREADS=2 BATCH=8: closed-4", measurement(CLOSED))],
    ),
    outcome(
        "compare",
        COMPARED,
        of=("old", "new|er"),
        runs=[("traffic-1", measurement()), ("traffic-1", measurement())],
    ),
    outcome(
        "noisy",
        state="invalid",
        reason="serve: the measurement is INVALID, 3 times: other programs used 51%",
        invalid=[("traffic-1-invalid-1", measurement(faults=[NOISY]))],
    ),
    outcome("broken", state="failed", reason="the command ended after 0.2 s [exit status 2]"),
    outcome(
        "cut short",
        state="partial",
        reason="the plan's limit on time was reached",
        runs=[("traffic-1", measurement())],
    ),
    outcome("too late", state="not run", reason="the plan's limit on time was reached"),
)


def report(*tests, usd="0"):
    return LoadTestReport(
        run="l20261121-060000-test",
        plan=Plan.model_validate({"name": "two sizes", "model": "sample"}),
        tests=tests or WHOLE,
        prices={"1 vCPU": HourlyPrice(usd_per_hour=Decimal("0.115"), known_by="the plan")},
        environment=ENVIRONMENT,
        cost_of_measuring=CostOfMeasuring(seconds=191.0, requests=30_123, usd=usd),
    )
