"""What is read beside a measurement, tried on real processes."""

import http.client
import os
import subprocess
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.accelerators.trace import ReplayedNvml, read_trace
from loadtests.errors import LoadTestError
from loadtests.monitor import CoreClock, HostSpeed, busy_s_by_core, host_speed
from loadtests.resources import ResourceMonitor, ResourceSeries
from loadtests.resources.thinning import Column, halved, largest, last, mean
from loadtests.targets.processes import cpu_s, is_living, memory_bytes
from loadtests.targets.protocol import Usage

BURNS_HALF = """
import time
while True:
    begun = time.process_time()
    while time.process_time() - begun < 0.05:
        pass
    time.sleep(0.05)
"""
GROWS = """
import time
held = []
for step in range(100):
    held.append(bytearray(b"x" * (16 << 20)))
    print(len(held), flush=True)
    time.sleep(0.25)
"""


class ChildTarget:
    """As much of a target as the monitor asks for: one real process."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
        )

    def usage(self):
        pids = [self.process.pid] if is_living(self.process.pid) else []
        memory = memory_bytes(pids)
        return Usage(cpu_s(pids), memory, memory, len(pids), None, "process tree")

    def stop(self):
        self.process.kill()
        self.process.stdout.close()
        self.process.wait()


class RaisingTarget:
    """Answers a few times, then its counters are gone."""

    def __init__(self, answers):
        self.left = answers

    def usage(self):
        self.left -= 1
        if self.left < 0:
            raise OSError("the control group is gone")
        return Usage(1.0, 100, 100, 1, None, "control group")


class SilentTarget:
    def usage(self):
        return Usage(None, None, None, None, None, "it is another machine")


@pytest.fixture
def child():
    started = []

    def start(program):
        started.append(ChildTarget(program))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def until(monitor, readings, within_s=20.0):
    """The monitor's own thread read so often, however busy the machine is."""
    given_up = time.perf_counter() + within_s
    while len(monitor.series) < readings and time.perf_counter() < given_up:
        time.sleep(0.02)
    assert len(monitor.series) >= readings


@pytest.fixture(scope="module")
def encoded():
    with ResourceMonitor(SilentTarget(), every_s=0.01) as monitor:
        until(monitor, 4)
    return monitor.series.encode()


def test_the_cpu_of_a_target_is_what_it_really_used(child):
    target = child(BURNS_HALF)
    with ResourceMonitor(target, every_s=0.1) as monitor:
        before_s, begun_s = cpu_s([target.process.pid]), time.perf_counter()
        until(monitor, 12)
        used_s, elapsed_s = cpu_s([target.process.pid]) - before_s, time.perf_counter() - begun_s
    use = monitor.series.summary().target_vcpus
    assert use.mean == pytest.approx(used_s / elapsed_s, abs=0.1)
    assert 0.1 < use.mean < 0.65  # half of a core, less on a busy machine
    assert use.mean <= use.peak <= 1.3


def test_a_process_target_is_read_through_its_protocol(make_target):
    target = make_target()
    target.launch()
    target.ready()
    with ResourceMonitor(target) as monitor:
        connection = http.client.HTTPConnection(target.describe().base_url.rpartition("/")[2])
        connection.request("POST", "/invocations", b"burn 0.4")
        assert connection.getresponse().read() == b"burn 0.4"
        connection.close()
        until(monitor, 4)
    series = monitor.series
    assert 0.38 <= series.target_cpu_s[-1] <= 1.0
    assert series.summary().target_memory_bytes.peak > 4 << 20
    assert series.own_cpu_ratio < 0.02


def test_memory_that_grows_in_steps_is_seen_growing(child):
    target = child(GROWS)
    target.process.stdout.readline()
    with ResourceMonitor(target, every_s=0.1) as monitor:
        for _ in range(5):
            target.process.stdout.readline()
    times_s, held = monitor.series.memory_growth()
    assert held[-1] - held[0] == pytest.approx(5 * (16 << 20), abs=18 << 20)
    assert np.polyfit(times_s, held, 1)[0] > 10 << 20  # bytes a second; 64 MiB on an idle machine


def test_a_target_that_dies_ends_its_columns_and_no_other(child):
    target = child(BURNS_HALF)
    with ResourceMonitor(target, every_s=0.05) as monitor:
        until(monitor, 5)
        target.stop()
        until(monitor, 12)
    series = monitor.series
    assert 5 <= len(series.target_cpu_s) < len(series)
    assert len(series.target_memory_bytes) == len(series.target_cpu_s)
    assert series.target_memory_bytes.min() > 0
    assert "no process" in series.notes["target_cpu_s"]
    assert len(series.generator_cpu_s) == len(series.core_busy_s) == len(series)
    assert series.summary().target_vcpus is not None


