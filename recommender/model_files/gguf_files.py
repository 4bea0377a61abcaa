from __future__ import annotations

from typing import TYPE_CHECKING

from gguf import GGUFReader

from recommender.model_files.errors import ModelFileDamaged
from recommender.model_files.profile import ModelProfile, layers_of, precision_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["read_gguf"]

_BYTES_OF_A_CACHED_NUMBER = 2
_ENCODERS = ("bert", "t5encoder", "clip")


def read_gguf(shards: Sequence[Path]) -> ModelProfile:
    """Metadata and tensor sizes; the weights are mapped, not read. Raises ModelFileDamaged."""
    readers = [_opened(shard) for shard in shards]
    tensors = [tensor for reader in readers for tensor in reader.tensors]
    if not tensors:
        raise ModelFileDamaged(
            f"{shards[0]}: no tensor in it", hint="give the file of the weights"
        )
    facts = readers[0]
    architecture = str(_field(facts, "general.architecture") or "")
    parameters = sum(int(tensor.n_elements) for tensor in tensors)
    weight_bytes = sum(int(tensor.n_bytes) for tensor in tensors)
    layers = _count(facts, f"{architecture}.block_count")
    is_decoder = not any(name in architecture for name in _ENCODERS)
    return ModelProfile(
        format="gguf",
        source=str(shards[0]),
        kind="decoder" if is_decoder else "other",
        precision=precision_of(weight_bytes, parameters),
        parameters=parameters,
        weight_bytes=weight_bytes,
        layers=layers or layers_of(sum(len(tensor.shape) > 1 for tensor in tensors)),
        flops_per_item=2.0 * parameters,
        kv_bytes_per_token=_cache_bytes(facts, architecture, layers) if is_decoder else None,
        context_tokens=_count(facts, f"{architecture}.context_length"),
    )


def _opened(path: Path) -> GGUFReader:
    try:
        return GGUFReader(path)
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise ModelFileDamaged(
            f"{path}: not a whole GGUF file ({error})", hint="download or copy it again"
        ) from error


def _cache_bytes(facts: GGUFReader, architecture: str, layers: int | None) -> int | None:
    """Keys and values of every block, for one token, in FP16."""
    heads = _count(facts, f"{architecture}.attention.head_count")
    cached_heads = _count(facts, f"{architecture}.attention.head_count_kv") or heads
    width = _count(facts, f"{architecture}.embedding_length")
    if not (layers and heads and cached_heads and width):
        return None
    key = _count(facts, f"{architecture}.attention.key_length") or width // heads
    return 2 * _BYTES_OF_A_CACHED_NUMBER * layers * cached_heads * key


def _count(facts: GGUFReader, name: str) -> int | None:
    value = _field(facts, name)
    return value if isinstance(value, int) and value > 0 else None


def _field(facts: GGUFReader, name: str) -> object:
    field = facts.get_field(name)
    return None if field is None else field.contents()
