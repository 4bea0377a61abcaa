"""A load test carried out on servers that exist only here, and kept in a real store."""

import heapq
from dataclasses import replace

import numpy as np

from loadtests.arrivals import due_times
from loadtests.fleets.interruptions import Interruption, Interruptions
from loadtests.fleets.spot import Drilled, spot_report
from loadtests.gateway.passages import PASSAGE
from loadtests.measurement import (
    Load,
    RunFacts,
    TargetRecord,
    TargetUse,
    summarise_closed,
    summarise_open,
)
from loadtests.modes.ladder import Evidence
from loadtests.modes.side_by_side import assigned
from loadtests.modes.tiers import objectives_of
from loadtests.probe import Measured, open_load
from loadtests.queueing import sojourns
from loadtests.resources import ResourceSeries
from loadtests.samples import RECORD, Outcome, Samples
from loadtests.serverless.report import Span, serverless_report
from loadtests.serverless.spec import ServerlessSpec
from loadtests.serverless.starts import Instance
from loadtests.steps import ClosedStep, UsersStep
from loadtests.users import Constant
from loadtests.validity import GeneratorFacts
from recommender.loadtest import comparing, tuned
from recommender.loadtest.agenda import agenda
from recommender.loadtest.course import Done, course_of, tiers_of
from recommender.loadtest.kept import Kept, Note, note_key, step_key
from recommender.loadtest.plan import Plan
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.scenario import CompareScenario, TuneScenario
from recommender.store import this_process

MIB = 2**20
STARTED = "2026-11-21T06:00:00+00:00"
PLAN = {
    "name": "two sizes",
    "model": "serve --port {port}",
    "configurations": [{"vcpus": 1}, {"name": "slower", "vcpus": 1}],
    "slo": {"gold": "p95<30ms, error_rate<1%", "silver": "p95<200ms"},
    "scenarios": [
        {"mode": "capacity", "duration": 8, "rung": 1},
        {"mode": "profile", "duration": 6, "rung": 1, "points": 5},
        {
            "mode": "fixed",
            "traffic": {
                "kind": "burst", "base_rps": 60, "burst_rps": 200, "every_s": 5, "for_s": 1
            },
            "duration": 20,
        },
        {
            "mode": "fixed",
            "traffic": {
                "TrafficType": "STAIRS",
                "Stairs": {"DurationInSeconds": 6, "NumberOfSteps": 3, "UsersPerStep": 1},
            },
        },
        {"mode": "soak", "traffic": "80rps", "duration": 60},
        {"mode": "offline", "duration": 3, "rung": 1},
        {
            "mode": "tune",
            "configurations": ["1 vCPU"],
            "environment": {"THREADS": [1, 2], "WORKERS": [1, 2]},
            "budget_s": 60,
            "trial_s": 9,
        },
        {"mode": "compare", "traffic": "120rps", "duration": 60},
    ],
}  # fmt: skip
SPEED = {"THREADS=2": 1.1, "WORKERS=2": 0.8}  # times the mean service time


def keep_loadtest(
    store, environment, given=None, *, leave=(), invalid=(), owner=None, inside=None, watched=False
):
    """A run that is still its owner's, this process where not given.

    leave: names of scenarios that are not carried out. invalid: those of which nothing is fit
    to be evidence. inside: what went on behind a gateway, of samples in an open loop. watched:
    resources were, those of a GPU too; and some requests fail.
    """
    plan = Plan.model_validate(given or PLAN)
    request = LoadTestRequest(plan=plan, folder=".", workload_digest="0123456789abcdef")
    run = store.create_run(
        "loadtest",
        plan.name,
        request.model_dump(mode="json"),
        environment.model_dump(mode="json"),
        owner or this_process(),
    )
    bench = Bench(store, run.id, plan, inside, watched=watched)
    for test in agenda(plan, environment.cores):
        if test.scenario.name in invalid:
            bench.spoil(test)
        elif test.scenario.name not in leave:
            bench.carry_out(test)
    return run


