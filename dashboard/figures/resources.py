"""CPU, memory and GPU over a run, above one another on one axis of time."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from dashboard.figures.axes import linear_axis, titled
from dashboard.figures.palette import GPU_COLORS, USER_COLOR, faint
from dashboard.figures.stacked import Row, stacked

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from loadtests.resources.tracks import Track, Tracks

__all__ = ["CAPTION", "Line", "Panel", "missing", "panels", "resources_figure"]

CAPTION = (
    "Each step is of the time since the one before: CPU, busy and power are means of it, memory "
    "is the most that was held."
)
ROW_PX = 110
ROOM, FULL = 1.15, 105.0  # of an axis, and of one in percent
MIB, GIB = 2**20, 2**30
MACHINE = "whole machine"
COLUMNS = {
    "target_cpu_s": "the server's CPU",
    "target_memory_bytes": "the server's memory",
    "generator_cpu_s": "the load generator's CPU",
    "generator_memory_bytes": "the load generator's memory",
    "core_busy_s": "the machine's cores",
    "gpu_busy_ratio": "how busy the GPU was",
    "gpu_memory_bytes": "the GPU's memory",
    "gpu_power_w": "the GPU's power",
    "gpu_energy_j": "the GPU's energy",
}


class Line(NamedTuple):
    """values: of each span; fewer than there are spans where it ended early."""

    name: str
    color: str
    dash: str
    values: tuple[float, ...]


class Panel(NamedTuple):
    """unit: as the hover text has it behind each figure."""

    title: str
    unit: str
    lines: tuple[Line, ...]


def panels(tracks: Tracks) -> tuple[Panel, ...]:
    """Exactly what is drawn over tracks.ends_s. What is not known has no panel."""
    machine = tracks.machine_busy_ratio
    busy = [] if machine is None else [_line(MACHINE, machine, 100.0)]
    busy += [_gpu(number, each, 100.0) for number, each in enumerate(tracks.gpu_busy_ratio)]
    found = (
        Panel("vCPUs used", "vCPU", tuple(_line(e.name, e.values) for e in tracks.vcpus)),
        Panel("busy, %", "%", tuple(busy)),
        Panel("MiB", "MiB", tuple(_line(e.name, e.values, 1 / MIB) for e in tracks.memory_bytes)),
        Panel(
            "GPU, GiB",
            "GiB",
            tuple(_gpu(n, e, 1 / GIB) for n, e in enumerate(tracks.gpu_memory_bytes)),
        ),
        Panel("GPU, W", "W", tuple(_gpu(n, e, 1.0) for n, e in enumerate(tracks.gpu_power_w))),
    )
    return tuple(each for each in found if each.lines)


def missing(tracks: Tracks) -> tuple[str, ...]:
    """What is not shown, or not to the end, and why; alike reasons once.

    A machine without a GPU is no gap.
    """
    reasons: dict[str, list[str]] = {}
    for column, why in tracks.notes.items():
        if tracks.gpus or not column.startswith("gpu_"):
            reasons.setdefault(why, []).append(COLUMNS.get(column, column))
    return tuple(f"Not measured: {', '.join(names)}: {why}" for why, names in reasons.items())


def resources_figure(ends_s: tuple[float, ...], drawn: tuple[Panel, ...]) -> go.Figure:
    rows, named = [], set()
    for panel in drawn:
        traces = []
        for line in panel.lines:
            is_named = line.name in named
            named.add(line.name)
            trace = _steps(ends_s, line, panel.unit)
            traces.append(trace | {"showlegend": not is_named, "legendgroup": line.name})
        top = max(max(line.values) for line in panel.lines) or 1.0
        high = max(top * ROOM, FULL) if panel.unit == "%" else top * ROOM
        axis = linear_axis(0, high) | titled(panel.title) | {"nticks": 5}
        rows.append(Row(ROW_PX, traces, axis))
    return stacked(rows, (0.0, ends_s[-1]), "seconds from when watching began", {})


def _line(name: str, values: tuple[float, ...], scale: float = 1.0) -> Line:
    color, dash = USER_COLOR[name]
    return Line(name, color, dash, tuple(each * scale for each in values))


def _gpu(number: int, track: Track, scale: float) -> Line:
    color = GPU_COLORS[number % len(GPU_COLORS)]
    return Line(track.name, color, "solid", tuple(each * scale for each in track.values))


def _steps(ends_s: tuple[float, ...], line: Line, unit: str) -> dict[str, Any]:
    """Each span's figure from its start to its end."""
    trace: dict[str, Any] = {
        "type": "scatter",
        "name": escape(line.name),
        "x": (0.0, *ends_s[: len(line.values)]),
        "y": (*line.values, line.values[-1]),
        "mode": "lines",
        "line": {"color": line.color, "width": 2, "dash": line.dash, "shape": "hv"},
        "hovertemplate": f"%{{y:.3g}} {unit}",
    }
    if line.dash == "solid":
        trace |= {"fill": "tozeroy", "fillcolor": faint(line.color, 0.14)}
    return trace
