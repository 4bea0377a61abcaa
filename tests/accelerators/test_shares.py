"""A share of a GPU: what is asked, what would be done, and how the block that gives it ends."""

import os
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.accelerators import (
    ELASTIC_INFERENCE,
    Accelerator,
    Found,
    describe_accelerators,
    find_gpus,
    granted,
    plan_share,
)
from loadtests.accelerators.trace import ReplayedNvml, read_trace
from loadtests.errors import LimitUnavailable, TargetDied, UsageError
from loadtests.journal import Journal

DATA = Path(__file__).parents[1] / "data"
CONTROL = "/usr/bin/nvidia-cuda-mps-control"


def found_in(name, mps=CONTROL):
    return replace(find_gpus(ReplayedNvml(read_trace(DATA / f"nvml-{name}.json"))), mps=mps)


H200, A100, P100 = (found_in(name) for name in ("h200", "a100-mig", "p100"))


def test_a_share_holds_threads_and_memory_by_mps():
    plan = plan_share(Accelerator(share_ratio=0.25), H200)
    gpu = H200.gpus[0]
    assert plan.environment == {
        "CUDA_VISIBLE_DEVICES": gpu.uuid,
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=35942M",
    }
    assert plan.words == "25 % of the threads and 35.1 GiB of GPU 0, NVIDIA H200, by MPS"
    assert plan.mps
    assert plan.assumption is None


def test_the_peak_of_an_h200_follows_from_its_cores_and_its_clock():
    """67 TFLOPS by the datasheet."""
    assert H200.gpus[0].fp32_tflops == pytest.approx(67, rel=0.01)


@given(st.floats(1e-6, 1))
def test_a_share_is_never_less_than_asked_and_never_nothing(ratio):
    plan = plan_share(Accelerator(share_ratio=ratio), H200)
    assert plan.share_ratio >= ratio - 1e-9
    assert plan.share_ratio <= ratio + 0.01 + 1e-9
    assert 0 < plan.memory_bytes <= H200.gpus[0].memory_bytes


def test_the_whole_gpu_needs_no_mps():
    plan = plan_share(Accelerator(), found_in("h200", mps=None))
    assert plan.environment == {"CUDA_VISIBLE_DEVICES": H200.gpus[0].uuid}
    assert not plan.mps


