from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import LimitUnavailable, UsageError
from loadtests.targets.cgroup_v1 import find_v1
from loadtests.targets.cgroup_v2 import GroupsV2, find_v2
from loadtests.targets.control_groups import Bounds, folder_of, mounts, own_groups, quota_us
from loadtests.targets.limits import Capabilities, Size, enforcement
from loadtests.targets.protocol import Sizing

pytestmark = pytest.mark.beside

FOUR = Capabilities(cores=(0, 1, 2, 3), memory_total_gib=8.0, groups=None)
WITH_GROUPS = Capabilities((0, 1, 2, 3), 8.0, GroupsV2(Path("/nowhere"), ("cpu", "memory")))


def test_the_target_takes_the_last_cores_and_leaves_the_rest_to_the_generator():
    limits = enforcement(Sizing(vcpus=2), FOUR).limits
    assert limits.cores == (2, 3)
    assert limits.cpu == "pinned to cores 2, 3"
    assert not limits.shares_cores


def test_a_target_on_every_core_yields_to_the_generator():
    whole = enforcement(Sizing(vcpus=4), FOUR)
    assert whole.limits.shares_cores
    assert whole.bounds.niceness > 0
    assert enforcement(Sizing(vcpus=3), FOUR).bounds.niceness == 0


def test_whole_vcpus_get_no_quota_and_fractions_do():
    assert enforcement(Sizing(vcpus=2), WITH_GROUPS).bounds.quota_ratio is None
    fraction = enforcement(Sizing(vcpus=1.5), WITH_GROUPS)
    assert fraction.bounds.quota_ratio == 1.5
    assert fraction.limits.cores == (2, 3)
    assert fraction.limits.cpu == "cgroup v2 quota 1.5 of period 10 ms on cores 2, 3"


def test_memory_is_held_by_the_group_where_there_is_one():
    asked = Sizing(memory_gib=2)
    assert enforcement(asked, WITH_GROUPS).limits.memory == "cgroup v2"
    assert enforcement(asked, WITH_GROUPS).watched_bytes is None
    assert enforcement(asked, FOUR).limits.memory == "watched every 0.1 s"
    assert enforcement(asked, FOUR).watched_bytes == 2 * 1024**3
    assert enforcement(Sizing(), FOUR).limits.memory == "none"


@pytest.mark.parametrize("sizing", [Sizing(vcpus=5), Sizing(vcpus=0.5), Sizing(memory_gib=9)])
def test_a_size_that_cannot_be_given_is_refused(sizing):
    with pytest.raises(LimitUnavailable):
        enforcement(sizing, FOUR)


def test_cores_must_exist_and_suffice():
    assert enforcement(Sizing(vcpus=1), FOUR, (2,)).limits.cores == (2,)
    with pytest.raises(UsageError, match="cores 7 are not among"):
        enforcement(Sizing(vcpus=1), FOUR, (7,))
    with pytest.raises(UsageError, match="do not fit"):
        enforcement(Sizing(vcpus=2), FOUR, (1,))


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_size_is_a_number_above_zero(value):
    with pytest.raises(UsageError):
        Sizing(vcpus=value)
    with pytest.raises(UsageError):
        Sizing(memory_gib=value)


def test_sizes_say_what_is_left_for_the_generator():
    assert FOUR.sizes == (Size(1.0, 3), Size(2.0, 2), Size(4.0, 0))
    assert WITH_GROUPS.sizes[0] == Size(0.25, 3)


@given(st.floats(0.002, 64))
def test_the_quota_is_the_share_and_never_shorter_than_the_kernel_takes(ratio):
    quota, period = quota_us(ratio)
    assert quota >= 1000
    assert period <= 1_000_000
    assert quota / period == pytest.approx(ratio, rel=0.01)


# -- where groups may be made: from the kernel's own files, kept in a folder ----------------------


