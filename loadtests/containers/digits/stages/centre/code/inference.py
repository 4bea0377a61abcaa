"""The first stage of the sample pipeline: digits moved to the middle of their 8 by 8 pixels."""

from __future__ import annotations

import json

import numpy as np

SIDE = 8


def model_fn(model_dir: str) -> None:
    """There is nothing to load."""


def input_fn(body: str | bytes, content_type: str) -> np.ndarray:  # noqa: ARG001 - as SageMaker calls it
    return np.asarray(json.loads(body)["instances"], dtype=float).reshape(-1, SIDE, SIDE)


def predict_fn(digits: np.ndarray, model: None) -> np.ndarray:  # noqa: ARG001
    return np.stack([_centred(digit) for digit in digits])


def _centred(digit: np.ndarray) -> np.ndarray:
    ink = digit.sum()
    if ink == 0:
        return digit
    for axis in (0, 1):
        along = digit.sum(axis=1 - axis)
        middle = float(along @ np.arange(SIDE)) / ink
        digit = np.roll(digit, round((SIDE - 1) / 2 - middle), axis=axis)
    return digit


def output_fn(digits: np.ndarray, accept: str) -> tuple[str, str]:  # noqa: ARG001
    rows = digits.reshape(len(digits), SIDE * SIDE).tolist()
    return json.dumps({"instances": rows}), "application/json"
