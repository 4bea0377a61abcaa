import os
import signal
import time
from contextlib import suppress

import psutil
import pytest

from loadtests.errors import (
    LoadTestError,
    PayloadRejected,
    TargetDied,
    TargetExited,
    TargetNotReady,
    TargetUnreachable,
    UsageError,
)
from loadtests.monitor import busy_s_by_core
from loadtests.targets import ProcessSpec, Sizing, exchange, running, try_payload
from loadtests.targets.processes import ProcessIdentity, is_living, with_token

pytestmark = pytest.mark.beside

TEXT = "text/plain"


def tree_of(target):
    return [psutil.Process(target._supervised.pid), *children_of(target)]


def children_of(target):
    return psutil.Process(target._supervised.pid).children(recursive=True)


def ask(target, words):
    return try_payload(target, words.encode(), content_type=TEXT).body.decode()


def test_a_command_that_ends_at_once_is_told_with_its_status_and_last_lines(make_target, journal):
    target = make_target("broken")
    with pytest.raises(TargetExited) as caught, running(target):
        pass
    assert "exit status 3" in str(caught.value)
    assert "| loading the model" in str(caught.value)
    assert "Python module is missing" in caught.value.hint
    assert caught.value.exit_code == 1
    assert journal.entries() == ()


def test_a_program_that_does_not_exist_is_told_and_leaves_nothing(make_target, journal):
    target = make_target(command="no-such-program-here {port}")
    with pytest.raises(TargetExited, match="could not execute no-such-program-here: No such file"):
        target.launch()
    assert journal.entries() == ()


def test_a_command_killed_by_a_signal_names_it(make_target):
    with (
        pytest.raises(TargetExited, match=r"signal 11 \(SIGSEGV\)"),
        running(make_target(command="sh -c 'kill -SEGV $$'")),
    ):
        pass


def test_a_command_that_goes_to_the_background_is_told_to_stay(make_target):
    target = make_target("backgrounded")
    with (
        pytest.raises(TargetExited, match="left running, and we stopped: python") as caught,
        running(target),
    ):
        pass
    assert "foreground" in caught.value.hint


def test_a_target_that_never_listens_says_so(make_target):
    target = make_target("idle", startup_timeout_s=0.5)
    with pytest.raises(TargetNotReady, match="listens on no port"), running(target):
        pass


def test_a_target_that_never_answers_the_ping_is_given_up_in_time(make_target):
    target = make_target("mute", startup_timeout_s=1.0, ping_timeout_s=0.3)
    begun = time.perf_counter()
    with pytest.raises(TargetNotReady, match=r"no answer within 0\.3 s"), running(target):
        pass
    assert time.perf_counter() - begun < 20


def test_a_target_on_another_port_says_which(make_target):
    target = make_target("other-port", startup_timeout_s=1.0)
    with pytest.raises(TargetNotReady) as caught, running(target):
        pass
    (line,) = (line for line in target.log_tail() if line.startswith("listening on"))
    assert f"listens on {line.split()[-1]}" in str(caught.value)
    assert "{port}" in caught.value.hint


def test_a_ping_that_is_not_200_is_not_ready(make_target):
    target = make_target("no-ping", startup_timeout_s=1.0)
    with pytest.raises(TargetNotReady, match="answers 404 to the ping") as caught, running(target):
        pass
    assert "--ping-path" in caught.value.hint


def test_a_proxy_whose_back_end_still_starts_is_waited_for(make_target):
    seen = []
    with running(make_target("behind-a-proxy"), seen.append) as setup:
        assert setup.ready_s > 0
    assert [waiting.last for waiting in seen][-3:] == ["502", "503", "502"]


def test_waiting_is_shown(make_target):
    seen = []
    with running(make_target(), seen.append):
        pass
    assert seen[0].last == "connection refused"
    assert seen[0].timeout_s == 480


def test_a_target_that_ignores_sigterm_is_killed_after_its_grace(make_target):
    target = make_target("stubborn", stop_grace_s=0.3)
    target.launch()
    target.ready()
    tree = tree_of(target)
    target.stop()
    assert not [process for process in tree if process.is_running()]


