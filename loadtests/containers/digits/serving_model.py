"""The model behind the endpoint: how it is loaded, asked and answered for.

The four steps are SageMaker's: model_fn(model_dir), input_fn(body, content_type),
predict_fn(data, model) and output_fn(prediction, accept). Each has a default here for any
scikit-learn estimator, and each may be replaced by `code/inference.py` in the model directory.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import sys
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv"
MODEL_FILES = ("model.joblib", "model.pkl")
TABLE_DIMENSIONS = 2


class RequestRefused(Exception):  # noqa: N818 - the name says what happened
    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class ServingModel:
    model: Any
    input_fn: Callable[[str | bytes, str], Any]
    predict_fn: Callable[[Any, Any], Any]
    output_fn: Callable[[Any, str], Any]

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[str | bytes, str]:
        """The answer's body and its content type."""
        data = self.input_fn(_text_or_bytes(body, content_type), content_type)
        prediction = self.predict_fn(data, self.model)
        output = self.output_fn(prediction, accept)
        return output if isinstance(output, tuple) else (output, accept)


def load_serving_model(model_dir: Path) -> ServingModel:
    user = _user_module(model_dir / "code" / "inference.py")
    model = getattr(user, "model_fn", load_estimator)(str(model_dir))
    width = getattr(model, "n_features_in_", None)

    def table_of_width(body: str | bytes, content_type: str) -> np.ndarray:
        return read_table(body, content_type, width)

    return ServingModel(
        model=model,
        input_fn=getattr(user, "input_fn", table_of_width),
        predict_fn=getattr(user, "predict_fn", predict),
        output_fn=getattr(user, "output_fn", write_json),
    )


def _user_module(path: Path) -> ModuleType | None:
    if not path.is_file():
        return None
    # The modules shipped next to inference.py are its to import.
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("inference", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules["inference"] = module
    spec.loader.exec_module(module)
    return module


def load_estimator(model_dir: str) -> Any:  # noqa: ANN401 - any estimator
    import joblib  # noqa: PLC0415 - half a second that a model_fn may not need

    for name in MODEL_FILES:
        path = Path(model_dir, name)
        if path.is_file():
            return joblib.load(path)
    raise FileNotFoundError(f"no {' or '.join(MODEL_FILES)} in {model_dir}")


def read_table(body: str | bytes, content_type: str, width: int | None) -> np.ndarray:
    """Rows of finite numbers, as many in a row as the model takes, where it says so."""
    if content_type not in {JSON_TYPE, CSV_TYPE}:
        raise RequestRefused(
            f"{content_type or 'no content type'} is not served; send {JSON_TYPE} or {CSV_TYPE}",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    text = body.decode() if isinstance(body, bytes) else body
    if not text.strip():
        raise RequestRefused("the body is empty; send at least one row of numbers")
    rows = _json_rows(text) if content_type == JSON_TYPE else _csv_rows(text)
    return _numbers(rows, width)


def predict(data: Any, model: Any) -> dict[str, Any]:  # noqa: ANN401 - any estimator
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier  # noqa: PLC0415

    if isinstance(model, (ExtraTreesClassifier, RandomForestClassifier)) and model.n_outputs_ == 1:
        # A forest predicts by its probabilities: asking for both would walk every tree twice.
        probabilities = model.predict_proba(data)
        predictions = model.classes_.take(probabilities.argmax(axis=1))
        return {"predictions": predictions, "probabilities": probabilities}
    answer = {"predictions": model.predict(data)}
    if hasattr(model, "predict_proba"):
        answer["probabilities"] = model.predict_proba(data)
    return answer


def write_json(prediction: Any, accept: str) -> tuple[str, str]:  # noqa: ANN401, ARG001
    """JSON whatever is accepted: it is the one form this container speaks."""
    return json.dumps(prediction, default=_plain, allow_nan=False), JSON_TYPE


def _plain(value: Any) -> Any:  # noqa: ANN401
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"an answer of type {type(value).__name__} has no JSON form")


def _text_or_bytes(body: bytes, content_type: str) -> str | bytes:
    if content_type not in {JSON_TYPE, CSV_TYPE}:
        return body
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestRefused(f"the body is not UTF-8 text: {error}") from error


def _json_rows(text: str) -> Any:  # noqa: ANN401
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (json.JSONDecodeError, RecursionError) as error:
        raise RequestRefused(f"the body is not JSON: {error}") from error
    if isinstance(document, dict):
        for key in ("instances", "inputs"):
            if key in document:
                return document[key]
        raise RequestRefused(
            'expected {"instances": [[...], ...]}, {"inputs": ...} or a list of rows'
        )
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise RequestRefused(f"{name} is not a finite number")


def _csv_rows(text: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text)) if row]


def _numbers(rows: Any, width: int | None) -> np.ndarray:  # noqa: ANN401
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise RequestRefused("expected a list of rows, each a list of numbers")
    if not rows:
        raise RequestRefused("no rows to predict for")
    try:
        table = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RequestRefused(f"the rows do not form a table of numbers: {error}") from error
    if table.ndim != TABLE_DIMENSIONS:
        raise RequestRefused("expected a list of rows, each a list of numbers")
    if width is not None and table.shape[1] != width:
        raise RequestRefused(f"rows have {table.shape[1]} numbers, the model takes {width}")
    if not np.isfinite(table).all():
        raise RequestRefused("every number must be finite")
    return table
