"""What a plan may say, and what it is told where it says something else."""

import json
from pathlib import Path

import pytest
import yaml

import recommender
from loadtests.targets.replicas import Replicas
from recommender.errors import BadRequest
from recommender.loadtest.plan import Plan
from recommender.loadtest.reading import read_plan
from recommender.loadtest.request import LoadTestRequest

MODEL = "model: sample\n"

LOADS = {
    "steady": "20rps",
    "hourly file": "day.csv",
    "hourly file, fast": "{kind: hourly, file: day.csv, hour_s: 2s}",
    "replay file": "{kind: replay, file: times.txt, speed: 2}",
    "ramp": "{kind: ramp, start_rps: 1rps, end_rps: 600rpm, duration_s: 2min}",
    "steps": "{kind: steps, steps: [{rps: 5, duration_s: 10}, {rps: 50rps, duration_s: 5s}]}",
    "burst": "{kind: burst, base_rps: 5, burst_rps: 50, for_s: 2, every_s: 10}",
    "spike": "{kind: burst, base_rps: 5, burst_rps: 50, for_s: 2, at_s: 10}",
    "diurnal": "{kind: diurnal, mean_rps: 5, peak_rps: 9, period_s: 24h}",
    "constant": "{kind: constant, users: 3, duration_s: 10}",
    "phases": "{kind: phases, phases: [{initial_number_of_users: 2, duration_s: 10}]}",
    "PHASES": (
        "{TrafficType: PHASES, Phases: "
        "[{InitialNumberOfUsers: 1, SpawnRate: 6, DurationInSeconds: 120}]}"
    ),
    "STAIRS": (
        "{TrafficType: STAIRS, Stairs: "
        "{UsersPerStep: 2, NumberOfSteps: 3, DurationInSeconds: 180}}"
    ),
}

SCENARIOS = {
    "capacity": "{mode: capacity, duration: 12s, rung: 2s, most_open: 2}",
    "profile": "{mode: profile, points: 5}",
    "profile at rates": "{mode: profile, rates: [10rps, 600rpm]}",
    "offline": "{mode: offline, rows_per_request: 4}",
    "soak": "{mode: soak, traffic: 20rps, duration: 10min}",
    "compare": (
        "{mode: compare, traffic: 20rps, variants: {old: 9, new: 1}, shadow: {dark: 0.5}, "
        "margin: 0.1, quantile: 0.99}"
    ),
    "tune": (
        "{mode: tune, environment: {OMP_NUM_THREADS: [1, 2], BATCH: [a, b]}, "
        "baseline: {BATCH: b}, budget_s: 60, objective: throughput}"
    ),
    "tune, builds": "{mode: tune, models: {plain: sample, quantised: serve-int8 --port 1}}",
    "fixed, gamma": "{mode: fixed, traffic: 20rps, arrivals: {gamma: 2.5}, repeats: 3}",
    "fixed, constant": "{mode: fixed, traffic: 20rps, arrivals: constant, duration: 90s}",
    "stopped": (
        "{mode: fixed, traffic: 20rps, stop: {max_duration: 30s, max_requests: 100, "
        "latency: p95<1s, error_rate: 5%, flat_throughput: stop, confidence: 0.05}}"
    ),
}

CONFIGURATIONS = """
configurations:
  - {name: old, vcpus: 1, memory_gib: 2, instance_type: ml.m5.large}
  - {name: new, vcpus: 2, usd_per_hour: 0.25, environment: {THREADS: 2, DEBUG: true}}
  - {name: dark, model: "python -m server --port {port}"}
"""

