"""ONNX: the weights are its initialisers, and the shapes it infers say what one input costs."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from recommender.model_files.errors import ModelFileDamaged
from recommender.model_files.profile import ModelProfile, layers_of, precision_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    Shapes = Mapping[str, tuple[int, ...]]

__all__ = ["read_onnx"]

_BITS: dict[int, int] = {
    **dict.fromkeys((onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64), 64),
    **dict.fromkeys((onnx.TensorProto.FLOAT, onnx.TensorProto.INT32), 32),
    **dict.fromkeys((onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16), 16),
    **dict.fromkeys((onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.BOOL), 8),
    **dict.fromkeys((onnx.TensorProto.INT4, onnx.TensorProto.UINT4), 4),
}
_UNCOUNTED = ("ConvTranspose", "LSTM", "GRU", "RNN")
_MATRIX_PRODUCTS = ("MatMul", "Gemm", "Conv", "MatMulInteger", "ConvInteger", "QLinearConv",
                    "QLinearMatMul", *_UNCOUNTED)  # fmt: skip
_LARGEST_INFERRED_BYTES = 2**31 - 1  # of a protobuf message


def read_onnx(path: Path) -> ModelProfile:
    """Raises ModelFileDamaged. Weights in files beside it are counted, not read."""
    graphs = list(_with_inner(_graph(path)))
    nodes = [node for graph in graphs for node in graph.node]
    weights = dict(_weights(graphs))
    looked_up = {node.input[0] for node in nodes if node.op_type == "Gather"}
    parameters = sum(prod(w.dims) for name, w in weights.items() if name not in looked_up)
    weight_bytes = sum(_stored_bytes(each) for each in weights.values())
    products = [node for node in nodes if node.op_type in _MATRIX_PRODUCTS]
    if not parameters or not products:
        raise ModelFileDamaged(
            f"{path}: an ONNX graph of {len(nodes)} nodes that multiplies no weights",
            hint="trees and the like gain nothing on an accelerator; give another file",
        )
    flops = _flops(products, _shapes(graphs, weights))
    has_kernels = any("Conv" in node.op_type for node in products)
    return ModelProfile(
        format="onnx",
        source=str(path),
        precision=precision_of(weight_bytes, sum(prod(w.dims) for w in weights.values())),
        parameters=parameters,
        weight_bytes=weight_bytes,
        layers=layers_of(len(products)),
        flops_per_item=2.0 * parameters if flops is None and not has_kernels else flops,
        notes=() if flops is not None else ("its input has no fixed size",),
    )


def _graph(path: Path) -> onnx.GraphProto:
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise ModelFileDamaged(
            f"{path}: not a whole ONNX file ({error})", hint="download or copy it again"
        ) from error
    if not model.graph.node:
        raise ModelFileDamaged(f"{path}: an ONNX file without a graph", hint="export it again")
    _one_item(model.graph)
    if model.ByteSize() > _LARGEST_INFERRED_BYTES:
        return model.graph
    return onnx.shape_inference.infer_shapes(model).graph


def _with_inner(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """It, and those of its branches and loops."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _with_inner(attribute.g)


def _weights(graphs: Sequence[onnx.GraphProto]) -> Iterator[tuple[str, onnx.TensorProto]]:
    for graph in graphs:
        yield from ((each.name, each) for each in graph.initializer)
        for node in graph.node:
            if node.op_type == "Constant":
                yield from ((node.output[0], a.t) for a in node.attribute if a.name == "value")


def _one_item(graph: onnx.GraphProto) -> None:
    """A first dimension without a size is the batch: one item."""
    for each in graph.input:
        dims = each.type.tensor_type.shape.dim
        if dims and not dims[0].dim_value:
            dims[0].dim_value = 1


def _stored_bytes(tensor: onnx.TensorProto) -> int:
    return int(prod(tensor.dims)) * _BITS.get(tensor.data_type, 8) // 8


def _shapes(
    graphs: Sequence[onnx.GraphProto], weights: Mapping[str, onnx.TensorProto]
) -> dict[str, tuple[int, ...]]:
    """Those that are known in full."""
    shapes = {name: tuple(each.dims) for name, each in weights.items()}
    for graph in graphs:
        for each in (*graph.value_info, *graph.input, *graph.output):
            dims = each.type.tensor_type.shape.dim
            if dims and all(dim.dim_value for dim in dims):
                shapes[each.name] = tuple(dim.dim_value for dim in dims)
    return shapes


def _flops(products: Sequence[onnx.NodeProto], shapes: Shapes) -> float | None:
    """Of all matrix products and convolutions; None where one has a size nobody knows."""
    counted = [_flops_of(node, shapes) for node in products]
    known = [flops for flops in counted if flops is not None]
    return float(sum(known)) if len(known) == len(counted) else None


def _flops_of(node: onnx.NodeProto, shapes: Shapes) -> float | None:
    """2 x (elements of the result) x (products summed into each)."""
    result = shapes.get(node.output[0])
    summed = _summed(node, shapes)
    return None if result is None or summed is None else 2.0 * prod(result) * summed


def _summed(node: onnx.NodeProto, shapes: Shapes) -> int | None:
    if node.op_type in ("Conv", "ConvInteger"):
        kernel = shapes.get(node.input[1])
        return None if kernel is None else prod(kernel[1:])
    if node.op_type == "QLinearConv":
        kernel = shapes.get(node.input[3])
        return None if kernel is None else prod(kernel[1:])
    if node.op_type in _UNCOUNTED:
        return None
    left = shapes.get(node.input[0])
    if left is None:
        return None
    is_transposed = any(each.name == "transA" and each.i for each in node.attribute)
    return left[0] if is_transposed else left[-1]
