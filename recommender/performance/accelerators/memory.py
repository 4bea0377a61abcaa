"""What a model takes of a device's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from recommender.model_files import ModelProfile

__all__ = ["CONTEXT_TOKENS", "DeviceMemory"]

CONTEXT_TOKENS = 2048
"""Kept for each request of a decoder, where the model can keep as many."""
_RUNTIME_BYTES = 2**29
"""CUDA's context and the libraries' kernels, in each process."""
_ACTIVATIONS_RATIO = 0.1


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Of one process on one device. activations: what passes between layers, by assumption."""

    weights_bytes: int
    cache_bytes: int
    activations_bytes: int
    runtime_bytes: int = _RUNTIME_BYTES

    @classmethod
    def of(cls, profile: ModelProfile, batch: int) -> Self:
        tokens = min(profile.context_tokens or CONTEXT_TOKENS, CONTEXT_TOKENS)
        return cls(
            weights_bytes=profile.weight_bytes,
            cache_bytes=batch * tokens * (profile.kv_bytes_per_token or 0),
            activations_bytes=round(_ACTIVATIONS_RATIO * profile.weight_bytes),
        )

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.cache_bytes + self.activations_bytes + self.runtime_bytes