DEPLOYED = {
    "replicas": ("replicas: 3", "3 replicas"),
    "replicas in full": (
        "replicas: {count: 2, routing: least_outstanding}, vcpus: 0.5", "0.5 vCPU, 2 replicas",
    ),
    "spot": ("vcpus: 1, spot: {at: [3s, 9s], notice: 2min, time_scale: 0.05}", "1 vCPU, spot"),
    "spot replicas": (
        "replicas: 2, spot: {per_hour: 4, drains: false, replaced_from: kill}", "2 replicas, spot",
    ),
    "serverless": ("serverless: 2", "serverless 2 GB"),
    "serverless in full": (
        "serverless: {memory_gib: 4, max_concurrency: 9, provisioned_concurrency: 2, idle: 30s}",
        "serverless 4 GB",
    ),
    "a share of a GPU": ("accelerator: 0.25, vcpus: 1", "1 vCPU, accelerator 0.25"),
    "Elastic Inference": ("accelerator: eia2.medium", "accelerator eia2.medium"),
}  # fmt: skip

MODELS = {
    "image": "{image: me/model, artefacts: model, environment: {A: 1}}",
    "build": "{build: docker}",
    "build in full": "{build: {folder: docker, arguments: {BASE_IMAGE: debian}}}",
    "command with artefacts": "{command: serve, artefacts: model}",
    "pipeline": "{pipeline: {before: {command: a}, model: sample, after: {image: b}}}",
    "fan-out": "{fan_out: {small: {folder: model}, large: {url: 'http://localhost:1'}}}",
}

PAYLOADS = """
payloads:
  - {file: body.json, weight: 3}
  - {archive: bodies.tar.gz, weight: 1, content_type: text/csv}
  - {json: {instances: [1, {"$uniform": [0, 1]}]}, count: 5, weight: 2}
  - {random_bytes: 512, weight: 1}
  - {python: "bodies:draw", weight: 1}
"""


@pytest.fixture
def folder(tmp_path):
    """Where a plan lies, with what its traffic is read from."""
    (tmp_path / "day.csv").write_text("requests\n3600\n7200\n")
    (tmp_path / "times.txt").write_text("0.0\n0.5\n2.0\n")
    return tmp_path


@pytest.fixture
def read(folder):
    def from_text(text, where=folder):
        file = where / "plan.yaml"
        file.write_text(text)
        return read_plan(file)

    return from_text


@pytest.fixture
def refused(read):
    """What one is told of a plan that is none."""

    def told(text):
        with pytest.raises(BadRequest) as caught:
            read(text)
        return f"{caught.value}"

    return told


def survives(plan):
    document = json.loads(json.dumps(plan.model_dump(mode="json")))
    return Plan.model_validate(document) == plan


@pytest.mark.parametrize("kind", LOADS)
def test_a_plan_of_any_traffic_survives_its_own_json(read, kind):
    plan = read(f"{MODEL}traffic: {LOADS[kind]}\n")
    assert plan.scenarios[0].mode == "fixed"
    assert survives(plan)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_plan_of_any_mode_survives_its_own_json(read, name):
    assert survives(read(f"{MODEL}{CONFIGURATIONS}\nscenarios:\n  - {SCENARIOS[name]}\n"))


def test_a_plan_that_says_everything_survives_its_own_json(read):
    plan = read(
        MODEL
        + CONFIGURATIONS
        + PAYLOADS
        + "scenarios:\n"
        + "".join(f"  - {scenario}\n" for scenario in SCENARIOS.values())
        + "name: all of it\n"
        + "slo: {strict: p99<50ms, loose: 'p95<100ms, error_rate<1%'}\n"
        + "limits: {time: 1h, usd: 2.50}\n"
        + "generator: {workers: 2}\nregion: eu-west-1\nseed: 7\ncontent_type: text/plain\n"
    )
    assert len(plan.scenarios) == len(SCENARIOS)
    assert survives(plan)


def test_what_is_stored_with_the_run_is_the_plan_that_was_read(read, folder):
    plan = read(f"{MODEL}traffic: times.csv\n".replace("times", "day"))
    request = LoadTestRequest.of(plan, folder)
    (folder / "day.csv").unlink()
    assert LoadTestRequest.model_validate(request.model_dump(mode="json")) == request


