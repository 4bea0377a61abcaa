"""Real containers of a small server whose faults are switched on by FAULT; no image registry."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest
from container_images import load_empty_image

from loadtests.errors import (
    EngineUnavailable,
    ImageUnavailable,
    LimitUnavailable,
    LoadTestError,
    TargetDied,
    TargetExited,
    TargetNotReady,
)
from loadtests.journal import Journal, Kind
from loadtests.monitor import busy_s_by_core
from loadtests.targets import (
    Build,
    ContainerSpec,
    ContainerTarget,
    Sizing,
    capabilities,
    running,
    try_payload,
)
from loadtests.targets.container_engine import connect, open_engine
from loadtests.targets.control_groups import PREFIX

pytestmark = [pytest.mark.podman, pytest.mark.usefixtures("engine"), pytest.mark.beside]

TEXT = "text/plain"
TRIES = 6
QUIET_RATIO = 0.05  # of the container's core, used by others
SMALL = Sizing(vcpus=0.5, memory_gib=0.125)


@pytest.fixture
def make(server_images, tmp_path, journal):
    """Targets that are stopped at the end of the test whatever it did."""
    made = []

    def target(fault="none", *, kind="plain", sizing=SMALL, **spec):
        workspace = tmp_path / f"workspace-{len(made)}"
        workspace.mkdir()
        spec = {"image": f"{server_images}-{kind}", "stop_grace_s": 1.0, **spec}
        spec["environment"] = {"FAULT": fault, **spec.get("environment", {})}
        made.append(ContainerTarget(ContainerSpec(**spec), sizing, workspace, journal))
        return made[-1]

    yield target
    for each in made:
        each.stop()


def ask(target, words):
    return try_payload(target, words.encode(), content_type=TEXT).body.decode()


def names_of(engine):
    listed = engine.client.containers(all=True)
    return {name.strip("/") for each in listed for name in each["Names"]}


def test_the_size_asked_for_is_the_kernels_own(make):
    with running(target := make(sizing=Sizing(vcpus=0.5, memory_gib=0.125))):
        (folder, *_) = target._container.group.paths
        (server,) = target._container.pids()
        limits = target.describe().limits
        values = {
            path.name: path.read_text().split()
            for each in target._container.group.paths
            for path in each.iterdir()
            if path.name in {"cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"}
            or path.name in {"memory.max", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}
        }
        quota = values.get("cpu.max") or [
            *values["cpu.cfs_quota_us"],
            *values["cpu.cfs_period_us"],
        ]
        assert [int(value) for value in quota] == [5_000, 10_000]
        for name in values.keys() & {"memory.max", "memory.limit_in_bytes"}:
            assert values[name] == [str(2**27)]
        assert values.get("memory.memsw.limit_in_bytes", [str(2**27)]) == [str(2**27)]
        assert folder.is_dir()
        assert tuple(psutil.Process(server).cpu_affinity()) == limits.cores
        assert len(limits.cores) == 1
        assert limits.quota_ratio == 0.5
    assert not folder.exists()


def test_whole_cores_are_pinned_and_have_no_quota(make):
    with running(target := make(sizing=Sizing(vcpus=1))):
        (server,) = target._container.pids()
        assert len(psutil.Process(server).cpu_affinity()) == 1
        ask(target, "burn 100")
        assert not target.usage().throttled_s
        assert target.describe().limits.cpu.startswith("pinned to core")


def test_it_is_started_as_sagemaker_starts_it(make, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("0.5")
    environment = {"MY_PORT": "at {port}"}
    with running(target := make(model_dir=model, environment=environment)):
        assert ask(target, "arguments") == ""  # `serve` was the program's name
        assert ask(target, "read /opt/ml/model/weights") == "0.5"
        assert ask(target, "variable SAGEMAKER_BIND_TO_PORT") == "8080"
        assert ask(target, "variable MY_PORT") == "at 8080"
        assert ask(target, "write /opt/ml/output/answer") == "written"
        with pytest.raises(LoadTestError, match="Read-only file system"):
            ask(target, "write /opt/ml/model/weights")
        assert "serve" in target.describe().started_from
    assert (tmp_path / "workspace-0/opt/ml/output/answer").read_text() == "written"
    assert (model / "weights").read_text() == "0.5"


def test_an_image_that_takes_a_port_is_reached_without_translation(make):
    with running(target := make(kind="labelled")):
        description = target.describe()
        port = description.base_url.rpartition(":")[2]
        assert ask(target, "variable SAGEMAKER_BIND_TO_PORT") == port != "8080"
        assert "own network" in " ".join(description.notes)


def test_an_image_that_does_not_say_so_is_reached_by_a_published_port(make):
    with running(target := make()):
        assert ask(target, "hello") == "hello"
        assert "published" in " ".join(target.describe().notes)


def test_nothing_is_left_of_it(make, engine, journal):
    with running(make()):
        (entry,) = (each for each in journal.entries() if each.kind is Kind.CONTAINER)
        assert PREFIX + entry.id in names_of(engine)
    assert PREFIX + entry.id not in names_of(engine)
    assert journal.entries() == ()


def test_an_end_at_start_is_told_with_its_status_and_last_lines(make, journal):
    with pytest.raises(TargetExited) as caught, running(make("broken")):
        pass
    assert "exit status 3" in str(caught.value)
    assert "| loading the model" in str(caught.value)
    assert journal.entries() == ()


def test_a_missing_file_is_told(make):
    with pytest.raises(TargetExited, match="exit status 1") as caught, running(make("no-model")):
        pass
    assert "/opt/ml/model" in caught.value.hint


def test_an_image_without_the_program_is_told_what_sagemaker_does(make, journal):
    with pytest.raises(TargetExited, match=r"train-me.*executable file not found") as caught:
        make(command=("train-me",)).launch()
    assert "docker run IMAGE serve" in caught.value.hint
    assert journal.entries() == ()


@pytest.mark.parametrize("kind", ["plain", "labelled"])
def test_a_server_on_another_port_says_which(make, kind):
    target = make("other-port", kind=kind, startup_timeout_s=2.0)
    with pytest.raises(TargetNotReady) as caught, running(target):
        pass
    port = 8080 if kind == "plain" else int(target.describe().base_url.rpartition(":")[2])
    assert f"port {port} and listens on {port + 1}" in str(caught.value)
    assert ("say which port" if kind == "plain" else "BIND_TO_PORT says") in caught.value.hint


def test_a_server_that_only_its_own_container_can_reach_says_so(make):
    target = make("inside-only", startup_timeout_s=2.0)
    with pytest.raises(TargetNotReady, match="answered no ping") as caught, running(target):
        pass
    assert "127.0.0.1 is its own to reach" in caught.value.hint


def test_a_server_that_does_not_listen_says_so(make):
    with (
        pytest.raises(TargetNotReady, match="listens on no port"),
        running(make("idle", startup_timeout_s=2.0)),
    ):
        pass


def test_a_ping_that_is_not_200_is_not_ready(make):
    with (
        pytest.raises(TargetNotReady, match="answers 404 to the ping") as caught,
        running(make("no-ping", startup_timeout_s=2.0)),
    ):
        pass
    assert "--ping-path" in caught.value.hint


def test_a_worker_that_passes_the_memory_limit_is_seen(make):
    with running(target := make()):
        target.check()
        assert ask(target, "fill-in-a-child 300") == "-9"
        with pytest.raises(TargetDied, match=r"memory limit of 0\.125 GiB") as caught:
            target.check()
    assert "--memory-gib" in caught.value.hint


def test_a_first_process_that_passes_the_memory_limit_is_seen(make, eventually):
    """Podman's own flag says no here, and the kernel's count went with the group."""
    with running(target := make()):
        with pytest.raises(LoadTestError):
            ask(target, "fill 300")
        assert eventually(lambda: target._container.exit() is not None)
        with pytest.raises(TargetDied, match=r"it was killed at its memory limit of 0\.125 GiB"):
            target.check()
    assert not Path("oom").exists()  # left by the container's monitor where its service was begun


@pytest.mark.alone  # the kernel counts what it kills for want of memory for the whole machine
def test_a_kill_from_outside_is_not_taken_for_the_memory_limit(make, eventually):
    with running(target := make()):
        (server,) = target._container.pids()
        psutil.Process(server).kill()
        assert eventually(lambda: target._container.exit() is not None)
        with pytest.raises(TargetDied, match=r"exit status 137 \(128 \+ 9, SIGKILL\)"):
            target.check()


def test_a_container_that_others_removed_is_dead_and_can_be_stopped(make, engine, eventually):
    with running(target := make()):
        engine.client.remove_container(target._container.id, force=True)
        assert eventually(lambda: target._container.exit() is not None)
        with pytest.raises(TargetDied, match="removed from outside"):
            target.check()


@pytest.mark.parametrize("at_once", [False, True])
def test_it_can_be_interrupted(make, eventually, at_once):
    with running(target := make()):
        target.interrupt(at_once=at_once)
        assert eventually(lambda: target._container.exit() is not None)
        assert target._container.exit().status == (137 if at_once else 0)
        target.interrupt(at_once=True)


def test_one_that_ignores_sigterm_is_killed_after_its_grace(make):
    target = make("stubborn", stop_grace_s=0.5)
    with running(target):
        (server,) = map(psutil.Process, target._container.pids())
    assert not server.is_running()


def test_a_stopped_one_can_be_launched_again(make):
    target = make()
    for _ in range(2):
        with running(target):
            assert ask(target, "hello") == "hello"


def test_use_is_also_known_where_the_groups_are_not_seen(make, monkeypatch):
    """As in a virtual machine: the engine is asked instead."""
    monkeypatch.setattr("loadtests.targets.container_running.container_group", lambda *_: None)
    with running(target := make()):
        before = target.usage()
        ask(target, "burn 200")
        after = target.usage()
        assert after.source == "the engine"
        assert 0.15 < after.cpu_s - before.cpu_s < 2
        assert after.memory_bytes > 2**20
        assert after.processes is None
        target.check()
        with pytest.raises(LoadTestError):
            ask(target, "exit 5")
        with pytest.raises(TargetDied, match="exit status 5"):
            target.check()


def test_an_image_that_cannot_be_pulled_is_told_by_name(make, journal):
    target = make(image="localhost:1/no/such:image")
    with pytest.raises(
        ImageUnavailable, match=r"localhost:1/no/such:image is not on this machine"
    ):
        target.launch()
    assert journal.entries() == ()


def dockerfile(tmp_path, *lines):
    folder = tmp_path / "My model"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    (folder / "note").write_text("as built")
    return folder


def test_a_dockerfile_is_built_once_and_started(make, server_images, tmp_path, engine):
    base = f"{server_images}-plain"
    folder = dockerfile(tmp_path, "ARG BASE", "FROM ${BASE}", "COPY note /note")
    told = []
    for _ in range(2):
        target = make(image=Build(folder, {"BASE": base}))
        target._told = told.append
        with running(target):
            assert ask(target, "read /note") == "as built"
            assert target.describe().label == "My model"
    assert [line for line in told if line.endswith("Dockerfile in " + str(folder))] == told[:1]
    image = target.describe().started_from.split()[0]
    engine.client.remove_image(image, force=True)


def test_a_dockerfile_that_fails_is_told_with_its_last_lines(make, server_images, tmp_path):
    folder = dockerfile(tmp_path, f"FROM {server_images}-plain", 'RUN ["/usr/bin/serve"]')
    with pytest.raises(ImageUnavailable, match="does not build") as caught:
        make(image=Build(folder)).launch()
    assert "| KeyError: 'SAGEMAKER_BIND_TO_PORT'" in str(caught.value)
    assert "docker build" in caught.value.hint


def test_an_image_for_another_processor_is_not_started(make, engine):
    other = "arm64" if engine.architecture == "amd64" else "amd64"
    name = f"localhost/recommender-test-{other}:latest"
    load_empty_image(engine.client, name, other)
    try:
        with pytest.raises(ImageUnavailable, match=f"built for {other}") as caught:
            make(image=name).launch()
    finally:
        engine.client.remove_image(name, force=True)
    assert engine.architecture in caught.value.hint


def test_podman_is_not_trusted_with_gpus(make, engine):
    if not engine.is_podman:
        pytest.skip("Docker hands out GPUs")
    with pytest.raises(LimitUnavailable, match="would run without"):
        make(gpus="all").launch()


RECOMMENDER = """
import sys, time
from pathlib import Path
from loadtests.journal import Journal
from loadtests.targets import ContainerSpec, ContainerTarget, Sizing, running