@pytest.mark.parametrize("fault", ["daemon", "scrubbed-daemon"])
def test_a_daemon_of_two_forks_does_not_outlive_its_target(make_target, fault):
    target = make_target(fault)
    target.launch()
    target.ready()
    tree = tree_of(target)
    assert len(tree) == 3  # supervisor, server, daemon
    target.stop()
    assert not [process for process in tree if process.is_running()]


def test_stop_may_come_before_launch_and_twice(make_target, journal):
    target = make_target()
    target.stop()
    target.launch()
    target.stop()
    target.stop()
    assert journal.entries() == ()


def test_a_stopped_target_can_be_launched_again(make_target):
    target = make_target()
    for _ in range(2):
        with running(target):
            assert ask(target, "hello") == "hello"


def test_launching_twice_is_refused(make_target):
    target = make_target()
    with running(target), pytest.raises(LoadTestError, match="launched already"):
        target.launch()


def test_a_target_that_ends_during_the_test_is_noticed(make_target):
    target = make_target()
    with running(target):
        target.check()
        with pytest.raises(TargetDied, match="exit status 7"):
            ask(target, "exit 7")


def test_a_killed_supervisor_takes_its_command_along_and_is_told(make_target, eventually, journal):
    target = make_target()
    target.launch()
    target.ready()
    tree = tree_of(target)
    os.kill(target._supervised.pid, signal.SIGKILL)
    assert eventually(lambda: not [p for p in tree[1:] if is_living(p.pid)])
    with pytest.raises(TargetDied, match="supervisor was killed"):
        target.check()
    target.stop()
    assert journal.entries() == ()


def test_the_environment_is_the_contracts_and_the_users_wins(make_target, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    target = make_target(
        environment={"MINE": "at {port}", "SM_NUM_CPUS": "5"},
        model_dir=model,
        sizing=Sizing(vcpus=1),
    )
    with running(target):
        port = target.describe().base_url.rsplit(":", 1)[-1]
        assert ask(target, "env SAGEMAKER_BIND_TO_PORT") == port
        assert ask(target, "env PORT") == port
        assert ask(target, "env SM_MODEL_DIR") == str(model)
        assert ask(target, "env MINE") == f"at {port}"
        assert ask(target, "env SM_NUM_CPUS") == "5"


def test_a_whole_vcpu_is_one_core(make_target):
    target = make_target(sizing=Sizing(vcpus=1))
    with running(target):
        (server,) = children_of(target)
        assert len(server.cpu_affinity()) == 1
        assert target.describe().limits.cores == tuple(server.cpu_affinity())
        assert ask(target, "env SM_NUM_CPUS") == "1"


def test_shell_syntax_gets_a_shell_and_still_ends_with_it(make_target, server):
    python, script, _, _ = server()
    target = make_target(
        command=f"GREETING=hello; export GREETING; {python} {script} none {{port}}"
    )
    with running(target):
        assert ask(target, "env GREETING") == "hello"
        tree = tree_of(target)
    assert not [process for process in tree if process.is_running()]


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("serve --bind 127.0.0.1:{port}", ["serve", "--bind", "127.0.0.1:80"]),
        ("gunicorn 'app:create(\"a\")'", ["gunicorn", 'app:create("a")']),
        ('serve "a;b|c"', ["serve", "a;b|c"]),
        ("A=1 serve", ["/bin/sh", "-c", "A=1 serve"]),
        ("serve $HOME", ["/bin/sh", "-c", "serve $HOME"]),
        ("serve > log", ["/bin/sh", "-c", "serve > log"]),
        ("prepare && serve", ["/bin/sh", "-c", "prepare && serve"]),
        (("serve", "a b", "{port}"), ["serve", "a b", "80"]),
    ],
)
def test_a_command_is_read_as_a_shell_would(command, arguments):
    assert ProcessSpec(command).arguments(port=80) == arguments


@pytest.mark.parametrize("command", ["", "   ", (), "serve 'half"])
def test_a_command_that_is_none_is_refused(command):
    with pytest.raises(UsageError):
        ProcessSpec(command)


def test_a_rejected_payload_quotes_the_answer(make_target):
    target = make_target()
    with running(target):
        with pytest.raises(PayloadRejected, match="answered 415: the model says no") as caught:
            ask(target, "status 415")
        assert "--content-type" in caught.value.hint
        with pytest.raises(PayloadRejected, match="answered 500") as caught:
            ask(target, "status 500")
        assert "| listening on" in caught.value.hint


