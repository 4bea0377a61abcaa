"""The bundled digits container: where it is, how it runs as a plain process, how it is trained."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.errors import SampleTrainingFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "CONTENT_TYPE",
    "ModelMetadata",
    "cached_model",
    "directory",
    "image_arguments",
    "payloads",
    "serve_command",
    "serve_environment",
    "train",
]

CONTENT_TYPE = "application/json"
METADATA_FILE = "metadata.json"
TRAINING_TIMEOUT_S = 300
STDERR_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What `train` says about the model it made; accuracy is on images it did not train on."""

    model: str
    n_features: int
    trained_on: int
    tested_on: int
    test_accuracy: float
    sklearn_version: str

    @classmethod
    def from_file(cls, path: Path) -> ModelMetadata:
        document = json.loads(path.read_text())
        return cls(
            model=document["model"],
            n_features=document["n_features"],
            trained_on=document["trained_on"],
            tested_on=document["tested_on"],
            test_accuracy=document["test_accuracy"],
            sklearn_version=document["sklearn_version"],
        )


def directory() -> Path:
    """Holds Dockerfile, serve, train and the rest, in the classic SageMaker layout."""
    return Path(__file__).parent / "containers" / "digits"


def serve_command(python: str = sys.executable) -> tuple[str, ...]:
    """Serves as a plain process, with `serve_environment`.

    By interpreter, because an installed wheel may have lost the program's executable bit.
    """
    return (python, str(directory() / "serve"))


def serve_environment(model_dir: Path, port_placeholder: str = "{port}") -> dict[str, str]:
    """Loopback only and no nginx: nothing between the load test and the model but gunicorn."""
    return {
        "SAGEMAKER_BIND_TO_PORT": port_placeholder,
        "SERVE_HOST": "127.0.0.1",
        "SERVE_WITH_NGINX": "0",
        "SM_MODEL_DIR": str(model_dir),
    }


def image_arguments() -> dict[str, str]:
    """For the Dockerfile: the scikit-learn that trains the model here is to serve it there."""
    return {"REQUIREMENTS": f"flask>=3.0 gunicorn>=23.0 scikit-learn=={version('scikit-learn')}"}


def payloads() -> tuple[bytes, ...]:
    """Request bodies of CONTENT_TYPE, one real digit each, none of them seen in training."""
    return tuple((directory() / "samples.jsonl").read_bytes().splitlines())


def train(model_dir: Path) -> ModelMetadata:
    """Runs the container's own `train` in a process of its own: about two seconds.

    Raises SampleTrainingFailed with the end of what it wrote.
    """
    return _train(model_dir, kept_open=())


def cached_model(cache_dir: Path) -> Path:
    """A model directory in `cache_dir`, trained once per scikit-learn and version of `train`.

    Any number of processes may ask at once: one trains, the others wait for it. A killed one
    leaves no half model behind, because a model gets its name only when it is whole.
    """
    program = (directory() / "train").read_bytes()
    fingerprint = hashlib.sha256(program).hexdigest()[:12]
    model_dir = cache_dir / f"digits-{version('scikit-learn')}-{fingerprint}"
    if model_dir.is_dir():
        return model_dir
    try:
        with _locked(cache_dir / f"{model_dir.name}.lock") as lock:
            if not model_dir.is_dir():
                unfinished = cache_dir / f"{model_dir.name}.unfinished"
                if unfinished.exists():  # whoever was writing it held the lock, so it is dead
                    shutil.rmtree(unfinished)
                _train(unfinished, kept_open=(lock,))
                unfinished.rename(model_dir)
    except OSError as error:
        raise SampleTrainingFailed(
            f"the sample model cannot be kept in {cache_dir}: {error}",
            hint="name a directory that this user can write to",
        ) from error
    return model_dir


def _train(model_dir: Path, kept_open: tuple[int, ...]) -> ModelMetadata:
    program = directory() / "train"
    try:
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, str(program)],
            env={**os.environ, "SM_MODEL_DIR": str(model_dir)},
            pass_fds=kept_open,
            capture_output=True,
            text=True,
            check=True,
            timeout=TRAINING_TIMEOUT_S,
        )
    except subprocess.CalledProcessError as error:
        raise SampleTrainingFailed(
            f"{program} ended with status {error.returncode}:\n{_tail(error.stderr)}",
            hint=f"scikit-learn and joblib must be installed for {sys.executable}, "
            f"and {model_dir} must be writable",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SampleTrainingFailed(
            f"{program} had not ended after {TRAINING_TIMEOUT_S} s; it usually takes two",
            hint="is this machine short of memory or CPU?",
        ) from error
    return ModelMetadata.from_file(model_dir / METADATA_FILE)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The lock's descriptor, for handing on to whoever must hold the lock after us.

    The kernel drops the lock when the last process with the descriptor ends, however it ends:
    a training whose parent was killed still has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-STDERR_TAIL_LINES:])
