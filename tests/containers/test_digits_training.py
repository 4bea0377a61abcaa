from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import joblib
import pytest
from sklearn.datasets import load_digits

from loadtests import sample_container
from loadtests.errors import SampleTrainingFailed

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    model_dir = tmp_path_factory.mktemp("model")
    return model_dir, sample_container.train(model_dir)


def test_the_model_recognises_digits_it_has_not_seen(trained):
    model_dir, metadata = trained
    assert metadata.test_accuracy > 0.9
    assert metadata.n_features == 64
    assert metadata.sklearn_version == version("scikit-learn")
    assert metadata.trained_on + metadata.tested_on == len(load_digits().target)
    document = json.loads((model_dir / "metadata.json").read_text())
    assert document["test_accuracy"] == metadata.test_accuracy
    model = joblib.load(model_dir / "model.joblib")
    assert model.n_features_in_ == metadata.n_features
    assert model.n_jobs == 1


def test_training_again_gives_the_same_model(trained, tmp_path):
    model_dir, metadata = trained
    assert sample_container.train(tmp_path) == metadata
    assert (tmp_path / "model.joblib").read_bytes() == (model_dir / "model.joblib").read_bytes()


def test_a_training_that_fails_says_what_it_said(tmp_path):
    not_a_directory = tmp_path / "file"
    not_a_directory.write_text("")
    with pytest.raises(SampleTrainingFailed) as caught:
        sample_container.train(not_a_directory)
    assert "FileExistsError" in str(caught.value)
    assert str(not_a_directory) in (caught.value.hint or "")


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    not_a_directory = tmp_path / "file"
    not_a_directory.write_text("")
    with pytest.raises(SampleTrainingFailed, match=str(not_a_directory)):
        sample_container.cached_model(not_a_directory)


def test_many_may_ask_for_the_model_at_once_and_it_is_trained_once(tmp_path):
    with ThreadPoolExecutor(4) as askers:
        found = set(askers.map(sample_container.cached_model, [tmp_path] * 4))
    (model_dir,) = found
    assert {path.name for path in model_dir.iterdir()} == {"model.joblib", "metadata.json"}
    trained_at = (model_dir / "model.joblib").stat().st_mtime_ns
    assert sample_container.cached_model(tmp_path) == model_dir
    assert (model_dir / "model.joblib").stat().st_mtime_ns == trained_at
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [model_dir]


def test_a_killed_asker_leaves_no_half_model(tmp_path):
    program = (
        "import sys; from pathlib import Path; from loadtests import sample_container;"
        "sample_container.cached_model(Path(sys.argv[1]))"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT) as asker:
        deadline_s = time.monotonic() + 20
        while not list(tmp_path.glob("*.lock")):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        asker.send_signal(signal.SIGKILL)
    model_dir = sample_container.cached_model(tmp_path)
    assert {path.name for path in model_dir.iterdir()} == {"model.joblib", "metadata.json"}
    assert not list(tmp_path.glob("*.unfinished"))


def test_what_a_killed_training_left_is_made_anew(tmp_path):
    model_dir = sample_container.cached_model(tmp_path)
    unfinished = model_dir.rename(tmp_path / f"{model_dir.name}.unfinished")
    (unfinished / "metadata.json").unlink()
    (unfinished / "model.joblib").write_bytes(b"half")
    assert sample_container.cached_model(tmp_path) == model_dir
    assert joblib.load(model_dir / "model.joblib").n_features_in_ == 64
    assert not unfinished.exists()