folder, image = sys.argv[1:]
journal = Journal(Path(folder))
with journal.workspace(Path(folder)) as workspace:
    target = ContainerTarget(ContainerSpec(image), Sizing(vcpus=0.5), workspace, journal)
    with running(target):
        print("ready", flush=True)
        time.sleep(300)
"""


@pytest.mark.parametrize("service", ["lives", "dies"])
def test_a_killed_run_is_cleaned_up(
    shared_engine, server_images, tmp_path, repository, monkeypatch, service
):
    """It has a Podman service of its own, since nobody's answers: that is cleaned up too."""
    if not shared_engine.is_podman:
        pytest.skip("Docker's service is not ours to start")
    monkeypatch.delenv("DOCKER_HOST")
    journal = Journal(tmp_path / "journal")
    with subprocess.Popen(
        [sys.executable, "-c", RECOMMENDER, str(journal.folder), f"{server_images}-plain"],
        stdout=subprocess.PIPE,
        cwd=repository,
        text=True,
    ) as run:
        assert run.stdout.readline() == "ready\n"
        (entry,) = (each for each in journal.entries() if each.kind is Kind.CONTAINER)
        services = [each for each in psutil.Process(run.pid).children() if each.name() == "podman"]
        if service == "dies":
            services[0].kill()
        run.kill()
    assert len(services) == 1
    assert PREFIX + entry.id in names_of(shared_engine)
    removed = journal.clean_leftovers()
    assert f"container {PREFIX}{entry.id}" in removed
    assert PREFIX + entry.id not in names_of(shared_engine)
    assert journal.entries() == ()
    assert not any(each.is_running() and each.status() != "zombie" for each in services)


