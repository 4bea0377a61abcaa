"""A profile from a list of named tensors, as safetensors and torch files hold them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from recommender.model_files.profile import ModelProfile, layers_of, precision_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from recommender.model_files.profile import Format

__all__ = ["StoredTensor", "profile_of_tensors", "read_config"]

_BLOCK = re.compile(r"(?:^|\.)(?:layers?|h|blocks?|block)\.(\d+)\.")
_EMBEDDING = re.compile(r"embed|\bw[tp]e\b|token_type")
_DECODER = re.compile(r"(?:^|\.)lm_head\.|(?:^|\.)wte\.|\.self_attn\.k_proj\.|attention\.wk\.")
_BYTES_OF_A_CACHED_NUMBER = 2
_KERNEL_SIDES = 3  # of a convolution's kernel, which meets every place of its input


@dataclass(frozen=True, slots=True)
class StoredTensor:
    name: str
    shape: tuple[int, ...]
    stored_bytes: int

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def is_matrix(self) -> bool:
        return len(self.shape) > 1


def profile_of_tensors(
    tensors: Sequence[StoredTensor], config: dict[str, Any], source: tuple[Format, str]
) -> ModelProfile:
    """config: of Hugging Face, beside the weights; empty where there is none."""
    parameters = sum(each.elements for each in tensors)
    weight_bytes = sum(each.stored_bytes for each in tensors)
    is_decoder = _is_decoder(tensors, config)
    blocks = _number(config, "num_hidden_layers", "n_layer", "num_layers") or _blocks(tensors)
    matrices = sum(each.is_matrix for each in tensors)
    multiplied = parameters if is_decoder else _without_embeddings(tensors)
    is_guessed = is_decoder and not config
    has_kernels = any(len(each.shape) >= _KERNEL_SIDES for each in tensors)
    return ModelProfile(
        format=source[0],
        source=source[1],
        kind="decoder" if is_decoder else "other",
        precision=precision_of(weight_bytes, parameters),
        parameters=max(multiplied, 1),
        weight_bytes=weight_bytes,
        layers=blocks or layers_of(matrices),
        flops_per_item=None if has_kernels and not is_decoder else 2.0 * max(multiplied, 1),
        kv_bytes_per_token=_cache_bytes(tensors, config, blocks) if is_decoder else None,
        context_tokens=_number(config, "max_position_embeddings", "n_positions"),
        notes=("taken for a decoder by the names of its tensors",) if is_guessed else (),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Hugging Face's config.json, where there is one that says anything."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_decoder(tensors: Sequence[StoredTensor], config: dict[str, Any]) -> bool:
    named = config.get("architectures")
    if isinstance(named, list) and named:
        return any("CausalLM" in str(name) or "LMHead" in str(name) for name in named)
    return any(_DECODER.search(each.name) for each in tensors)


def _blocks(tensors: Sequence[StoredTensor]) -> int:
    found = {int(match[1]) for each in tensors if (match := _BLOCK.search(each.name))}
    return len(found)


def _without_embeddings(tensors: Sequence[StoredTensor]) -> int:
    """A table that is looked up multiplies nothing."""
    return sum(each.elements for each in tensors if not _EMBEDDING.search(each.name))


def _cache_bytes(
    tensors: Sequence[StoredTensor], config: dict[str, Any], blocks: int
) -> int | None:
    """Keys and values of every block, for one token, in FP16."""
    heads = _number(config, "num_attention_heads", "n_head")
    hidden = _number(config, "hidden_size", "n_embd")
    cached_heads = _number(config, "num_key_value_heads") or heads
    if heads and hidden and cached_heads:
        width = cached_heads * (_number(config, "head_dim") or hidden // heads)
    else:
        keys = [each.shape[0] for each in tensors if ".k_proj.weight" in each.name]
        width = max(keys, default=0)
    return 2 * _BYTES_OF_A_CACHED_NUMBER * blocks * width or None


def _number(config: dict[str, Any], *names: str) -> int | None:
    for name in names:
        if isinstance(value := config.get(name), int) and value > 0:
            return value
    return None
