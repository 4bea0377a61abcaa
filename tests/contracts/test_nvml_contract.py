"""What we take from NVML, held against traces of it, and against the library itself where it is.

A trace says in its `origin` whether it was recorded or written by hand. To add one:
python -m loadtests.accelerators.record tests/data/nvml-NAME.json, and a class below.
"""

import sys
from contextlib import suppress
from pathlib import Path

import pytest

from loadtests.accelerators import (
    Accelerator,
    GpuMeters,
    describe_accelerators,
    find_gpus,
    plan_share,
)
from loadtests.accelerators.trace import ReplayedNvml, read_trace
from loadtests.errors import LimitUnavailable
from loadtests.resources import ResourceMonitor
from loadtests.targets.protocol import Usage

DATA = Path(__file__).parents[1] / "data"
MOST_W = 2000  # no board draws as much


class SilentTarget:
    def usage(self):
        return Usage(None, None, None, None, None, "it is another machine")


class NvmlContract:
    """A subclass says which library answers."""

    @pytest.fixture
    def library(self):
        raise NotImplementedError

    @pytest.fixture
    def found(self, library):
        return find_gpus(library)

    @pytest.fixture
    def meters(self, library):
        meters = GpuMeters()
        meters.open(library)
        yield meters
        meters.close()

    def test_every_gpu_is_known_by_name_and_size(self, found):
        assert found.missing is None
        assert found.driver
        assert [gpu.index for gpu in found.gpus] == list(range(len(found.gpus)))
        assert len({gpu.uuid for gpu in found.gpus}) == len(found.gpus) > 0
        for gpu in found.gpus:
            assert gpu.uuid.startswith("GPU-")
            assert gpu.memory_gib > 1
            assert gpu.compute_capability >= (3, 0)
            assert gpu.fp32_tflops is None or 0.1 < gpu.fp32_tflops < 1000

    def test_instances_fit_into_their_gpu(self, found):
        for gpu in found.gpus:
            parts = gpu.instances or ()
            assert sum(part.compute_ratio for part in parts) <= 1
            assert sum(part.memory_bytes for part in parts) <= gpu.memory_bytes
            assert all(part.uuid.startswith("MIG-") for part in parts)

    def test_meters_read_what_can_be(self, found, meters, library):
        assert len(meters.names) == len(found.gpus)
        for _ in range(3):
            held = meters.memory_bytes()
            assert all(
                0 <= used <= gpu.memory_bytes for used, gpu in zip(held, found.gpus, strict=True)
            )
            for read, most in ((meters.busy_ratio, 1), (meters.power_w, MOST_W)):
                with suppress(library.NVMLError):
                    assert all(0 <= each <= most for each in read())

    def test_energy_never_falls(self, meters, library):
        try:
            readings = [meters.energy_j() for _ in range(5)]
        except library.NVMLError:
            return
        assert readings == sorted(readings)

    def test_what_a_gpu_does_not_tell_is_not_known_and_says_why(self, library, monkeypatch):
        """Never 0: a column is there in full or has a reason."""
        monkeypatch.setitem(sys.modules, "pynvml", library)
        with ResourceMonitor(SilentTarget(), every_s=0.01) as monitor:
            pass
        series = monitor.series
        for name in ("gpu_busy_ratio", "gpu_memory_bytes", "gpu_power_w", "gpu_energy_j"):
            assert (getattr(series, name) is None) == (name in series.notes)
        summary = series.summary()
        assert summary.energy_j is None or summary.energy_j >= 0

    def test_a_line_for_each_gpu(self, found):
        lines = describe_accelerators(found)
        assert len(lines) == len(found.gpus)
        assert all(gpu.name in line for gpu, line in zip(found.gpus, lines, strict=True))

    def test_the_whole_gpu_or_a_part_that_is_there_is_given(self, found):
        for gpu in found.gpus:
            try:
                plan = plan_share(Accelerator(device=gpu.index), found)
            except LimitUnavailable:
                assert gpu.instances == ()
                continue
            whole = {gpu.uuid} if gpu.instances is None else {p.uuid for p in gpu.instances}
            assert plan.environment["CUDA_VISIBLE_DEVICES"] in whole

    def test_a_share_is_given_or_refused_with_a_reason(self, found):
        for gpu in found.gpus:
            asked = Accelerator(device=gpu.index, share_ratio=0.25)
            if gpu.instances is None and not (gpu.shares_threads and found.mps):
                with pytest.raises(LimitUnavailable) as refused:
                    plan_share(asked, found)
                assert refused.value.hint
                continue
            plan = plan_share(asked, found)
            assert 0 < plan.share_ratio <= 1
            assert 0 < plan.memory_bytes <= gpu.memory_bytes
            assert gpu.label in plan.words


class TestAnH200(NvmlContract):
    @pytest.fixture
    def library(self):
        return ReplayedNvml(read_trace(DATA / "nvml-h200.json"))


class TestAnA100DividedByMig(NvmlContract):
    @pytest.fixture
    def library(self):
        return ReplayedNvml(read_trace(DATA / "nvml-a100-mig.json"))


class TestTwoP100(NvmlContract):
    @pytest.fixture
    def library(self):
        return ReplayedNvml(read_trace(DATA / "nvml-p100.json"))


class TestThisMachine(NvmlContract):
    """Skipped where there is no GPU, in CI too: the project is whole without one."""

    @pytest.fixture
    def library(self):
        library = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
        missing = find_gpus(library).missing
        if missing is not None:
            pytest.skip(missing)
        return library


@pytest.mark.parametrize("file", sorted(DATA.glob("nvml-*.json")), ids=lambda file: file.stem)
def test_a_trace_says_where_it_comes_from(file):
    assert any(word in read_trace(file).origin for word in ("by hand", "recorded by"))
