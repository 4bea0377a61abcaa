"""Every test: its own home, no settings from whoever runs it, and the same examples in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from loadtests import sample_container
from loadtests.errors import EngineUnavailable
from loadtests.journal import Journal
from loadtests.targets.container_engine import is_not_found, open_engine
from loadtests.targets.container_spec import Build

sys.path.insert(0, str(Path(__file__).parent))  # for container_images.py
from container_images import build_from, import_server_image

pytest_plugins = ["taking_turns"]

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("local", deadline=None, print_blob=True)
IN_CI = os.environ.get("CI", "").lower() == "true"
BASE_IMAGE = "localhost/recommender-python:bookworm"  # made by .ci/base_image
settings.load_profile("ci" if IN_CI else "local")


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


SETTINGS_OF_WHOEVER_RUNS_IT = ("RECOMMENDER_", "XDG_", "NO_COLOR", "FORCE_COLOR")


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path):
    """The folder that stands for the user's own; nothing of ours is kept anywhere else."""
    for name in list(os.environ):
        if name.startswith(SETTINGS_OF_WHOEVER_RUNS_IT):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("RECOMMENDER_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory):
    """One service for all tests; in CI it must be there."""
    try:
        engine = open_engine(Journal(tmp_path_factory.mktemp("engine")))
    except EngineUnavailable as problem:
        if IN_CI:
            raise
        pytest.skip(str(problem))
    yield engine
    engine.close()


@pytest.fixture
def engine(shared_engine, monkeypatch):
    """The container engine, which targets find too."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{shared_engine.socket}")
    return shared_engine


@pytest.fixture(scope="session")
def sample_build(shared_engine):
    """The sample image from its Dockerfile, on CI's base image: it needs no image registry."""
    try:
        shared_engine.image(BASE_IMAGE)
    except OSError as problem:
        if not is_not_found(problem):
            raise
        if not IN_CI:
            pytest.skip(f"no image {BASE_IMAGE}; make it with .ci/base_image")
        maker = Path(__file__).parents[1] / ".ci" / "base_image"
        subprocess.run([maker, BASE_IMAGE], check=True)  # which CI has begun: waits for its end
    arguments = {**sample_container.image_arguments(), "BASE_IMAGE": BASE_IMAGE}
    return Build(sample_container.directory(), arguments)


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """The sample model, trained."""
    return sample_container.cached_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def server_images(shared_engine):
    """Name prefix of the test server's images: -plain, and -labelled as one that takes a port."""
    name = f"localhost/recommender-test-{os.getpid()}"
    client = shared_engine.client
    import_server_image(client, f"{name}-plain")
    label = "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true"
    build_from(client, f"{name}-labelled", f"FROM {name}-plain\n{label}\n")
    yield name
    for kind in ("labelled", "plain"):
        client.remove_image(f"{name}-{kind}", force=True)