class Bench:
    def __init__(self, store, run_id, plan, inside=None, *, watched=False):
        self.store, self.run_id, self.plan = store, run_id, plan
        self.inside, self.watched = inside, watched
        self.objectives = objectives_of(tiers_of(plan))

    def carry_out(self, test):
        match test.scenario:
            case CompareScenario():
                self._compare(test)
            case TuneScenario():
                self._tune(test)
            case _:
                self._follow(course_of(test, self.plan), test, mean_s(test.name))

    def spoil(self, test):
        step = course_of(test, self.plan)(())
        found = self.take(step, mean_s(test.name), busy=0.9)
        self.keep(test.name, test.scenario.name, f"{step.key}-invalid-{STARTED}", found)
        reason = f"the measurement is INVALID: {found.measurement.validity.faults[0].found}"
        note = Note(state="failed", reason=reason)
        key = note_key(test.name, test.scenario.name, "", STARTED)
        self.store.add_measurement(self.run_id, key, note.model_dump(mode="json"))

    def keep(self, configuration, scenario, key, found):
        self.store.add_measurement(
            self.run_id,
            step_key(configuration, scenario, key),
            found.measurement.model_dump(mode="json"),
            found.samples.encode(),
            None if found.resources is None else found.resources.encode(),
        )

    def _follow(self, course, test, mean, within=""):
        history, taken = (), {}
        while not isinstance(step := course(history), Done):
            found = taken[within + step.key] = self.take(step, mean)
            self.keep(test.name, test.scenario.name, within + step.key, found)
            history += (Evidence(step, found.measurement, found.samples.service_s),)
        return taken

    def _tune(self, test):
        kept = Kept()
        while (trial := tuned._progress(test, self.plan, kept)[1]) is not None:
            factor = np.prod([SPEED.get(f"{k}={v}", 1.0) for k, v in trial.setting.items()])
            course, within = tuned._course(trial, test), tuned._within(trial)
            kept.steps |= self._follow(course, test, mean_s(test.name) * factor, within)

    def _compare(self, test):
        step = comparing._step(test.scenario)
        due_s = due_times(step.traffic, step.duration_s, arrivals=step.arrivals, seed=1)
        due_s, variants = assigned(due_s, comparing.split_of(test.scenario, test), 1)
        for number, each in enumerate(test.configurations):
            own_s = due_s[variants == number]
            found = self._open(step, own_s, mean_s(each.name))
            self.keep(each.name, test.scenario.name, step.key, found)

    def take(self, step, mean, busy=0.2):
        if isinstance(step, ClosedStep | UsersStep):
            return self._closed(step, mean, busy)
        traffic = getattr(step, "traffic", None)
        if traffic is None:
            rng = np.random.default_rng(int(step.rate_rps))
            gaps_s = rng.exponential(1 / step.rate_rps, int(2 * step.rate_rps * step.duration_s))
            due_s = np.cumsum(gaps_s)
            return self._open(step, due_s[due_s < step.duration_s], mean)
        due_s = due_times(traffic, step.duration_s, arrivals=step.arrivals, seed=step.repeat)
        return self._open(step, due_s, mean)

    def _open(self, step, due_s, mean):
        gaps_s = np.diff(due_s, prepend=0.0)
        taken_s = sojourns(gaps_s[:, None], service_s(len(due_s), mean)[:, None], 1)[:, 0]
        if hasattr(step, "traffic"):
            load = open_load(step.traffic, step.arrivals, step.duration_s, 1)
            load = load.model_copy(update={"rate_rps": len(due_s) / step.duration_s})
        else:
            load = Load(
                loop="open",
                rate_rps=step.rate_rps,
                process="poisson",
                duration_s=step.duration_s,
                seed=1,
            )
        samples = records(due_s, due_s + taken_s)
        resources = None
        if self.watched:
            samples, resources = with_errors(samples), watched(load.duration_s)
        facts = self._facts(samples, load, mean, 0.2)
        if self.inside is not None:
            facts = replace(facts, inside=self.inside(samples))
        if resources is not None:
            facts = replace(facts, resources=resources.summary())
        return Measured(summarise_open(samples, facts, self.objectives), samples, resources)

    def _closed(self, step, mean, busy):
        if isinstance(step, ClosedStep):
            spans_s = np.tile([0.0, step.max_s], (step.concurrency, 1))
            load = Load(loop="closed", concurrency=step.concurrency, duration_s=step.max_s, seed=1)
        else:
            users = step.users
            spans_s = users.spans_s()
            is_steady = isinstance(users, Constant)
            load = Load(
                loop="closed",
                concurrency=users.most if is_steady else None,
                traffic=None if is_steady else users.text,
                duration_s=users.duration_s,
                seed=1,
            )
        samples = closed_records(spans_s, mean)
        return Measured(summarise_closed(samples, self._facts(samples, load, mean, busy)), samples)

    def _facts(self, samples, load, mean, busy):
        span_s = load.duration_s
        in_flight_s = float(np.sum(samples.records["done_us"] - samples.records["sent_us"])) / 1e6
        return RunFacts(
            target=TargetRecord(
                kind="process", label="simulated", started_from="a test", vcpus=1.0,
                memory_gib=None, limits=None, shares_cores=False, setup_s=1.0,
            ),
            use=TargetUse(cpu_s=len(samples) * mean, memory_peak_bytes=150 * MIB),
            workload="0123456789abcdef",
            load=load,
            started_at=STARTED,
            elapsed_s=span_s,
            generator=GeneratorFacts(busy * span_s, span_s, in_flight_s),
            due=len(samples),
        )  # fmt: skip


def mean_s(configuration):
    return 0.006 if configuration == "slower" else 0.004


def service_s(count, mean):
    return np.random.default_rng(count).gamma(4.0, mean / 4.0, count)


