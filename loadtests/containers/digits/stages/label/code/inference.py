"""The last stage of the sample pipeline: the digit as a word, and how sure the model is."""

from __future__ import annotations

import json
from typing import Any

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def model_fn(model_dir: str) -> None:
    """There is nothing to load."""


def input_fn(body: str | bytes, content_type: str) -> dict[str, Any]:  # noqa: ARG001 - as SageMaker calls it
    found: dict[str, Any] = json.loads(body)
    return found


def predict_fn(found: dict[str, Any], model: None) -> list[dict[str, Any]]:  # noqa: ARG001
    pairs = zip(found["predictions"], found["probabilities"], strict=True)
    return [{"label": WORDS[int(digit)], "sure": max(odds)} for digit, odds in pairs]


def output_fn(labels: list[dict[str, Any]], accept: str) -> tuple[str, str]:  # noqa: ARG001
    return json.dumps({"labels": labels}), "application/json"