def test_a_target_that_raises_ends_its_columns_never_the_measurement():
    with ResourceMonitor(RaisingTarget(3), every_s=0.01) as monitor:
        until(monitor, 8)
    series = monitor.series
    assert len(series.target_memory_bytes) == 3
    assert series.notes["target_memory_bytes"] == "OSError: the control group is gone"


def test_what_is_not_knowable_is_none_with_its_reason():
    with ResourceMonitor(SilentTarget(), every_s=0.01) as monitor:
        until(monitor, 3)
    series, summary = monitor.series, monitor.series.summary()
    assert series.target_cpu_s is None
    assert series.memory_growth() is None
    assert summary.target_vcpus is None
    assert summary.notes["target_cpu_s"] == "it is another machine"


def test_an_error_of_the_measurement_passes_through():
    with pytest.raises(ZeroDivisionError), ResourceMonitor(SilentTarget()):
        _ = 1 / 0


def test_the_generator_is_read_apart_from_the_target(child):
    busy = child(BURNS_HALF)
    with ResourceMonitor(SilentTarget(), pids=[busy.process.pid], every_s=0.1) as monitor:
        until(monitor, 8)
        busy.stop()
        until(monitor, 10)
    series = monitor.series
    assert series.summary().generator_vcpus.mean > 0.1
    assert series.summary().generator_memory_bytes.peak > 1 << 20
    assert str(busy.process.pid) in series.notes["generator_cpu_s"]


def test_the_core_that_works_is_told_from_the_others(child):
    core = min(os.sched_getaffinity(0))
    target = child("while True: pass")
    os.sched_setaffinity(target.process.pid, {core})
    before = busy_s_by_core()
    with ResourceMonitor(target, cores=[core], every_s=0.1) as monitor:
        until(monitor, 10)
    after = busy_s_by_core()
    series = monitor.series
    assert series.cores == (core,)
    assert series.core_busy_s[-1, 0] == pytest.approx(after[core] - before[core], abs=0.1)
    assert 0.7 < series.summary().core_busy_ratio[core].mean <= 1
    assert series.summary().core_busy_ratio[core].peak <= 1


def test_the_monitor_costs_under_two_percent_of_a_core(child):
    with ResourceMonitor(child(BURNS_HALF)) as monitor:
        until(monitor, 5)
    assert 0 < monitor.series.own_cpu_ratio < 0.02


def test_a_reading_that_costs_much_is_taken_less_often():
    class Costly(SilentTarget):
        readings = 0

        def usage(self):
            self.readings += 1
            begun = time.thread_time()
            while time.thread_time() - begun < 0.02:
                pass
            return Usage(1.0, 100, 100, 1, None, "costly")

    target = Costly()
    with ResourceMonitor(target, every_s=0.01):
        time.sleep(0.5)  # at 1 % of a core the next reading is due after two seconds
    assert target.readings <= 3


def test_the_last_span_is_not_mostly_the_coarseness_of_clocks():
    with ResourceMonitor(RaisingTarget(10**6), every_s=0.3) as monitor:
        until(monitor, 3)
    series = monitor.series
    assert np.diff(series.times_s).min() >= 0.15
    assert len(series.target_cpu_s) == len(series)


def test_a_long_run_thins_itself_and_loses_no_cpu_second():
    with ResourceMonitor(RaisingTarget(10**6), every_s=0.002, most_readings=8) as monitor:
        began_s = time.process_time()
        given_up = time.perf_counter() + 20
        while monitor._every_s < 0.01 and time.perf_counter() < given_up:
            sum(range(10_000))
        used_s = time.process_time() - began_s
    series = monitor.series
    assert len(series) <= 9  # one more at the end
    assert np.all(np.diff(series.times_s) > 0)
    assert series.generator_cpu_s[-1] >= used_s - 0.02  # clocks tick in hundredths


readings = st.lists(st.floats(0, 1e12), min_size=1, max_size=50)


@given(readings)
def test_thinning_halves_and_keeps_first_and_last_of_a_counter(values):
    thin = halved(values, last)
    assert len(thin) == 1 + len(values) // 2
    assert (thin[0], thin[-1]) == (values[0], values[-1])
    assert set(thin) <= set(values)


@given(readings)
def test_thinning_never_lowers_a_peak(values):
    assert max(halved(values, largest)) == max(values)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=51).filter(lambda each: len(each) % 2))
def test_thinning_keeps_the_mean_of_a_ratio(values):
    assert np.mean(halved(values, mean)[1:]) == pytest.approx(np.mean(values[1:]), abs=1e-12)


