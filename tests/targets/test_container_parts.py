"""What can be known of containers without running one."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import EngineUnavailable, LimitUnavailable, LoadTestError, UsageError
from loadtests.journal import Journal
from loadtests.targets import Build, ContainerSpec, Sizing, capabilities
from loadtests.targets.cgroup_v1 import GroupV1
from loadtests.targets.cgroup_v2 import GroupV2
from loadtests.targets.container_creation import (
    container_environment,
    container_limits,
    host_settings,
    route_to,
)
from loadtests.targets.container_diagnosis import advice_on_refusal, says_out_of_memory
from loadtests.targets.container_engine import open_engine, sockets
from loadtests.targets.container_groups import container_group
from loadtests.targets.container_image import Image, _lines, _pull_progress, _without_errors
from loadtests.targets.protocol import Limits

pytestmark = pytest.mark.beside


@dataclass
class ToldEngine:
    """What the engine says of itself, as told."""

    is_podman: bool = False
    limits_cpu: bool = True
    limits_memory: bool = True
    shares_our_kernel: bool = True
    name: str = "Docker 27.0"
    version: str = "cgroup v2"


def image(*, takes_a_port=False):
    return Image("sha256:1", "model:1", "model:1", "amd64", takes_a_port)


def one_core(**changes):
    return Limits(
        **{
            "cpu": "pinned to core 1",
            "cores": (1,),
            "quota_ratio": None,
            "memory": "none",
            "memory_gib": None,
            **changes,
        }
    )


def test_the_engine_named_by_the_user_is_the_only_one_asked():
    assert sockets({"DOCKER_HOST": "unix:///home/me/own.sock"}) == (Path("/home/me/own.sock"),)


def test_dockers_and_podmans_usual_places_are_looked_at():
    places = sockets({"XDG_RUNTIME_DIR": "/run/user/7"})
    assert [str(place) for place in places] == [
        "/var/run/docker.sock",
        "/run/user/7/docker.sock",
        "/run/user/7/podman/podman.sock",
        "/run/podman/podman.sock",
    ]


@pytest.mark.parametrize("host", ["tcp://build-server:2375", "ssh://me@there"])
def test_an_engine_on_another_machine_is_refused(host, tmp_path):
    with pytest.raises(EngineUnavailable, match="another machine") as caught:
        open_engine(Journal(tmp_path), {"DOCKER_HOST": host})
    assert "unset DOCKER_HOST" in caught.value.hint


def test_no_engine_is_told_with_all_that_was_looked_for(tmp_path, monkeypatch):
    nowhere = tmp_path / "docker.sock"
    monkeypatch.setattr("loadtests.targets.container_engine.sockets", lambda _: (nowhere,))
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(EngineUnavailable) as caught:
        open_engine(Journal(tmp_path / "journal"))
    assert f"{nowhere}, and for the program podman" in str(caught.value)
    assert caught.value.hint


def test_a_podman_that_does_not_come_up_is_told_in_its_own_words(tmp_path, monkeypatch):
    program = tmp_path / "podman"
    program.write_text("#!/bin/sh\necho cannot set up namespace >&2\nexit 125\n")
    program.chmod(0o755)
    monkeypatch.setattr("loadtests.targets.container_engine.sockets", lambda _: ())
    monkeypatch.setattr("shutil.which", lambda _: str(program))
    journal = Journal(tmp_path / "journal")
    with pytest.raises(EngineUnavailable, match="cannot set up namespace") as caught:
        open_engine(journal)
    assert "podman info" in caught.value.hint
    assert journal.entries() == ()


def test_a_container_whose_engine_does_not_answer_stays_in_the_journal(tmp_path):
    journal = Journal(tmp_path / "journal")
    entry = journal.container("container of model:1", tmp_path / "docker.sock")
    with pytest.raises(LoadTestError, match="no container engine answers"):
        journal.clean(entry)
    assert journal.entries() == (entry,)


def test_pulling_is_told_in_parts_of_the_whole():
    layer = {"status": "Downloading", "id": "a"}
    events = [
        {"status": "Pulling from library/model", "id": "1"},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 0, "total": 300}},
        {"status": "Downloading", "id": "b", "progressDetail": {"current": 50, "total": 100}},
        {**layer, "progressDetail": {"current": 150, "total": 300}},
        {**layer, "progressDetail": {"current": 151, "total": 300}},
        {"status": "Extracting", "id": "a", "progressDetail": {"current": 9, "total": 900}},
    ]
    told = list(_pull_progress(events))
    assert told == ["Pulling from library/model", "0 %", "12 %", "50 %"]


def test_an_error_in_a_stream_is_raised_once_the_stream_is_read():
    read = []

    def events():
        for event in ({"stream": "a"}, {"error": "no space left"}, {"stream": "b"}):
            read.append(event)
            yield event

    with pytest.raises(OSError, match="no space left"):
        list(_without_errors(events()))
    assert len(read) == 3


@given(st.lists(st.text("ab\n", max_size=4), max_size=6))
def test_lines_do_not_depend_on_where_the_stream_is_cut(pieces):
    whole = "".join(pieces)
    lines = list(_lines({"stream": piece} for piece in pieces))
    assert lines == whole.removesuffix("\n").split("\n") if whole else not lines


def test_a_labelled_image_uses_the_machines_network_where_that_is_ours():
    labelled, spec = image(takes_a_port=True), ContainerSpec("model:1")
    here = route_to(labelled, ToldEngine(), spec, 5555)
    assert (here.network, here.port_inside, here.is_published) == ("host", 5555, False)
    in_a_vm = route_to(labelled, ToldEngine(shares_our_kernel=False), spec, 5555)
    assert (in_a_vm.network, in_a_vm.port_inside, in_a_vm.is_published) == ("bridge", 8080, True)
    assert (
        route_to(image(), ToldEngine(), ContainerSpec("model:1", port=5000), 1).port_inside == 5000
    )


def test_a_quota_has_a_short_period_and_no_swap_is_added(tmp_path):
    spec, engine = ContainerSpec("model:1"), ToldEngine()
    route = route_to(image(), engine, spec, 5555)
    limits = one_core(quota_ratio=0.25, memory_gib=0.5)
    settings = host_settings(spec, limits, route, engine, tmp_path)
    assert (settings["cpu_quota"], settings["cpu_period"]) == (2_500, 10_000)
    assert settings["cpuset_cpus"] == "1"
    assert settings["mem_limit"] == settings["memswap_limit"] == 2**29
    assert settings["port_bindings"] == {8080: ("127.0.0.1", 5555)}
    whole = host_settings(spec, one_core(), route, engine, tmp_path)
    assert not {"cpu_quota", "mem_limit"} & whole.keys()


def test_the_model_is_mounted_read_only_and_only_when_there_is_one(tmp_path):
    engine = ToldEngine()

    def binds(spec):
        route = route_to(image(), engine, spec, 5555)
        return host_settings(spec, one_core(), route, engine, tmp_path)["binds"]

    given = binds(ContainerSpec("model:1", model_dir=tmp_path))
    assert given[str(tmp_path)] == {"bind": "/opt/ml/model", "mode": "ro"}
    without = {bind["bind"] for bind in binds(ContainerSpec("model:1")).values()}
    assert without == {"/opt/ml/input", "/opt/ml/output"}


@pytest.mark.parametrize(("gpus", "count"), [("all", -1), (2, 2)])
def test_docker_is_asked_for_gpus(tmp_path, gpus, count):
    spec, engine = ContainerSpec("model:1", gpus=gpus), ToldEngine()
    route = route_to(image(), engine, spec, 5555)
    (asked,) = host_settings(spec, one_core(), route, engine, tmp_path)["device_requests"]
    assert asked == {"count": count, "capabilities": [["gpu"]]}


def test_the_users_variables_win_and_know_the_port():
    spec = ContainerSpec("model:1", environment={"SM_NUM_CPUS": "9", "URL": "http://x:{port}"})
    route = route_to(image(takes_a_port=True), ToldEngine(), spec, 5555)
    variables = container_environment(spec, route, 2)
    assert variables["SM_NUM_CPUS"] == "9"
    assert variables["URL"] == "http://x:5555"
    assert variables["SAGEMAKER_BIND_TO_PORT"] == "5555"


@pytest.mark.parametrize(
    ("sizing", "engine", "what"),
    [
        (Sizing(vcpus=1), ToldEngine(limits_cpu=False), "CPU"),
        (Sizing(memory_gib=0.1), ToldEngine(limits_memory=False), "memory"),
    ],
)
def test_an_engine_that_cannot_hold_the_size_is_refused(sizing, engine, what):
    with pytest.raises(LimitUnavailable, match=f"cannot limit a container's {what}"):
        container_limits(sizing, capabilities(), None, engine)


def test_an_engine_without_limits_will_do_where_none_is_asked():
    engine = ToldEngine(limits_cpu=False, limits_memory=False)
    limits = container_limits(Sizing(), capabilities(), None, engine)
    assert limits.quota_ratio is None
    assert limits.memory == "none"


def test_the_engines_control_groups_are_named():
    limits = container_limits(Sizing(0.5, 0.25), capabilities(), None, ToldEngine())
    assert limits.cpu.startswith("cgroup v2 quota 0.5 of period 10 ms")
    assert limits.memory == "cgroup v2"


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"image": " "}, "no name"),
        ({"model_dir": Path("/no/such/folder")}, "is not a folder"),
        ({"port": 0}, "no port"),
        ({"gpus": 0}, "0 GPUs"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(wrong, what):
    with pytest.raises(UsageError, match=what):
        ContainerSpec(**{"image": "model:1", **wrong})


def test_a_folder_without_a_dockerfile_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no Dockerfile"):
        Build(tmp_path)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ('exec: "serve": executable file not found in $PATH', "docker run IMAGE serve"),
        ("exec /usr/bin/serve: exec format error", "architecture"),
        ('could not select device driver "" with capabilities: [[gpu]]', "toolkit"),
    ],
)
def test_what_engines_say_is_explained(words, cause):
    assert cause in advice_on_refusal(words)


def test_what_is_not_understood_is_not_explained():
    assert advice_on_refusal("the moon is full") is None


@pytest.mark.parametrize(
    "line",
    [
        "[ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?",
        "[WARNING] Worker with pid 9 was terminated due to signal 9",
    ],
)
def test_gunicorns_words_for_a_killed_worker_are_known(line):
    assert says_out_of_memory(("[INFO] Booting worker", line))
    assert not says_out_of_memory(("[INFO] Booting worker",))


CONTAINER = "0123456789abcdef"


@pytest.fixture
def machine(tmp_path):
    """A made-up /proc and control group tree: how they are mounted, and where process 42 is."""

    def make(mounted, own, folders):
        proc, tree = tmp_path / "proc", tmp_path / "tree"
        (proc / "42").mkdir(parents=True)
        (proc / "self").mkdir()
        (proc / "42/cgroup").write_text(own)
        (proc / "self/mountinfo").write_text(mounted.replace("TREE", str(tree)))
        for folder in folders:
            (tree / folder).mkdir(parents=True)
        return proc, tree

    return make


V1_MOUNTS = """\
32 31 0:29 / TREE/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / TREE/memory rw - cgroup cgroup rw,memory
41 31 0:38 / TREE/unified rw - cgroup2 cgroup2 rw
"""
V2_MOUNTS = "41 31 0:38 / TREE rw - cgroup2 cgroup2 rw\n"


def test_a_container_is_found_in_version_1(machine):
    name = f"libpod_parent/libpod-{CONTAINER}"
    places = [f"{part}/{name}" for part in ("cpu,cpuacct", "memory", "unified")]
    own = f"4:memory:/{name}\n3:cpu,cpuacct:/{name}\n0::/{name}\n"
    proc, tree = machine(V1_MOUNTS, own, places)
    group = container_group(42, CONTAINER, proc)
    assert isinstance(group, GroupV1)
    assert dict(group.folders) == {
        "cpu": tree / places[0],
        "cpuacct": tree / places[0],
        "memory": tree / places[1],
    }


@pytest.mark.parametrize("below", ["", "/container"])
def test_a_container_is_found_in_version_2_with_what_is_below_it(machine, below):
    name = f"system.slice/docker-{CONTAINER}.scope"
    proc, tree = machine(V2_MOUNTS, f"0::/{name}{below}\n", [f"{name}{below}"])
    group = container_group(42, CONTAINER, proc)
    assert isinstance(group, GroupV2)
    assert group.folder == tree / name


def test_another_process_of_the_same_number_is_not_taken_for_it(machine):
    """A container in a virtual machine has process ids of its own."""
    proc, _ = machine(V2_MOUNTS, "0::/user.slice\n", ["user.slice"])
    assert container_group(42, CONTAINER, proc) is None


def test_a_process_that_is_not_seen_has_no_group(machine):
    proc, _ = machine(V2_MOUNTS, "0::/user.slice\n", ["user.slice"])
    assert container_group(43, CONTAINER, proc) is None
