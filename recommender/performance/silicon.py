"""Which micro-architecture a processor is, by the integers it reports of itself.

Identification follows the vendors' family/model/stepping lists as the Linux kernel keeps them
(arch/x86/include/asm/intel-family.h, arch/x86/kernel/cpu/amd.c, arch/arm64/include/asm/cputype.h).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SILICON_FACTS", "SiliconFacts", "silicon_of"]


@dataclass(frozen=True, slots=True)
class SiliconFacts:
    """`year` is when cloud machines with it could first be rented; it orders a lineage."""

    lineage: str
    architecture: str
    year: float


SILICON_FACTS: dict[str, SiliconFacts] = {
    "IvyBridge": SiliconFacts("intel", "x86_64", 2013.5),
    "Haswell": SiliconFacts("intel", "x86_64", 2015.0),
    "Broadwell": SiliconFacts("intel", "x86_64", 2016.5),
    "Skylake": SiliconFacts("intel", "x86_64", 2017.8),
    "CascadeLake": SiliconFacts("intel", "x86_64", 2019.4),
    "IceLake": SiliconFacts("intel", "x86_64", 2021.6),
    "SapphireRapids": SiliconFacts("intel", "x86_64", 2023.1),
    "EmeraldRapids": SiliconFacts("intel", "x86_64", 2024.0),
    "GraniteRapids": SiliconFacts("intel", "x86_64", 2025.2),
    "Zen1": SiliconFacts("amd", "x86_64", 2018.0),
    "Zen2": SiliconFacts("amd", "x86_64", 2020.0),
    "Zen3": SiliconFacts("amd", "x86_64", 2021.8),
    "Zen4": SiliconFacts("amd", "x86_64", 2023.5),
    "Zen5": SiliconFacts("amd", "x86_64", 2025.3),
    "Neoverse-N1": SiliconFacts("neoverse", "arm64", 2020.0),
    "Neoverse-V1": SiliconFacts("neoverse", "arm64", 2022.3),
    "Neoverse-V2": SiliconFacts("neoverse", "arm64", 2024.5),
    "Neoverse-V3": SiliconFacts("neoverse", "arm64", 2026.0),
}

_INTEL_FAMILY_6 = {
    58: "IvyBridge",
    62: "IvyBridge",
    **dict.fromkeys((60, 63, 69, 70), "Haswell"),
    **dict.fromkeys((61, 71, 79, 86), "Broadwell"),
    # Client Skylake and its re-issues (Kaby, Coffee, Comet Lake) are one core; no AVX-512.
    **dict.fromkeys((78, 85, 94, 142, 158, 165, 166), "Skylake"),
    # Sunny Cove and its back-port: Ice Lake (server, client), Rocket Lake.
    **dict.fromkeys((106, 108, 125, 126, 167), "IceLake"),
    143: "SapphireRapids",
    207: "EmeraldRapids",
    173: "GraniteRapids",
    174: "GraniteRapids",
    # Hybrid client parts (Alder Lake and later) are left out: which of their two kinds of core
    # a process runs on is the scheduler's choice.
}
_XEON_SCALABLE_MODEL = 85
_CASCADE_LAKE_STEPPING = 5

# (family, first model, last model); the extended model's high digit names the design.
_AMD_MODELS = (
    (23, 0x00, 0x2F, "Zen1"),
    (23, 0x30, 0xAF, "Zen2"),
    (25, 0x00, 0x0F, "Zen3"),
    (25, 0x10, 0x1F, "Zen4"),
    (25, 0x20, 0x5F, "Zen3"),
    (25, 0x60, 0x7F, "Zen4"),
    (25, 0xA0, 0xAF, "Zen4"),
    (26, 0x00, 0x2F, "Zen5"),
    (26, 0x40, 0x4F, "Zen5"),
    (26, 0x60, 0x7F, "Zen5"),
)

_ARM_PARTS = {
    0xD0C: "Neoverse-N1",
    0xD40: "Neoverse-V1",
    0xD4F: "Neoverse-V2",
    0xD83: "Neoverse-V3",
    0xD84: "Neoverse-V3",
}


def silicon_of(
    vendor_id: str, family: int | None, model: int, stepping: int | None = None
) -> str | None:
    """The micro-architecture, or None where no benchmarked one fits.

    On x86 `vendor_id`, `family`, `model` and `stepping` are /proc/cpuinfo's. On ARM `vendor_id`
    is the implementer ("ARM" or "0x41"), `model` the CPU part, and the rest is ignored.
    Skylake and Cascade Lake servers differ in the stepping alone; without one, model 85 is taken
    for the older and slower.
    """
    if vendor_id == "GenuineIntel" and family == 6:  # noqa: PLR2004 - Intel's one live family
        return _intel(model, stepping)
    if vendor_id == "AuthenticAMD":
        return next(
            (
                name
                for of_family, first, last, name in _AMD_MODELS
                if family == of_family and first <= model <= last
            ),
            None,
        )
    if vendor_id.lower() in {"arm", "0x41"}:
        return _ARM_PARTS.get(model)
    return None


def _intel(model: int, stepping: int | None) -> str | None:
    newer = stepping is not None and stepping >= _CASCADE_LAKE_STEPPING
    if model == _XEON_SCALABLE_MODEL and newer:
        return "CascadeLake"
    return _INTEL_FAMILY_6.get(model)
