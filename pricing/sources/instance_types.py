"""What machines are, by EC2's DescribeInstanceTypes: needs credentials.

For machines that are newer than the books. EC2 does not say which silicon a CPU is, so that stays
unknown; nor how much of a burstable machine may be used for ever, so those are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pricing.instances import Accelerator, AcceleratorKind, Architecture, Cpu, InstanceType
from pricing.sources.aws import Aws, faults_named, where_enabled
from pricing.sources.seen import Refused, Seen

if TYPE_CHECKING:
    from pricing.sources.seen import Report

__all__ = ["InstanceTypes"]

_SOURCE: Final = "EC2 DescribeInstanceTypes"
_CUDA: Final = "NVIDIA"


class InstanceTypes:
    name = "instance-types"

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    @property
    def identity(self) -> str:
        return _SOURCE

    def seen(self, region: str, report: Report) -> Seen:
        return where_enabled(region, "machines", _SOURCE, lambda: self._described(region, report))

    def _described(self, region: str, report: Report) -> Seen:
        machines: list[InstanceType] = []
        refused: list[Refused] = []
        with faults_named(f"EC2 in {region}", region):
            pages = (
                self._aws.client("ec2", region)
                .get_paginator("describe_instance_types")
                .paginate(Filters=[{"Name": "bare-metal", "Values": ["false"]}])
            )
            for page in pages:
                for told in page["InstanceTypes"]:
                    try:
                        machines.append(_machine(told))
                    except (KeyError, ValueError) as error:
                        refused.append(_not_understood(region, told, error))
                report(f"machines, {len(machines)}")
        return Seen(machines=tuple(machines), refused=tuple(refused))


def _machine(told: dict[str, Any]) -> InstanceType:
    if told.get("BurstablePerformanceSupported"):
        raise ValueError("is burstable, and EC2 does not say how much of it may be used for ever")
    processor = told["ProcessorInfo"]
    return InstanceType(
        name=told["InstanceType"],
        vcpus=told["VCpuInfo"]["DefaultVCpus"],
        physical_cores=told["VCpuInfo"].get("DefaultCores"),
        memory_gib=told["MemoryInfo"]["SizeInMiB"] / 1024,
        cpu=Cpu(
            architecture=_architecture(processor["SupportedArchitectures"]),
            vendor=processor.get("Manufacturer", "not stated"),
            clock_ghz=processor.get("SustainedClockSpeedInGhz"),
        ),
        accelerators=_accelerators(told),
        network_gbps=_network_gbps(told),
        current_generation=told.get("CurrentGeneration", True),
        spot_supported="spot" in told.get("SupportedUsageClasses", ()),
        source=_SOURCE,
    )


def _architecture(supported: list[str]) -> Architecture:
    for architecture in Architecture:
        if architecture in supported:
            return architecture
    raise ValueError(f"runs {', '.join(supported)}; wanted: {', '.join(Architecture)}")


def _accelerators(told: dict[str, Any]) -> tuple[Accelerator, ...]:
    if "GpuInfo" in told:
        return (_gpu(told["GpuInfo"]),)
    if "NeuronInfo" in told:
        devices, total_mib = (
            told["NeuronInfo"]["NeuronDevices"],
            told["NeuronInfo"]["TotalNeuronDeviceMemoryInMiB"],
        )
        return (
            Accelerator(
                kind=AcceleratorKind.NEURON,
                model=f"AWS {devices[0]['Name']}",
                count=float(sum(device["Count"] for device in devices)),
                memory_gib=_gib(total_mib),
            ),
        )
    return ()


def _gpu(info: dict[str, Any]) -> Accelerator:
    """A slice of a GPU is counted 0 by EC2, and says which part of one it is."""
    gpus = info["Gpus"]
    maker, model = gpus[0]["Manufacturer"], gpus[0]["Name"]
    if maker not in (_CUDA, "Habana"):
        raise ValueError(f"has a {maker} {model}, which runs no CUDA")
    return Accelerator(
        kind=AcceleratorKind.GPU if maker == _CUDA else AcceleratorKind.GAUDI,
        model=f"{maker} {model}",
        count=float(sum(gpu["Count"] or gpu["GpuPartitionSize"] for gpu in gpus)),
        memory_gib=_gib(info["TotalGpuMemoryInMiB"]),
    )


def _network_gbps(told: dict[str, Any]) -> float | None:
    cards = told.get("NetworkInfo", {}).get("NetworkCards", ())
    sustained = [card["BaselineBandwidthInGbps"] for card in cards if _says_sustained(card)]
    return sum(sustained) if sustained and len(sustained) == len(cards) else None


def _says_sustained(card: dict[str, Any]) -> bool:
    return "BaselineBandwidthInGbps" in card


def _gib(mib: float) -> float:
    return round(mib / 1024, 2)


def _not_understood(region: str, told: dict[str, Any], error: Exception) -> Refused:
    reason = f"{error} is not stated" if isinstance(error, KeyError) else str(error)
    return Refused(
        region=region, what=str(told.get("InstanceType", "a machine")), reason=reason,
        source=_SOURCE,
    )  # fmt: skip