def closed_records(spans_s, mean):
    """Users on one server, each asking again as soon as it is answered."""
    draws_s = iter(service_s(20_000, mean).tolist())
    ready = [(float(began), float(ended)) for began, ended in spans_s]
    heapq.heapify(ready)
    free_s, sent_s, done_s = 0.0, [], []
    while ready:
        now_s, ends_s = heapq.heappop(ready)
        if now_s >= ends_s:
            continue
        free_s = max(now_s, free_s) + next(draws_s)
        sent_s.append(now_s)
        done_s.append(free_s)
        heapq.heappush(ready, (free_s, ends_s))
    return records(np.array(sent_s), np.array(done_s))


def records(sent_s, done_s):
    found = np.zeros(len(sent_s), RECORD)
    found["due_us"] = found["sent_us"] = np.round(sent_s * 1e6)
    found["first_byte_us"] = found["done_us"] = np.round(done_s * 1e6)
    found["status"], found["bytes"] = 200, 60
    return Samples(found)


def with_errors(samples):
    """Some answered with 503, some not at all, some never sent: all within a fifth of the run."""
    found = samples.records.copy()
    chosen = np.arange(len(found) * 2 // 5, len(found) * 3 // 5, 7)
    kinds = (Outcome.REFUSED, Outcome.REFUSED, Outcome.BROKEN, Outcome.TIMED_OUT, Outcome.DROPPED)
    for number, kind in enumerate(kinds):
        found["outcome"][chosen[number :: len(kinds)]] = kind
    found["status"][found["outcome"] == Outcome.REFUSED] = 503
    found["status"][found["outcome"] > Outcome.REFUSED] = 0
    dropped = found["outcome"] == Outcome.DROPPED
    for name in ("sent_us", "first_byte_us", "done_us"):
        found[name][dropped] = found["due_us"][dropped]
    return Samples(found)


def watched(span_s, every_s=0.05):
    """A server that warms up and holds more and more; one GPU, whose energy nobody counts."""
    times_s = np.arange(0, span_s + every_s, every_s)
    rng = np.random.default_rng(7)
    steps = np.full(len(times_s), every_s)
    steps[0] = 0.0
    busy = 0.6 + 0.3 * np.sin(times_s / span_s * 6) + rng.normal(0, 0.05, len(times_s))
    return ResourceSeries(
        times_s=times_s,
        target_cpu_s=np.cumsum(busy * steps),
        target_memory_bytes=(120 + 30 * times_s / span_s) * MIB,
        generator_cpu_s=np.cumsum(0.2 * steps),
        generator_memory_bytes=np.full(len(times_s), 90.0 * MIB),
        core_busy_s=np.cumsum(np.outer(steps, [0.5, 0.7]), axis=0),
        gpu_busy_ratio=np.clip(busy, 0, 1)[:, None],
        gpu_memory_bytes=np.full((len(times_s), 1), 4096.0 * MIB),
        gpu_power_w=(60 + 200 * np.clip(busy, 0, 1))[:, None],
        cores=(0, 1),
        gpus=("NVIDIA L4 0",),
        notes={"gpu_energy_j": "not supported by this GPU"},
    )


def interrupted(samples):
    """One replica of two is taken away after a third of the load, another after two thirds."""
    end_s = float(samples.due_s[-1])
    done = tuple(
        Interruption(
            member=number, noticed_s=share * end_s, drained_s=share * end_s + 0.1,
            signalled_s=share * end_s + 0.1, killed_s=share * end_s + 1.0,
            replacement=number + 2, replaced_s=share * end_s + 2.5, start_s=1.2,
        )
        for number, share in enumerate((1 / 3, 2 / 3))
    )  # fmt: skip
    asked = Interruptions(at=tuple(each.noticed_s for each in done), time_scale=1 / 60)
    return spot_report(samples, Drilled(asked, done, passages_of(samples)))


def passages_of(samples):
    """Of a gateway that passes every request on at once, to two members in turn."""
    found = np.zeros(len(samples), PASSAGE)
    records = samples.records
    found["arrived_s"] = found["sent_s"] = records["sent_us"] / 1e6
    found["answered_s"] = found["left_s"] = records["done_us"] / 1e6
    found["member"] = np.arange(len(samples)) % 2
    found["status"] = np.where(samples.is_success, 200, 503)
    return found


def from_zero(samples):
    """A serverless endpoint: an instance for the first request, and one more in the middle."""
    end_s = float(samples.due_s[-1])
    alive = (
        Instance(0, 0.0, ready_s=0.8, memory_peak_bytes=300 * MIB, cpu_s=3.0),
        Instance(1, end_s / 2, ready_s=end_s / 2 + 1.1, memory_peak_bytes=310 * MIB, cpu_s=1.0),
    )
    passages = passages_of(samples)
    passages["member"] = passages["arrived_s"] > end_s / 2 + 1.2
    passages["waited"] = (passages["arrived_s"] < 0.8).astype(passages.dtype["waited"])
    spec = ServerlessSpec(memory_gib=2, max_concurrency=4)
    return serverless_report(passages, alive, spec, Span(0.0, end_s + 0.1))