@pytest.fixture
def machine(tmp_path):
    """A proc/self whose control groups are folders."""

    def build(mountinfo, cgroup, files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        proc = tmp_path / "proc"
        proc.mkdir()
        (proc / "mountinfo").write_text(mountinfo.format(at=tmp_path))
        (proc / "cgroup").write_text(cgroup)
        return proc

    return build


V2_MOUNT = "30 23 0:26 / {at}/cg rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def v2_group(controllers="", enabled="", procs="", *, top=False):
    files = {
        "cgroup.controllers": controllers,
        "cgroup.subtree_control": enabled,
        "cgroup.procs": procs,
    }
    return files if top else {**files, "cgroup.type": "domain"}


def under(folder, files):
    return {f"{folder}/{name}": text for name, text in files.items()}


def test_a_delegated_slice_above_us_is_used(machine, tmp_path):
    files = {
        **under("cg", v2_group("cpu memory io", "cpu memory", top=True)),
        **under("cg/user", v2_group("cpu memory", "cpu memory")),
        **under("cg/user/scope", v2_group("cpu memory", "", "4711\n")),
    }
    found = find_v2(machine(V2_MOUNT, "0::/user/scope\n", files))
    assert found == GroupsV2(tmp_path / "cg/user", ("cpu", "memory"))


def test_a_group_with_processes_of_its_own_hands_nothing_down(machine):
    files = under("cg", v2_group("cpu memory", "", "4711\n"))
    assert find_v2(machine(V2_MOUNT, "0::/\n", files)) is None


def test_the_top_of_the_hierarchy_may_have_processes(machine, tmp_path):
    files = under("cg", v2_group("cpu memory", "", "1\n4711\n", top=True))
    found = find_v2(machine(V2_MOUNT, "0::/\n", files))
    assert found == GroupsV2(tmp_path / "cg", ("cpu", "memory"))


def test_a_hybrid_machine_has_no_controllers_in_version_2(machine):
    files = under("cg", v2_group("hugetlb", "", top=True))
    assert find_v2(machine(V2_MOUNT, "0::/\n", files)) is None


def test_a_version_2_group_is_bounded_by_its_files(machine, tmp_path):
    files = under("cg", v2_group("cpu memory", "", top=True))
    groups = find_v2(machine(V2_MOUNT, "0::/\n", files))
    group = groups.group("recommender-x")
    folder = tmp_path / "cg/recommender-x"
    folder.mkdir()
    (folder / "memory.swap.max").write_text("max")
    group.create(Bounds(quota_ratio=0.5, memory_bytes=1 << 30, niceness=5))
    assert (tmp_path / "cg/cgroup.subtree_control").read_text() == "+cpu +memory"
    assert (folder / "cpu.max").read_text() == "5000 10000"
    assert (folder / "cpu.weight.nice").read_text() == "5"
    assert (folder / "memory.max").read_text() == str(1 << 30)
    assert (folder / "memory.swap.max").read_text() == "0"


def test_version_2_counters_are_read_in_seconds_and_bytes(machine, tmp_path):
    folder = tmp_path / "cg/recommender-x"
    files = {
        **under("cg", v2_group("cpu memory", "cpu memory", top=True)),
        "cg/recommender-x/cgroup.procs": "0\n",
        "cg/recommender-x/cpu.stat": "usage_usec 2500000\nnr_throttled 3\nthrottled_usec 500000\n",
        "cg/recommender-x/memory.current": "1000\n",
        "cg/recommender-x/memory.peak": "3000\n",
        "cg/recommender-x/memory.stat": "anon 600\ninactive_file 100\n",
        "cg/recommender-x/memory.events": "low 0\noom 1\noom_kill 2\n",
    }
    group = find_v2(machine(V2_MOUNT, "0::/\n", files)).group(folder.name)
    counters = group.read()
    assert (counters.cpu_s, counters.throttled_s) == (2.5, 0.5)
    assert (counters.memory_bytes, counters.peak_bytes) == (900, 2900)
    assert (counters.anonymous_bytes, counters.oom_kills, counters.processes) == (600, 2, 0)


V1_MOUNTS = (
    "32 31 0:29 / {at}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 /docker/77 {at}/memory rw - cgroup cgroup rw,memory\n"
)


def test_version_1_hierarchies_may_be_joint_and_seen_from_inside_a_container(machine, tmp_path):
    files = {"cpu,cpuacct/me/cgroup.procs": "", "memory/cgroup.procs": ""}
    own = "4:memory:/docker/77\n3:cpu,cpuacct:/me\n"
    groups = find_v1(machine(V1_MOUNTS, own, files))
    assert dict(groups.folders) == {
        "cpu": tmp_path / "cpu,cpuacct/me",
        "cpuacct": tmp_path / "cpu,cpuacct/me",
        "memory": tmp_path / "memory",
    }
    assert len(groups.paths("recommender-x")) == 2


def test_a_version_1_group_is_bounded_by_its_files(machine, tmp_path):
    files = {"cpu,cpuacct/cgroup.procs": "", "memory/cgroup.procs": ""}
    groups = find_v1(machine(V1_MOUNTS, "4:memory:/docker/77\n3:cpu,cpuacct:/\n", files))
    groups.group("recommender-x").create(Bounds(0.25, 1 << 20, 5))
    cpu = tmp_path / "cpu,cpuacct/recommender-x"
    assert (cpu / "cpu.cfs_period_us").read_text() == "10000"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "2500"
    assert int((cpu / "cpu.shares").read_text()) == 336  # the kernel's weight of nice 5 is 335
    limit = tmp_path / "memory/recommender-x/memory.limit_in_bytes"
    assert limit.read_text() == str(1 << 20)


def test_an_unknown_own_group_falls_back_to_the_mounts_top(tmp_path):
    (mount,) = mounts(V2_MOUNT.format(at=tmp_path))
    assert folder_of(mount, "/gone") == mount.point
    assert own_groups("0::/a\n2:cpu,cpuacct:/b\n") == {"": "/a", "cpu": "/b", "cpuacct": "/b"}
