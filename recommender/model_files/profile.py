"""What decides how fast a model is on an accelerator, and whether it fits."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Format", "Kind", "ModelProfile", "Precision", "layers_of", "precision_of"]

Format = Literal["onnx", "safetensors", "gguf", "torch", "given"]
Kind = Literal["decoder", "other"]
Precision = Literal["fp32", "fp16", "8-bit", "4-bit"]

MATRICES_PER_LAYER = 7
"""Of a decoder block: query, key, value, output, and three of the feed-forward network."""
_FEWEST_BITS: dict[Precision, float] = {"fp32": 24, "fp16": 12, "8-bit": 7, "4-bit": 0}


class ModelProfile(BaseModel):
    """kind: a decoder makes one token after the other; any other model answers in one pass.

    parameters: those that are multiplied, without tables that are looked up. layers: blocks, or as
    many as its matrices would make. flops_per_item: of one input of a fixed size, else of one row
    or token; None where that depends on a size that the file does not say (an image's).
    kv_bytes_per_token: of the cache that a decoder keeps. context_tokens: the most that it can.
    notes: what was taken for granted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Format
    source: str
    kind: Kind = "other"
    precision: Precision
    parameters: int = Field(gt=0)
    weight_bytes: int = Field(gt=0)
    layers: int = Field(gt=0)
    flops_per_item: float | None = Field(default=None, gt=0)
    kv_bytes_per_token: int | None = Field(default=None, gt=0)
    context_tokens: int | None = Field(default=None, gt=0)
    notes: tuple[str, ...] = ()


def precision_of(weight_bytes: int, parameters: int) -> Precision:
    """By what an average parameter takes."""
    bits = 8 * weight_bytes / parameters
    return next(name for name, fewest in _FEWEST_BITS.items() if bits >= fewest)


def layers_of(matrices: int) -> int:
    return max(round(matrices / MATRICES_PER_LAYER), 1)
