"""What GPUs can do, by their makers' datasheets.

Peak figures of one whole device: memory bandwidth in GB/s, dense matrix throughput in TFLOP/s
(FP16 on tensor cores where it has them, FP32 outside them), the power its board may draw, and
CUDA's compute capability. NVIDIA publishes them for each product. Two are by analogy: A10G has
the chip of A10 (as many cores and tensor cores, a higher power limit), and of the server edition
of RTX PRO 6000 only the order of the FP16 figure is public.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GPU_SPECS", "GpuSpec", "gpu_reported_as", "gpu_spec"]


@dataclass(frozen=True, slots=True)
class GpuSpec:
    """`name` as the price books spell it.

    `reported_as` are the names that its driver gives: nvidia-smi's.
    """

    name: str
    memory_gib: float
    bandwidth_gb_s: float
    fp16_tflops: float
    fp32_tflops: float
    board_w: float
    compute_capability: float
    reported_as: tuple[str, ...] = ()

    @property
    def generation(self) -> str:
        """Devices of one generation run the same kernels."""
        first = max(known for known in _GENERATIONS if known <= self.compute_capability)
        return _GENERATIONS[first]


_GENERATIONS = {
    0.0: "Kepler",
    5.0: "Maxwell",
    6.0: "Pascal",
    7.0: "Volta",
    7.5: "Turing",
    8.0: "Ampere",
    8.9: "Ada",
    9.0: "Hopper",
    10.0: "Blackwell",
}

GPU_SPECS = (
    GpuSpec("NVIDIA M60", 8, 160, 4.8, 4.8, 150, 5.2, ("Tesla M60",)),
    GpuSpec("NVIDIA P100", 16, 732, 18.7, 9.3, 250, 6.0, ("Tesla P100-PCIE-16GB",)),
    GpuSpec("NVIDIA V100 PCIe", 16, 900, 112.0, 14.0, 250, 7.0, ("Tesla V100-PCIE-16GB",)),
    GpuSpec(
        *("NVIDIA V100", 16, 900, 125.0, 15.7, 300, 7.0),
        ("Tesla V100-SXM2-16GB", "Tesla V100-SXM2-32GB"),
    ),
    GpuSpec("NVIDIA V100S", 32, 1134, 130.0, 16.4, 250, 7.0, ("Tesla V100S-PCIE-32GB",)),
    GpuSpec("NVIDIA T4", 16, 320, 65.0, 8.1, 70, 7.5, ("Tesla T4",)),
    GpuSpec("NVIDIA RTX 5000", 16, 448, 89.0, 11.2, 230, 7.5, ("Quadro RTX 5000",)),
    GpuSpec("NVIDIA A10", 24, 600, 125.0, 31.2, 150, 8.6, ("NVIDIA A10",)),
    GpuSpec("NVIDIA A10G", 24, 600, 125.0, 31.5, 300, 8.6, ("NVIDIA A10G",)),
    GpuSpec("NVIDIA A16", 16, 200, 17.9, 4.5, 62.5, 8.6, ("NVIDIA A16-16Q",)),
    GpuSpec("NVIDIA A40", 48, 696, 149.7, 37.4, 300, 8.6, ("NVIDIA A40-16Q",)),
    GpuSpec("NVIDIA A100", 40, 1555, 312.0, 19.5, 400, 8.0, ("NVIDIA A100-SXM4-40GB",)),
    GpuSpec("NVIDIA A100", 80, 2039, 312.0, 19.5, 400, 8.0, ("NVIDIA A100-SXM4-80GB",)),
    GpuSpec("NVIDIA A100 PCIe", 80, 1935, 312.0, 19.5, 300, 8.0, ("NVIDIA A100 80GB PCIe",)),
    GpuSpec("NVIDIA L4", 24, 300, 121.0, 30.3, 72, 8.9, ("NVIDIA L4",)),
    GpuSpec("NVIDIA L40S", 48, 864, 362.0, 91.6, 350, 8.9, ("NVIDIA L40S",)),
    GpuSpec("NVIDIA H100", 80, 3350, 989.0, 67.0, 700, 9.0, ("NVIDIA H100 80GB HBM3",)),
    GpuSpec("NVIDIA H100 PCIe", 80, 2039, 756.0, 51.0, 350, 9.0, ("NVIDIA H100 PCIe",)),
    GpuSpec("NVIDIA H200", 141, 4800, 989.0, 67.0, 700, 9.0, ("NVIDIA H200",)),
    GpuSpec("NVIDIA B200", 180, 8000, 2250.0, 75.0, 1000, 10.0, ("NVIDIA B200",)),
    GpuSpec(
        *("NVIDIA RTX PRO Server 6000", 96, 1597, 500.0, 120.0, 600, 12.0),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition",),
    ),
)


def gpu_spec(model: str, memory_gib_per_device: float) -> GpuSpec | None:
    """Of a whole device; None where nothing is known of it. Some models have two memories."""
    named = [spec for spec in GPU_SPECS if spec.name == model]
    return min(named, key=lambda spec: abs(spec.memory_gib - memory_gib_per_device), default=None)


def gpu_reported_as(name: str) -> GpuSpec | None:
    return next((spec for spec in GPU_SPECS if name in spec.reported_as), None)
