"""A trace of NVML says again what the library said."""

import ctypes
from pathlib import Path

import pytest

from loadtests.accelerators import find_gpus
from loadtests.accelerators.record import main, record
from loadtests.accelerators.trace import Recording, ReplayedNvml, read_trace, write_trace
from loadtests.errors import LimitUnavailable, LoadTestError

DATA = Path(__file__).parents[1] / "data"
TRACES = sorted(DATA.glob("nvml-*.json"))


@pytest.mark.parametrize("file", TRACES, ids=lambda file: file.stem)
def test_a_recording_of_a_replay_is_the_trace_again(file, tmp_path):
    trace = read_trace(file)
    recorded = record(ReplayedNvml(trace), seconds=0)
    again = tmp_path / "again.json"
    write_trace(recorded, again)
    assert find_gpus(ReplayedNvml(read_trace(again))) == find_gpus(ReplayedNvml(trace))
    assert {*recorded.answers} <= {*trace.answers}
    assert len(recorded.answers) > 10
    assert recorded.constants.items() <= trace.constants.items()
    for key, answers in recorded.answers.items():
        played = trace.answers[key]
        wanted = [played[min(n, len(played) - 1)] for n in range(len(answers))]
        assert answers == wanted


class Memory(ctypes.Structure):
    """As pynvml has it."""

    _fields_ = [("total", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class OneGpu:
    """A library that answers with structs and handles of its own."""

    NVMLError = OSError

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802 - NVML's name
        return ctypes.c_void_p(4711 + index)

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802 - NVML's name
        assert handle.value == 4711
        return Memory(80, 20)

    def nvmlDeviceGetPowerUsage(self, _):  # noqa: N802 - NVML's name
        raise OSError("GPU is lost")


def test_structs_handles_and_errors_are_written_down(tmp_path):
    recording = Recording(OneGpu())
    handle = recording.nvmlDeviceGetHandleByIndex(0)
    assert recording.nvmlDeviceGetMemoryInfo(handle).used == 20
    with pytest.raises(OSError, match="lost"):
        recording.nvmlDeviceGetPowerUsage(handle)
    write_trace(recording.trace("a test"), tmp_path / "trace.json")
    replayed = ReplayedNvml(read_trace(tmp_path / "trace.json"))
    handle = replayed.nvmlDeviceGetHandleByIndex(0)
    assert replayed.nvmlDeviceGetMemoryInfo(handle).total == 80
    with pytest.raises(replayed.NVMLError, match="lost"):
        replayed.nvmlDeviceGetPowerUsage(handle)


def test_what_was_never_asked_is_not_there():
    replayed = ReplayedNvml(read_trace(TRACES[0]))
    with pytest.raises(AttributeError, match="nvmlDeviceSetMigMode"):
        replayed.nvmlDeviceSetMigMode(0, 1)


def test_a_file_that_is_no_trace_is_refused(tmp_path):
    file = tmp_path / "no.json"
    file.write_text('{"origin": "nowhere"}')
    with pytest.raises(LoadTestError, match="no trace of NVML"):
        read_trace(file)


def test_without_a_gpu_there_is_nothing_to_record(tmp_path, monkeypatch, capsys):
    class Driverless(OneGpu):
        def nvmlInit(self):  # noqa: N802 - NVML's name
            raise OSError("Driver Not Loaded")

    with pytest.raises(LimitUnavailable, match="Driver Not Loaded"):
        record(Driverless(), seconds=0)
    monkeypatch.setitem(__import__("sys").modules, "pynvml", Driverless())
    assert main([str(tmp_path / "trace.json")]) == 1
    assert "Driver Not Loaded" in capsys.readouterr().err
    assert not (tmp_path / "trace.json").exists()


@pytest.mark.parametrize("file", TRACES, ids=lambda file: file.stem)
def test_the_library_has_every_question_and_every_field_of_a_trace(file):
    """Also where there is no GPU: a trace written by hand asks for nothing that is not there."""
    pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    trace = read_trace(file)
    assert [name for name, _ in trace.answers if not hasattr(pynvml, name)] == []
    assert {name: getattr(pynvml, name) for name in trace.constants} == trace.constants
    structs = {
        "nvmlDeviceGetMemoryInfo": pynvml.c_nvmlMemory_t,
        "nvmlDeviceGetUtilizationRates": pynvml.c_nvmlUtilization_t,
        "nvmlDeviceGetAttributes": pynvml.c_nvmlDeviceAttributes,
    }
    for (question, _), answers in trace.answers.items():
        told = [
            answer["fields"]
            for answer in answers
            if isinstance(answer, dict) and "fields" in answer
        ]
        assert (len(told) > 0) <= (question in structs)
        for fields in told:
            assert set(fields) == {name for name, _ in structs[question]._fields_}