@given(readings, st.integers(1, 50))
def test_a_column_that_ended_early_stays_in_step_with_the_clock(values, kept):
    """Of each reading left, the time is that of the last reading it was merged from, or later."""
    clock, column = Column(last), Column(last)
    for number, value in enumerate(values):
        clock.add(float(number), "")
        column.add(float(number) if number < kept else None, f"ended at {value}")
    clock.halve()
    column.halve()
    assert len(column.readings) <= len(clock.readings)
    behind = np.array(clock.readings[: len(column.readings)]) - np.array(column.readings)
    assert np.all((behind >= 0) & (behind <= 1))
    assert np.all(behind[:-1] == 0)


def test_thinning_works_by_core():
    assert halved([(0.0, 0.0), (1.0, 5.0), (2.0, 3.0)], largest) == [(0.0, 0.0), (2.0, 5.0)]


columns = st.none() | st.lists(st.floats(0, 1e12), min_size=1, max_size=30).map(np.array)


@given(columns, columns, st.integers(1, 4), st.dictionaries(st.text(), st.text(), max_size=3))
def test_a_series_survives_its_encoding(cpu, memory, cores, notes):
    series = ResourceSeries(
        times_s=np.linspace(0, 1, 30),
        target_cpu_s=cpu,
        target_memory_bytes=memory,
        generator_cpu_s=None,
        generator_memory_bytes=cpu,
        core_busy_s=np.ones((30, cores)),
        gpu_busy_ratio=None,
        gpu_memory_bytes=None,
        cores=tuple(range(cores)),
        own_cpu_ratio=0.004,
        notes=notes,
    )
    found = ResourceSeries.decode(series.encode())
    for name in ("times_s", "target_cpu_s", "target_memory_bytes", "core_busy_s"):
        one, other = getattr(series, name), getattr(found, name)
        assert (one is None and other is None) or np.array_equal(one, other)
    assert (found.gpu_busy_ratio, found.cores, found.gpus) == (None, series.cores, ())
    assert (found.own_cpu_ratio, found.notes) == (0.004, notes)


def test_two_thousand_readings_take_a_few_bytes_each():
    count = 2000
    with ResourceMonitor(SilentTarget(), every_s=0.01) as monitor:
        until(monitor, 3)
    rng = np.random.default_rng(0)
    base = monitor.series
    series = ResourceSeries(
        times_s=np.arange(count) * 0.5,
        target_cpu_s=np.cumsum(rng.integers(0, 50, count)) / 100,
        target_memory_bytes=np.full(count, 2e8),
        generator_cpu_s=np.cumsum(rng.integers(0, 50, count)) / 100,
        generator_memory_bytes=np.full(count, 1e8),
        core_busy_s=np.cumsum(rng.integers(0, 50, (count, 2)), axis=0) / 100,
        gpu_busy_ratio=None,
        gpu_memory_bytes=None,
        cores=(0, 1),
        notes=base.notes,
    )
    assert len(series.encode()) < 30 * count


@pytest.mark.parametrize("kept", [0, 4, 6, 40, -30])
def test_damaged_bytes_are_refused(encoded, kept):
    with pytest.raises(LoadTestError):
        ResourceSeries.decode(encoded[:kept])


