from __future__ import annotations

from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from recommender.model_files.errors import ModelFileDamaged
from recommender.model_files.tensors import StoredTensor, profile_of_tensors, read_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from recommender.model_files.profile import ModelProfile

__all__ = ["read_safetensors"]

_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


def read_safetensors(shards: Sequence[Path]) -> ModelProfile:
    """Headers only: no weight is read. Raises ModelFileDamaged."""
    tensors = [tensor for shard in shards for tensor in _tensors(shard)]
    if not tensors:
        raise ModelFileDamaged(
            f"{shards[0]}: no tensor in it", hint="give the file of the weights"
        )
    source = str(shards[0]) if len(shards) == 1 else f"{shards[0].parent} ({len(shards)} shards)"
    return profile_of_tensors(tensors, read_config(shards[0].parent), ("safetensors", source))


def _tensors(shard: Path) -> Iterator[StoredTensor]:
    try:
        with safe_open(shard, framework="np") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no mapping
                part = opened.get_slice(name)
                tensor = StoredTensor(name, tuple(part.get_shape()), 0)
                stored = tensor.elements * _bits(shard, part.get_dtype()) // 8
                yield StoredTensor(name, tensor.shape, stored)
    except SafetensorError as error:
        raise ModelFileDamaged(
            f"{shard}: not a whole safetensors file ({error})", hint="download or copy it again"
        ) from error


def _bits(shard: Path, dtype: str) -> int:
    if dtype not in _BITS:
        raise ModelFileDamaged(
            f"{shard}: numbers of kind {dtype} are not known here",
            hint="give the model's size by hand: --model-params, --model-bytes, --model-layers",
        )
    return _BITS[dtype]
