"""What is known of a machine, each fact with its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pricing.peaks import memory_class, peaks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pricing.instances import Accelerator, InstanceType

__all__ = ["MachineFact", "machine_facts"]

NOT_KNOWN = "not known"


class MachineFact(NamedTuple):
    name: str
    value: str
    source: str


def machine_facts(machine: InstanceType) -> tuple[MachineFact, ...]:
    """For people. What is not known is there, and said not to be."""
    return tuple(_facts(machine))


def _facts(machine: InstanceType) -> Iterator[MachineFact]:
    said, _ = _sources(machine)
    yield MachineFact("vCPU", str(machine.vcpus), said)
    yield from _core_facts(machine)
    yield from _cpu_facts(machine)
    yield MachineFact("memory", f"{machine.memory_gib:g} GiB", said)
    yield _memory_fact(machine)
    network = machine.network_gbps
    yield MachineFact(
        "network", NOT_KNOWN if network is None else f"{network:g} Gbit/s sustained", said
    )
    if machine.baseline_ratio is not None:
        yield MachineFact("burstable", f"{machine.baseline_ratio:.0%} of each vCPU for ever", said)
    for accelerator in machine.accelerators:
        yield from _accelerator_facts(accelerator, said)
    yield MachineFact("on SageMaker", _hosting(machine), "SageMaker API, as botocore has it")
    yield MachineFact("current generation", "yes" if machine.current_generation else "no", said)


def _sources(machine: InstanceType) -> tuple[str, str]:
    """Of the machine, and of its CPU: a book that has two parts them by a semicolon."""
    said, _, of_cpu = machine.source.partition("; ")
    return said, of_cpu or said


def _core_facts(machine: InstanceType) -> Iterator[MachineFact]:
    cores, (said, _) = machine.physical_cores, _sources(machine)
    if cores is None:
        yield MachineFact("physical cores", NOT_KNOWN, said)
        return
    yield MachineFact("physical cores", str(cores), said)
    threads = machine.vcpus / cores
    yield MachineFact("SMT", "no" if threads == 1 else f"{threads:g} threads a core", said)


def _cpu_facts(machine: InstanceType) -> Iterator[MachineFact]:
    cpu, (said, by_family) = machine.cpu, _sources(machine)
    clock = "" if cpu.clock_ghz is None else f", {cpu.clock_ghz:g} GHz sustained"
    yield MachineFact("architecture", cpu.architecture.value, said)
    yield MachineFact("CPU", f"{cpu.model or cpu.vendor}{clock}", by_family)
    note = "" if cpu.silicon_note is None else f" ({cpu.silicon_note})"
    yield MachineFact("CPU generation", f"{cpu.silicon or NOT_KNOWN}{note}", by_family)


def _memory_fact(machine: InstanceType) -> MachineFact:
    found = memory_class(machine.cpu.silicon)
    if found is None:
        return MachineFact("memory bandwidth", NOT_KNOWN, "no specification known for its silicon")
    text = f"{found.name}, {found.bandwidth_gb_s:.0f} GB/s a socket"
    return MachineFact("memory bandwidth", text, found.source)


def _accelerator_facts(accelerator: Accelerator, said: str) -> Iterator[MachineFact]:
    kind = accelerator.kind.value
    yield MachineFact("accelerator", f"{accelerator.text} ({kind})", said)
    yield MachineFact("accelerator memory", f"{accelerator.memory_gib:g} GiB in all", said)
    peaks = peaks_of(accelerator)
    if peaks is None:
        yield MachineFact("peak of one device", NOT_KNOWN, "no datasheet known")
        return
    peak = ", ".join(f"{name} {value:g}" for name, value in peaks.tera_ops.items())
    yield MachineFact("peak of one device", f"{peak} (Tera-op/s, dense)", peaks.source)
    yield MachineFact("its memory bandwidth", f"{peaks.bandwidth_gb_s:g} GB/s", peaks.source)


def _hosting(machine: InstanceType) -> str:
    if machine.hosting_name is None:
        return "no: EC2 alone"
    also = "; batch transform" if machine.batch_transform else "; no batch transform"
    same = "real-time; asynchronous, where offered, at the same price"
    return f"{machine.hosting_name}: {same}{also}"