@pytest.mark.parametrize("part", DEPLOYED)
def test_a_deployment_is_read_named_by_what_it_is_and_reads_back(part):
    written, name = DEPLOYED[part]
    given = yaml.safe_load(f"model: sample\nconfigurations: [{{{written}}}]\n")
    plan = Plan.model_validate(given)
    assert plan.configurations[0].name == name
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_one_that_may_be_taken_away_is_a_replica_be_it_the_only_one():
    (spot,) = _configurations("vcpus: 0.5, spot: {at: [3s]}")
    deployment = spot.deployment(good_within_s=0.2)
    assert deployment.replicas == Replicas(1, "round_robin", 0.5)
    assert deployment.interruptions.at_s == (3.0,)
    assert deployment.good_within_s == 0.2


@pytest.mark.parametrize("kind", MODELS)
def test_every_kind_of_model_is_read_and_reads_back(kind):
    plan = Plan.model_validate(yaml.safe_load(f"model: {MODELS[kind]}\n"))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    source = plan.model.source(2.0, {"B": "2"})
    assert all(leaf.environment["B"] == "2" for leaf in source.leaves)
    assert all(leaf.memory_gib == 2.0 for leaf in source.leaves)
    assert type(source).model_validate_json(source.model_dump_json()) == source


def test_stages_keep_their_order_and_their_kind():
    plan = Plan.model_validate(yaml.safe_load(f"model: {MODELS['pipeline']}\n"))
    source = plan.model.source(None, {})
    assert [(name, each.kind) for name, each in source.stages.items()] == [
        ("before", "command"),
        ("model", "sample"),
        ("after", "image"),
    ]
    assert source.text == "before → model → after"


def _configurations(written):
    given = yaml.safe_load(f"model: sample\nconfigurations: [{{{written}}}]\n")
    return Plan.model_validate(given).configurations


UNKNOWN = {
    "the plan": ("model: sample\nscenarois: []\n", 2, "scenarois", "scenarios"),
    "the model": ("model:\n  comand: serve\n", 2, "comand", "command"),
    "a configuration": (
        f"{MODEL}configurations:\n  - name: a\n    vcpu: 1\n", 4, "vcpu", "vcpus",
    ),
    "a scenario": (
        f"{MODEL}scenarios:\n  - mode: capacity\n    duratoin: 3s\n", 4, "duratoin", "duration",
    ),
    "a scenario's only key": (f"{MODEL}mode: capacity\nmost_opn: 3\n", 3, "most_opn", "most_open"),
    "the stopping rules": (
        f"{MODEL}traffic: 5rps\nstop:\n  max_reqests: 3\n", 4, "max_reqests", "max_requests",
    ),
    "the traffic": (
        (f"{MODEL}traffic:\n  kind: ramp\n  start_rps: 1\n  end_rps: 2\n  duration_s: 3\n"
        "  start_rpss: 1\n"), 7, "start_rpss", "start_rps",
    ),
    "a step of the traffic": (
        (f"{MODEL}traffic:\n  kind: steps\n  steps:\n    - {{rps: 1, duration_s: 1}}\n"
        "    - {rps: 2, duration: 3, duration_s: 1}\n"), 6, "duration", "duration_s",
    ),
    "the search for settings": (
        f"{MODEL}mode: tune\nenvironment: {{A: [1, 2]}}\nbudgets: 3\n", 4, "budgets", "budget_s",
    ),
    "a payload": (
        f"{MODEL}payloads:\n  - file: a.json\n    weigth: 1\n", 4, "weigth", "weight",
    ),
    "a generated payload": (
        f"{MODEL}payloads:\n  - json: {{a: 1}}\n    weigth: 1\n", 4, "weigth", "weight",
    ),
    "the users": (
        f"{MODEL}traffic:\n  kind: constant\n  users: 2\n  duration_s: 3\n  user: 2\n",
        6, "user", "users",
    ),
    "a stage": (
        "model:\n  pipeline:\n    a: sample\n    b:\n      comand: x\n", 5, "comand", "command",
    ),
    "the serverless part": (
        f"{MODEL}configurations:\n  - serverless:\n      memory: 2\n", 4, "memory", "memory_gib",
    ),
    "the replicas": (
        f"{MODEL}configurations:\n  - replicas:\n      cuont: 2\n", 4, "cuont", "count",
    ),
    "the interruptions": (
        f"{MODEL}configurations:\n  - spot:\n      at: [3]\n      notise: 2\n",
        5, "notise", "notice",
    ),
    "the limits": (f"{MODEL}limits:\n  tme: 3s\n", 3, "tme", "time"),
    "the generator": (f"{MODEL}generator:\n  worker: 3\n", 3, "worker", "workers"),
}  # fmt: skip