def test_a_service_of_our_own_ends_with_its_engine(shared_engine, journal, monkeypatch):
    if not shared_engine.is_podman:
        pytest.skip("Docker's service is not ours to start")
    monkeypatch.delenv("DOCKER_HOST")
    engine = open_engine(journal)
    assert {entry.kind for entry in journal.entries()} == {Kind.PROCESS, Kind.FOLDER}
    socket = engine.socket
    engine.close()
    assert journal.entries() == ()
    assert connect(socket) is None
    assert not socket.exists()


def test_a_place_too_deep_for_a_socket_is_named(shared_engine, journal, monkeypatch, tmp_path):
    if not shared_engine.is_podman:
        pytest.skip("Docker's service is not ours to start")
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("deep" * 25)))
    with pytest.raises(EngineUnavailable, match="too long a name for a socket") as caught:
        open_engine(journal)
    assert "TMPDIR" in caught.value.hint
    assert journal.entries() == ()


def load(target, for_s):
    """CPU-seconds and answers per second under four closed-loop users; what others took of it."""
    cores = target.describe().limits.cores
    elsewhere = set(capabilities().cores) - set(cores)
    answered = []
    until = time.perf_counter() + for_s

    def user():
        if elsewhere:
            os.sched_setaffinity(0, elsewhere)  # of this thread alone
        while time.perf_counter() < until:
            ask(target, "burn-in-a-child 20")
            answered.append(None)

    def others_s():
        own_s = 0.0 if elsewhere else time.process_time()
        busy_s = busy_s_by_core()
        return sum(busy_s[core] for core in cores) - own_s

    users = [threading.Thread(target=user) for _ in range(4)]
    used, others, began = target.usage().cpu_s, others_s(), time.perf_counter()
    for each in users:
        each.start()
    for each in users:
        each.join()
    took_s = time.perf_counter() - began
    cpu_s = target.usage().cpu_s - used
    others_ratio = (others_s() - others - cpu_s) / took_s / len(cores)
    return cpu_s / took_s, len(answered) / took_s, others_ratio


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.locust
@pytest.mark.skipif(len(capabilities().cores) < 2, reason="there are no 2 vCPUs here")
def test_throughput_follows_the_cpu_quota(make):
    """Each request costs 20 ms of CPU by the kernel's count, and little else."""
    for _ in range(3):  # the host's own speed may change from one size to the next
        rates = {vcpus: rate_of(make, vcpus) / vcpus for vcpus in (0.25, 0.5, 1.0, 2.0)}
        if max(rates.values()) / min(rates.values()) < 1.1:
            break
    assert max(rates.values()) / min(rates.values()) < 1.1


def rate_of(make, vcpus):
    with running(target := make(sizing=Sizing(vcpus=vcpus, memory_gib=0.25))):
        load(target, 0.5)
        for _ in range(TRIES):
            # A part of a CPU answers fewer: as many are counted in more time.
            cpu, rate, others = load(target, 3.0 / min(vcpus, 1.0))
            if others < QUIET_RATIO:
                break
        else:
            pytest.skip(f"others used {others:.0%} of its cores")
    assert cpu == pytest.approx(vcpus, rel=0.1), f"{vcpus} vCPU used {cpu:.3f}"
    return rate


@pytest.mark.skipif(os.cpu_count() < 2, reason="one core")
def test_two_at_once_keep_their_own_sizes(make):
    first, second = make(sizing=Sizing(vcpus=0.25)), make(sizing=Sizing(vcpus=0.5))
    with running(first), running(second):
        assert ask(first, "hello") == ask(second, "hello") == "hello"
        assert first.describe().limits.quota_ratio == 0.25
        assert second.describe().limits.quota_ratio == 0.5
