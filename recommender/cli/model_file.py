"""What is said of the model that a server holds: its file, or its size by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from recommender.errors import BadRequest
from recommender.model_files import (
    ModelFacts,
    ModelFileDamaged,
    ModelFileUnknown,
    ModelFileUnsafe,
    ModelProfile,
    precision_of,
    read_model,
)

__all__ = ["model_facts", "model_options"]

Function = TypeVar("Function", bound=Callable[..., Any])
_BY_HAND = {
    "model_params": "--model-params",
    "model_bytes": "--model-bytes",
    "model_layers": "--model-layers",
}


def model_options(function: Function) -> Function:
    positive = click.FloatRange(0, min_open=True)
    for option in (
        click.option(
            "--model-batch", type=click.IntRange(1), default=1, show_default=True, metavar="N",
            help="Requests that the server answers together on a GPU.",
        ),
        click.option(
            "--model-items", type=positive, metavar="N",
            help="What a request holds: tokens a decoder answers with; inputs, rows or tokens "
            "of other models.  [default: as its CPU time tells]",
        ),
        click.option(
            "--model-decoder", is_flag=True,
            help="With --model-params: makes one token after the other.",
        ),
        click.option(
            "--model-layers", type=positive, metavar="N", help="With --model-params: its layers.",
        ),
        click.option(
            "--model-bytes", type=positive, metavar="N",
            help="With --model-params: of its weights.",
        ),
        click.option(
            "--model-params", type=positive, metavar="N",
            help="The model's parameters, where no file says them, e.g. 1.2e9.",
        ),
        click.option(
            "--model-file", metavar="PATH",
            help="The model's own file, folder or model.tar.gz (ONNX, safetensors, GGUF, torch): "
            "GPUs and shares of them are ranked too.  [default: what --model names]",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def model_facts(given: dict[str, Any]) -> ModelFacts | None:
    """None where nothing was said. Takes its names out of `given`, but for --model's."""
    by_hand = {name: given.pop(name) for name in _BY_HAND}
    items, batch = given.pop("model_items"), given.pop("model_batch")
    file, is_decoder = given.pop("model_file"), given.pop("model_decoder")
    if any(value is not None for value in by_hand.values()):
        if file is not None:
            raise BadRequest("--model-file and --model-params: give one of them")
        profile = _given(by_hand, is_decoder=is_decoder)
        return ModelFacts(profile=profile, items_per_request=items, batch=batch)
    path = given["model"] if file is None else file
    if path is None:
        return None
    try:
        found = read_model(Path(path))
    except (ModelFileDamaged, ModelFileUnknown, ModelFileUnsafe) as error:
        return ModelFacts(unreadable=error.message)
    return ModelFacts(profile=found, items_per_request=items, batch=batch)


def _given(by_hand: dict[str, float | None], *, is_decoder: bool) -> ModelProfile:
    missing = [_BY_HAND[name] for name, value in by_hand.items() if value is None]
    if missing:
        raise BadRequest(
            f"the model's size is not whole: {', '.join(missing)} missing",
            hint="for example --model-params 1.2e9 --model-bytes 2.4e9 --model-layers 24",
        )
    parameters, weight_bytes, layers = (round(value or 0) for value in by_hand.values())
    if min(parameters, weight_bytes, layers) < 1:
        raise BadRequest("parameters, bytes and layers are whole numbers from 1 on")
    return ModelProfile(
        format="given",
        source="as was said",
        kind="decoder" if is_decoder else "other",
        precision=precision_of(weight_bytes, parameters),
        parameters=parameters,
        weight_bytes=weight_bytes,
        layers=layers,
        flops_per_item=2.0 * parameters,
    )