@pytest.mark.parametrize("part", UNKNOWN)
def test_a_key_that_nobody_reads_is_refused_with_its_line_and_the_nearest(refused, part):
    text, line, key, nearest = UNKNOWN[part]
    said = refused(text)
    assert f"line {line}" in said
    assert f"`{key}` is not a key here" in said
    assert f"did you mean `{nearest}`?" in said


REFUSED = {
    "a key given twice": ("model: sample\nseed: 1\nseed: 2\n", ("line 3", "`seed`", "twice")),
    "a key given twice, deep down": (
        "model:\n  command: a\n  command: b\n",
        ("line 3", "`command`", "twice"),
    ),
    "a list": ("- model: sample\n", ("not a mapping",)),
    "nothing": ("", ("not a mapping",)),
    "no YAML": ("model: [sample\n", ("is not YAML", "line 2")),
    "no model": ("seed: 1\n", ("`model` is missing",)),
    "two models": ("model: {command: a, url: 'http://x'}\n", ("command and url",)),
    "a model that is nothing": ("model: {environment: {A: 1}}\n", ("none of them",)),
    "a pipeline of one": ("model: {pipeline: {a: sample}}\n", ("2 to 15 models", "has 1")),
    "a pipeline in a pipeline": (
        "model: {pipeline: {a: sample, b: {fan_out: {c: sample, d: sample}}}}\n",
        ("b is a fan_out inside a pipeline",),
    ),
    "artefacts for a url": (
        "model: {url: 'http://x', artefacts: here}\n",
        ("artefacts are for command, image, build, not for url",),
    ),
    "serverless of a size": (
        f"{MODEL}configurations: [{{serverless: 2, vcpus: 1, replicas: 2}}]\n",
        ("line 2", "leave out vcpus, replicas"),
    ),
    "serverless of no size that there is": (
        f"{MODEL}configurations:\n  - serverless: 7\n",
        ("line 3", "1 to 6 GB", "not 7"),
    ),
    "more always ready than at most": (
        (
            f"{MODEL}configurations:\n  - serverless: {{memory_gib: 1, max_concurrency: 2, "
            "provisioned_concurrency: 3}\n"
        ),
        ("line 3", "provisioned concurrency is 0 to the 2"),
    ),
    "no replicas": (f"{MODEL}configurations: [{{replicas: 0}}]\n", ("line 2", "greater than")),
    "spot that is never taken": (
        f"{MODEL}configurations: [{{spot: {{notice: 2s}}}}]\n",
        ("line 2", "per_hour"),
    ),
    "two shares of a GPU": (
        f"{MODEL}configurations: [{{accelerator: {{share: 0.5, mig: 1g.5gb}}}}]\n",
        ("line 2", "three ways to say one thing"),
    ),
    "an accelerator that never was": (
        f"{MODEL}configurations: [{{accelerator: eia9.huge}}]\n",
        ("line 2", "eia9.huge"),
    ),
    "an SLO that does not parse": (
        f"{MODEL}slo: fast please\n",
        ("'fast please' is not understood", "objective ::="),
    ),
    "a tier that does not parse": (
        f"{MODEL}slo: {{gold: p95<1s, tin: quick}}\n",
        ("'quick' is not understood", "objective ::="),
    ),
    "no SLO at all": (f"{MODEL}slo: {{}}\n", ("no SLO",)),
    "no scenario at all": (f"{MODEL}scenarios: []\n", ("no scenario",)),
    "an unknown mode": (
        f"{MODEL}scenarios:\n  - {{mode: capasity}}\n",
        ("line 3", "'capasity'", "did you mean capacity?"),
    ),
    "an unknown kind of traffic": (
        f"{MODEL}traffic: {{kind: rampe}}\n",
        ("line 2", "'rampe'", "did you mean ramp?"),
    ),
    "traffic in no words known": (f"{MODEL}traffic: lots\n", ("line 2", "'lots'", "50rps")),
    "a duration that is none": (
        f"{MODEL}mode: capacity\nduration: long\n",
        ("line 3", "long"),
    ),
    "gamma without its CV": (
        f"{MODEL}traffic: 5rps\narrivals: gamma\n",
        ("line 3", "need a cv"),
    ),
    "two scenarios of one name": (
        f"{MODEL}scenarios:\n  - {{mode: capacity, name: a}}\n  - {{mode: offline, name: a}}\n",
        ("two scenarios are named 'a'",),
    ),
    "two configurations of one name": (
        f"{MODEL}configurations: [{{vcpus: 1}}, {{vcpus: 1}}]\n",
        ("two configurations are named '1 vCPU'",),
    ),
    "a name with a slash": (
        f"{MODEL}scenarios:\n  - {{mode: capacity, name: a/b}}\n",
        ("line 3", "a/b"),
    ),
    "a key no scenario reads": (
        f"{MODEL}margin: 0.1\nscenarios: [{{mode: capacity}}]\n",
        ("no scenario of the plan reads `margin`",),
    ),
    "an unknown configuration in a scenario": (
        (
            f"{MODEL}configurations: [{{name: small}}]\n"
            "scenarios: [{mode: capacity, configurations: [smal]}]\n"
        ),
        ("no configuration `smal`; did you mean `small`?",),
    ),
    "a configuration of a plan that has none": (
        f"{MODEL}mode: capacity\nscenarios: [{{mode: capacity, configurations: [a]}}]\n",
        ("no configuration `a`; known are none",),
    ),
    "an unknown variant": (
        (
            f"{MODEL}configurations: [{{name: old}}, {{name: new}}]\n"
            "scenarios: [{mode: compare, traffic: 5rps, variants: {old: 1, nev: 1}}]\n"
        ),
        ("`nev`", "did you mean `new`?"),
    ),
    "an unknown shadow": (
        (
            f"{MODEL}configurations: [{{name: old}}, {{name: new}}]\n"
            "scenarios: [{mode: compare, traffic: 5rps, shadow: {nev: 0.5}}]\n"
        ),
        ("`nev`", "did you mean `new`?"),
    ),
    "a traffic file that is not there": (f"{MODEL}traffic: nowhere.csv\n", ("nowhere.csv",)),
    "a generator that sends nothing": (
        f"{MODEL}generator: {{workers: 0}}\n",
        ("line 2", "worker"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_said(refused, name):
    text, words = REFUSED[name]
    said = refused(text)
    for each in words:
        assert each in said


def test_a_line_of_a_traffic_file_is_named(refused, folder):
    (folder / "day.csv").write_text("requests\n12\nmany\n")
    said = refused(f"{MODEL}traffic: day.csv\n")
    assert "day.csv" in said
    assert "line 3" in said


def test_every_mistake_is_told_at_once(refused):
    said = refused("model: sample\nseed: often\nregion: 3\nlimits: {time: never}\n")
    assert [f"line {n}" in said for n in (2, 3, 4)] == [True] * 3


def test_a_plan_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadRequest, match=r"nowhere\.yaml cannot be read: No such file"):
        read_plan(tmp_path / "nowhere.yaml")


def test_a_plan_that_is_no_text_is_refused(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_bytes(b"model: \xff\xfe sample\n")
    with pytest.raises(BadRequest, match="cannot be read"):
        read_plan(file)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("traffic: 5rps", "scenarios: [{mode: fixed, traffic: 5rps}]"),
        ("", "scenarios: [{mode: capacity}]"),
        ("traffic: 5rps\nscenarios: [{repeats: 2}]", "scenarios: [{traffic: 5rps, repeats: 2}]"),
        ("duration: 5s", "scenarios: [{mode: capacity, duration: 5s}]"),
        ("mode: soak\ntraffic: 5rps", "scenarios: [{mode: soak, traffic: 5rps}]"),
        (
            "mode: tune\nenvironment: {A: [1, 2]}",
            "scenarios: [{mode: tune, tuning: {environment: {A: ['1', '2']}}}]",
        ),
        (
            "duration: 5s\nscenarios: [{mode: capacity}, {traffic: 5rps, duration: 9s}]",
            (
                "scenarios: [{mode: capacity, duration: 5s}, "
                "{mode: fixed, traffic: 5rps, duration: 9s}]"
            ),
        ),
    ],
)
def test_what_stands_at_the_top_is_as_if_spelled_out(read, short, long):
    assert read(f"{MODEL}{short}\n") == read(f"{MODEL}{long}\n")


def test_scenarios_without_a_name_are_told_apart(read):
    plan = read(
        f"{MODEL}scenarios: [{{mode: capacity}}, {{mode: capacity}}, {{traffic: 5rps}}, "
        "{traffic: {kind: constant, users: 1, duration_s: 1}}, {traffic: 600/min}, "
        "{mode: capacity}]\n"
    )
    names = [each.name for each in plan.scenarios]
    assert names == [
        "capacity", "capacity 2", "fixed 5rps", "fixed constant", "fixed 600 per min",
        "capacity 3",
    ]  # fmt: skip


@pytest.mark.parametrize("named", ["capacity 2", "capacity"])
def test_a_number_given_is_no_name_that_is_taken(read, named):
    plan = read(
        f"{MODEL}scenarios: [{{mode: capacity}}, {{mode: capacity}}, "
        f"{{mode: offline, name: {named}}}]\n"
    )
    assert len({each.name for each in plan.scenarios}) == 3


def test_traffic_files_lie_beside_the_plan(read, folder, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    hourly = read(f"{MODEL}traffic: day.csv\n").scenarios[0].traffic
    assert hourly.requests == (3600, 7200)
    replay = read(f"{MODEL}traffic: {{kind: replay, file: times.txt}}\n").scenarios[0].traffic
    assert replay.mean_rps == pytest.approx(3 / 2, rel=0.5)
    model = read("model: {folder: artefacts}\n").model
    assert model.folder == folder / "artefacts"


def test_the_environment_of_a_server_is_text(read):
    plan = read(
        "model: {sample: true, environment: {DEBUG: true, QUIET: no, WORKERS: 2, SHARE: 0.5}}\n"
        "configurations: [{name: a, environment: {THREADS: 4, EAGER: false}}]\n"
    )
    assert plan.model.environment == {
        "DEBUG": "true", "QUIET": "false", "WORKERS": "2", "SHARE": "0.5",
    }  # fmt: skip
    assert plan.configurations[0].environment == {"THREADS": "4", "EAGER": "false"}


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("sample", "sample"),
        ("python serve.py --port {port}", "command"),
        ("http://127.0.0.1:8080", "url"),
        ("{folder: artefacts}", "model"),
    ],
)
def test_a_model_in_one_word_is_what_it_looks_like(read, given, kind):
    quoted = given if given.startswith("{folder") else f"'{given}'"
    assert read(f"model: {quoted}\n").model.kind == kind


def test_a_configuration_without_a_name_is_called_by_what_sets_it_apart(read):
    plan = read(
        f"{MODEL}configurations:\n  - {{vcpus: 2, environment: {{A: x/y}}}}\n"
        "  - {instance_type: ml.m5.large}\n  - {}\n"
    )
    names = [each.name for each in plan.configurations]
    assert names == ["2 vCPU, A=x|y", "ml.m5.large", "as it is"]


def test_the_plans_of_the_documentation_are_read():
    folder = Path(recommender.__file__).parent / "docs"
    files = sorted(folder.glob("*.yaml"))
    assert len(files) >= 2
    for file in files:
        plan = read_plan(file)
        sources = [(each.model or plan.model).source(None, {}) for each in plan.configurations]
        folders = [leaf.where for each in sources for leaf in each.leaves if leaf.kind == "model"]
        assert all(Path(each).is_dir() for each in folders)