def test_less_memory_alone_is_a_share_too():
    plan = plan_share(Accelerator(share_ratio=1, memory_gib=8), H200)
    assert plan.mps
    assert plan.environment["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "100"
    assert plan.environment["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=8192M"


def test_an_elastic_inference_size_is_translated_and_the_assumption_is_told():
    plan = plan_share(Accelerator(elastic_inference="ml.eia2.xlarge"), H200)
    assert plan.share_ratio == 0.06  # 4 of 67 TFLOPS, rounded up
    assert plan.memory_bytes == 8 * 2**30
    assert "eia2.xlarge is 4 TFLOPS in single precision, 6 % of the 66.9" in plan.assumption
    assert "half precision" in plan.assumption


def test_larger_sizes_are_no_smaller_shares():
    for family in ("eia1", "eia2"):
        sizes = [each.name for each in ELASTIC_INFERENCE if each.name.startswith(family)]
        plans = [plan_share(Accelerator(elastic_inference=name), H200) for name in sizes]
        assert [each.share_ratio for each in plans] == sorted(each.share_ratio for each in plans)
        assert len({each.memory_bytes for each in plans}) == len(sizes) == 3


def test_where_mig_is_on_the_nearest_instance_is_taken():
    plan = plan_share(Accelerator(share_ratio=0.25), A100)
    part = A100.gpus[0].instances[1]
    assert plan.environment == {"CUDA_VISIBLE_DEVICES": part.uuid}
    assert plan.words.startswith("MIG instance 2g.10gb of GPU 0")
    assert plan.share_ratio == pytest.approx(2 / 7)
    assert "nearest to 25 %" in plan.assumption
    assert not plan.mps


def test_an_instance_is_taken_by_its_profile():
    plan = plan_share(Accelerator(mig="3g.20gb"), A100)
    assert plan.environment == {"CUDA_VISIBLE_DEVICES": A100.gpus[0].instances[0].uuid}
    assert plan.share_ratio == pytest.approx(3 / 7)
    assert plan.assumption is None


NONE_HERE = Found((), None, "NVML found no GPU: Driver Not Loaded", None)
DIVIDED_INTO_NOTHING = replace(A100, gpus=(replace(A100.gpus[0], instances=()),))


@pytest.mark.parametrize(
    ("asked", "found", "said"),
    [
        (Accelerator(), NONE_HERE, "no GPU here: NVML found no GPU: Driver Not Loaded"),
        (Accelerator(device=1), H200, "no GPU 1"),
        (Accelerator(share_ratio=0.5), P100, "from compute capability 7.0"),
        (Accelerator(share_ratio=0.5), found_in("h200", mps=None), "is not installed"),
        (Accelerator(share_ratio=0.5, memory_gib=500), H200, "500 GiB cannot be given"),
        (Accelerator(mig="1g.18gb"), H200, "we never divide one"),
        (Accelerator(mig="7g.40gb"), A100, "no MIG instance 7g.40gb"),
        (Accelerator(share_ratio=0.5), DIVIDED_INTO_NOTHING, "no instance was made"),
    ],
)
def test_what_cannot_be_given_is_refused_with_the_reason(asked, found, said):
    with pytest.raises(LimitUnavailable, match=said):
        plan_share(asked, found)


@pytest.mark.parametrize(
    "wrong",
    [
        {"share_ratio": 0},
        {"share_ratio": 1.5},
        {"device": -1},
        {"share_ratio": 0.5, "mig": "1g.5gb"},
        {"elastic_inference": "eia3.medium"},
        {"mig": "1g.5gb", "memory_gib": 2},
        {"share_ratio": 0.5, "memory_gib": -1},
    ],
)
def test_a_question_that_makes_no_sense_is_refused_at_once(wrong):
    with pytest.raises(UsageError):
        Accelerator(**wrong)


def test_a_machine_without_a_gpu_says_so_in_a_line():
    assert describe_accelerators(NONE_HERE) == (
        "no GPU here: NVML found no GPU: Driver Not Loaded",
    )


def test_each_way_to_share_is_in_the_line():
    assert describe_accelerators(H200) == (
        "GPU 0, NVIDIA H200: 140 GiB, compute capability 9.0, driver 580.159.03, shares by MPS",
    )
    assert describe_accelerators(A100)[0].endswith(
        "divided by MIG (3g.20gb, 2g.10gb, 1g.5gb, 1g.5gb)"
    )
    assert describe_accelerators(P100)[1].endswith("no shares: MPS needs compute capability 7.0")


# As much of the driver's program as we use: -f is the daemon, which starts a server for its first
# client; without it, commands come on standard input.
STAND_IN = f"""#!{sys.executable}
import os, pathlib, signal, subprocess, sys, time
pipes = pathlib.Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"])
if sys.argv[1:] == ["-f"]:
    if os.environ["CUDA_VISIBLE_DEVICES"].endswith("refused"):
        sys.exit("Cannot find MPS control daemon process")
    assert pathlib.Path(os.environ["CUDA_MPS_LOG_DIRECTORY"]).is_dir()
    (pipes / "nvidia-cuda-mps-control.pid").write_text(str(os.getpid()))
    while not (pipes / "client").exists():
        time.sleep(0.01)
    server = subprocess.Popen(["sleep", "300"], start_new_session=True)
    (pipes / "server").write_text(str(server.pid))
    time.sleep(300)
elif (said := sys.stdin.read().strip()) == "quit":
    (pipes / "said").write_text(said)
elif said == "get_server_list" and (pipes / "server").exists():
    print((pipes / "server").read_text())
"""


@pytest.fixture
def control(tmp_path):
    program = tmp_path / "nvidia-cuda-mps-control"
    program.write_text(STAND_IN)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def wait_for(file):
    ends_s = time.monotonic() + 10
    while not file.exists() or not file.read_text():
        assert time.monotonic() < ends_s
        time.sleep(0.01)
    return int(file.read_text())


def test_the_daemon_lives_as_long_as_the_block_and_leaves_nothing(control, tmp_path):
    journal = Journal(tmp_path / "journal")
    found = replace(H200, mps=control)
    with granted(Accelerator(share_ratio=0.25), journal, tmp_path / "gpu", found) as grant:
        (entry,) = journal.entries()
        assert entry.what == "MPS control daemon"
        assert grant.environment["CUDA_MPS_PIPE_DIRECTORY"] == str(grant.folder)
        assert grant.environment["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "25"
        assert "25 % of the threads" in grant.words
        daemon = wait_for(grant.folder / "nvidia-cuda-mps-control.pid")
        with pytest.raises(TargetDied, match="nothing came to MPS"):
            grant.check()
        (grant.folder / "client").touch()
        server = wait_for(grant.folder / "server")
        grant.check()
        assert psutil.pid_exists(daemon)
    assert not psutil.pid_exists(daemon)
    assert not psutil.pid_exists(server)
    assert (grant.folder / "said").read_text() == "quit"
    assert journal.entries() == ()


def test_a_daemon_that_dies_takes_the_share_with_it(control, tmp_path):
    found = replace(H200, mps=control)
    journal = Journal(tmp_path / "journal")
    with granted(Accelerator(share_ratio=0.25), journal, tmp_path / "gpu", found) as grant:
        os.kill(wait_for(grant.folder / "nvidia-cuda-mps-control.pid"), 9)
        ends_s = time.monotonic() + 10
        said = ""
        while "control daemon ended" not in said:  # its supervisor reports it in a moment
            assert time.monotonic() < ends_s
            with pytest.raises(TargetDied) as died:
                grant.check()
            said = str(died.value)


def test_a_daemon_that_does_not_start_is_told_in_its_own_words(control, tmp_path):
    gpu = replace(H200.gpus[0], uuid="GPU-refused")
    found = replace(H200, mps=control, gpus=(gpu,))
    journal = Journal(tmp_path / "journal")
    with (
        pytest.raises(LimitUnavailable, match="Cannot find MPS control daemon process"),
        granted(Accelerator(share_ratio=0.25), journal, tmp_path / "gpu", found),
    ):
        pytest.fail("a share was given")
    assert journal.entries() == ()


def test_the_whole_gpu_starts_nothing(tmp_path):
    journal = Journal(tmp_path / "journal")
    with granted(Accelerator(), journal, tmp_path / "gpu", H200) as grant:
        assert grant.environment == {"CUDA_VISIBLE_DEVICES": H200.gpus[0].uuid}
        assert journal.entries() == ()
        grant.check()
    assert not (tmp_path / "gpu").exists()


HOLDS_A_SHARE = """
import sys, time
from dataclasses import replace
from pathlib import Path
from loadtests.accelerators import Accelerator, find_gpus, granted
from loadtests.accelerators.trace import ReplayedNvml, read_trace
from loadtests.journal import Journal
trace, control, place = sys.argv[1:]
found = replace(find_gpus(ReplayedNvml(read_trace(Path(trace)))), mps=control)
with granted(Accelerator(share_ratio=0.5), Journal(Path(place) / "journal"), Path(place), found):
    Path(place, "mps", "client").touch()
    time.sleep(300)
"""


def lives(pid):
    """A zombie runs no more; to reap an orphan is init's business."""
    return pid in psutil.pids() and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_after_a_kill_nothing_of_the_share_is_left(control, tmp_path):
    arguments = [str(DATA / "nvml-h200.json"), control, str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", HOLDS_A_SHARE, *arguments]) as holder:
        daemon = wait_for(tmp_path / "mps" / "nvidia-cuda-mps-control.pid")
        server = wait_for(tmp_path / "mps" / "server")
        holder.kill()
    journal = Journal(tmp_path / "journal")
    assert len(journal.leftovers()) == 1
    journal.clean_leftovers()
    assert not any(map(lives, (daemon, server)))
    assert journal.entries() == ()