@given(st.data())
def test_a_flipped_byte_is_refused_or_changes_nothing(encoded, data):
    """No other error reaches the reader of a damaged store, and no wrong figure."""
    spoilt = bytearray(encoded)
    spoilt[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = ResourceSeries.decode(bytes(spoilt))
    except LoadTestError:
        return
    assert found.encode() == encoded  # padding of the last deflated bits


def test_a_series_of_a_later_version_is_refused():
    with pytest.raises(LoadTestError, match="format 9"):
        ResourceSeries.decode(b"RRES\x09\x00" + b"later")


def test_a_monitor_that_was_not_started_has_no_series():
    with pytest.raises(LoadTestError, match="not started"):
        _ = ResourceMonitor(SilentTarget()).series


def test_the_host_s_speed_is_cpu_time_and_leaves_the_affinity_alone():
    before = os.sched_getaffinity(0)
    begun_s = time.process_time()
    speed = host_speed(sorted(before))
    spent_s = time.process_time() - begun_s
    assert os.sched_getaffinity(0) == before
    # Six tries on each core: the median of them is about a sixth of what one core's took.
    assert 6 * len(before) * speed.seconds == pytest.approx(spent_s, rel=0.35)


def test_slower_is_more_cpu_seconds_for_the_same_work():
    assert HostSpeed(0.011, 5.0).slower_than(HostSpeed(0.010, 1.0)) == pytest.approx(1.1)


def test_a_core_is_busy_when_it_is_not_idle_whoever_runs(tmp_path, monkeypatch):
    ticks = os.sysconf("SC_CLK_TCK")

    def busy_s(now_s, idle_s, iowait_s):
        stat = tmp_path / "stat"
        idle, iowait = (round(each * ticks) for each in (idle_s, iowait_s))
        stat.write_text(
            f"cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 100 20 30 {idle} {iowait} 1 2 3 40 5\nctxt 5\n"
        )
        monkeypatch.setattr(time, "monotonic", lambda: now_s)
        return busy_s_by_core(stat)

    before, after = busy_s(100.0, 70.0, 5.0), busy_s(110.0, 73.0, 6.5)
    assert after.keys() == {1}
    assert after[1] - before[1] == pytest.approx(10 - 3 - 1.5)


def test_what_a_hypervisor_kept_is_told_of_the_cores_asked_about(tmp_path):
    stat, ticks = tmp_path / "stat", os.sysconf("SC_CLK_TCK")
    lines = (
        f"cpu{core} 1 1 1 1 1 1 1 {kept_s * ticks} 0 0\n" for core, kept_s in enumerate((2, 3))
    )
    stat.write_text("".join(lines))
    assert CoreClock.read((1,), stat).stolen_s == 3
    assert CoreClock.read((0, 1, 1), stat).stolen_s == 5


def replayed(name):
    return ReplayedNvml(read_trace(Path(__file__).parents[1] / "data" / f"nvml-{name}.json"))


def watched(monkeypatch, nvml, readings=4):
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with ResourceMonitor(SilentTarget(), every_s=0.01) as monitor:
        until(monitor, readings)
    return ResourceSeries.decode(monitor.series.encode())


def test_gpus_of_one_kind_are_told_apart(monkeypatch):
    series = watched(monkeypatch, replayed("p100"))
    one, other = "0 Tesla P100-PCIE-16GB", "1 Tesla P100-PCIE-16GB"
    assert series.gpus == (one, other)
    assert series.gpu_busy_ratio.shape == (len(series), 2)
    found = series.summary()
    assert found.gpu_busy_ratio[one].peak == found.gpu_busy_ratio[other].peak == 0.92
    assert found.gpu_memory_bytes[other].peak == 1804 * 2**20
    assert found.gpu_power_w[one].peak == pytest.approx(163.2)


def test_the_energy_is_what_the_gpu_counted(monkeypatch):
    """From the first reading to the last, of a trace that draws 118 W to 433 W."""
    series = watched(monkeypatch, replayed("h200"), readings=8)
    found = series.summary()
    assert found.gpu_energy_j == {"0 NVIDIA H200": pytest.approx(1040.9)}
    assert found.energy_j == pytest.approx(1040.9)
    assert "gpu_energy_j" not in found.notes


def test_energy_that_is_not_counted_follows_from_the_power():
    series = ResourceSeries(
        times_s=np.array([0.0, 1.0, 3.0]),
        target_cpu_s=None,
        target_memory_bytes=None,
        generator_cpu_s=None,
        generator_memory_bytes=None,
        core_busy_s=None,
        gpu_busy_ratio=None,
        gpu_memory_bytes=None,
        gpu_power_w=np.array([[100.0, 10.0], [200.0, 10.0], [200.0, 10.0]]),
        gpus=("0 P100", "1 P100"),
        notes={"gpu_energy_j": "ReplayedError: Not Supported"},
    )
    found = series.summary()
    assert found.gpu_energy_j == {"0 P100": 150 + 400, "1 P100": 30}
    assert found.energy_j == 580
    assert found.notes["gpu_energy_j"].startswith("from the power")
    assert "Not Supported" in found.notes["gpu_energy_j"]


def test_a_gpu_divided_by_mig_tells_no_utilisation_and_says_so(monkeypatch):
    series = watched(monkeypatch, replayed("a100-mig"))
    assert series.gpu_busy_ratio is None
    assert "Not Supported" in series.notes["gpu_busy_ratio"]
    assert series.summary().gpu_power_w["0 NVIDIA A100-SXM4-40GB"].peak == pytest.approx(171.2)


class NoDriver(types.ModuleType):
    NVMLError = OSError

    def nvmlInit(self):  # noqa: N802 - NVML's name
        raise OSError("driver not loaded")


@pytest.mark.parametrize(
    ("nvml", "expected"), [(None, "not installed"), (NoDriver("pynvml"), "driver not loaded")]
)
def test_without_a_gpu_the_reason_is_told(monkeypatch, nvml, expected):
    series = watched(monkeypatch, nvml, readings=2)
    for column in ("gpu_busy_ratio", "gpu_memory_bytes", "gpu_power_w", "gpu_energy_j"):
        assert getattr(series, column) is None
        assert expected in series.notes[column]
    assert series.gpus == ()
    assert series.summary().energy_j is None


def test_a_series_kept_before_power_was_read_still_opens(encoded):
    """Format 1 names its columns, and a reader takes those that are there."""
    kept = replace(ResourceSeries.decode(encoded), gpu_power_w=None, gpu_energy_j=None)
    series = ResourceSeries.decode(kept.encode())
    assert series.gpu_power_w is None
    assert series.summary().gpu_energy_j is None