def burned_s(target, verb):
    before = target.usage().cpu_s
    ask(target, f"{verb} 1.0")
    return target.usage().cpu_s - before


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["burn", "burn-in-a-child"])
def test_cpu_seconds_are_counted_over_the_whole_tree(make_target, verb):
    target = make_target()
    with running(target):
        assert burned_s(target, verb) == pytest.approx(1.0, rel=0.15)
        assert target.usage().source == "control group" or "process tree" in target.usage().source


@pytest.mark.usefixtures("no_groups")
@pytest.mark.slow
@pytest.mark.parametrize("verb", ["burn", "burn-in-a-child"])
def test_cpu_seconds_are_counted_without_control_groups(make_target, verb):
    target = make_target()
    with running(target):
        assert burned_s(target, verb) == pytest.approx(1.0, rel=0.15)
        assert target.usage().source == "process tree"


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.usefixtures("needs_quota")
def test_half_a_vcpu_gets_half_the_cpu(make_target):
    target = make_target(sizing=Sizing(vcpus=0.5))
    with running(target):
        limits = target.describe().limits
        assert limits.quota_ratio == 0.5
        assert "quota 0.5 of period 10 ms" in limits.cpu
        begun = time.perf_counter()
        used_s = burned_s(target, "burn")
        ratio = used_s / (time.perf_counter() - begun)
        assert ratio < 0.56  # a busy machine may give less, the quota never more
        assert target.usage().throttled_s > 0.2


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.usefixtures("needs_quota")
@pytest.mark.parametrize("vcpus", [0.25, 0.5, 0.75])
def test_what_a_quota_holds_back_does_not_pass_for_a_neighbour(make_target, vcpus):
    """By the kernel's ticks its core is busier than it is by 5 to 20 %, every time."""
    with running(target := make_target(sizing=Sizing(vcpus=vcpus))):
        (core,) = target.describe().limits.cores

        def others_ratio():
            begun, busy_s = time.perf_counter(), busy_s_by_core()[core]
            used_s = burned_s(target, "burn")
            others_s = busy_s_by_core()[core] - busy_s - used_s
            return others_s / (time.perf_counter() - begun)

        assert abs(min((others_ratio() for _ in range(3)), key=abs)) < 0.04


def test_memory_in_use_is_seen_and_its_peak_kept(make_target):
    target = make_target()
    with running(target):
        before = target.usage().memory_bytes
        ask(target, "hoard 64")
        grown = target.usage().memory_bytes - before
        assert 60 << 20 < grown < 80 << 20
    assert target.usage().memory_peak_bytes >= before + (60 << 20)


@pytest.mark.usefixtures("needs_memory_group")
def test_a_memory_limit_that_is_hit_is_named(make_target):
    target = make_target(sizing=Sizing(memory_gib=0.0625))
    with (
        running(target),
        pytest.raises(TargetDied, match=r"memory limit of 0\.0625 GiB") as caught,
    ):
        ask(target, "hoard 200")
    assert "--memory-gib" in caught.value.hint


@pytest.mark.usefixtures("no_groups")
def test_a_watched_memory_limit_that_is_hit_is_named(make_target, eventually):
    target = make_target(sizing=Sizing(memory_gib=0.0625))
    with running(target):
        assert target.describe().limits.memory == "watched every 0.1 s"
        with suppress(TargetUnreachable):  # killed before or after it could answer
            exchange(target.describe().base_url, method="POST", body=b"hoard 200")
        assert eventually(lambda: target._watch.reached_bytes is not None)
        with pytest.raises(TargetDied, match=r"passed its memory limit of 0\.0625 GiB"):
            target.check()


@pytest.mark.usefixtures("no_groups")
def test_a_fraction_of_a_vcpu_needs_control_groups(make_target):
    with pytest.raises(LoadTestError, match="needs control groups") as caught:
        make_target(sizing=Sizing(vcpus=0.5)).launch()
    assert "whole vCPUs" in caught.value.hint


def test_every_process_carries_the_journals_token(make_target, journal):
    target = make_target("daemon")
    with running(target):
        entry = next(entry for entry in journal.entries() if entry.kind == "process")
        carriers = with_token(*next(iter(entry.token.items())))
        assert sorted(carriers) == sorted(process.pid for process in tree_of(target))
        assert entry.supervisor == ProcessIdentity.of(target._supervised.pid)
