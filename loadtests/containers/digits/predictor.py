"""The web side of the serving contract: GET /ping and POST /invocations."""

from __future__ import annotations

import logging
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify, request
from serving_model import JSON_TYPE, RequestRefused, ServingModel, load_serving_model
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MODEL_DIR = "/opt/ml/model"
DISCARDED_BYTES = 64 * 1024**2
CHUNK_BYTES = 64 * 1024
REAL_TIME_PAYLOAD_BYTES = 25 * 1024**2  # SageMaker's own limit for a real-time endpoint

log = logging.getLogger("gunicorn.error")


def create_app(environment: Mapping[str, str]) -> Flask:
    """Loads the model at once. One that does not load shows in /ping, not as a crash loop."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = int(
        environment.get("MODEL_SERVER_MAX_PAYLOAD_BYTES", REAL_TIME_PAYLOAD_BYTES)
    )
    model, reason = _load(Path(environment.get("SM_MODEL_DIR", DEFAULT_MODEL_DIR)))

    @app.get("/ping")
    def ping() -> Response:
        return Response(status=HTTPStatus.OK) if model else _unavailable(reason)

    @app.post("/invocations")
    def invocations() -> Response:
        if model is None:
            return _unavailable(reason)
        accept = request.headers.get("Accept", "*/*")
        body, content_type = model.answer(
            request.get_data(), request.mimetype, JSON_TYPE if accept == "*/*" else accept
        )
        return Response(body, content_type=content_type)

    app.register_error_handler(RequestRefused, _refused)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _load(model_dir: Path) -> tuple[ServingModel, None] | tuple[None, str]:
    try:
        return load_serving_model(model_dir), None
    except Exception as error:  # what a pickle or a user's model_fn may raise is not ours to list
        log.exception("the model in %s does not load", model_dir)
        return None, f"the model in {model_dir} does not load: {type(error).__name__}: {error}"


def _unavailable(reason: str | None) -> Response:
    return _error(reason or "no model", HTTPStatus.SERVICE_UNAVAILABLE)


def _refused(error: RequestRefused) -> Response:
    return _error(str(error), error.status)


def _too_large(error: RequestEntityTooLarge) -> Response:
    # A caller still sending when the connection closes sees a reset instead of this answer.
    stream = request.environ["wsgi.input"]
    left_bytes = DISCARDED_BYTES
    while left_bytes > 0 and (chunk := stream.read(CHUNK_BYTES)):
        left_bytes -= len(chunk)
    return _http_error(error)


def _http_error(error: HTTPException) -> Response:
    """What Flask itself refuses, and what the model failed at, which Flask has logged."""
    original = getattr(error, "original_exception", None)
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if original is None:
        return _error(error.description or error.name, status)
    return _error(f"the model failed: {type(original).__name__}: {original}", status)


def _error(message: str, status: int) -> Response:
    response = jsonify(error=message)
    response.status_code = status
    return response
