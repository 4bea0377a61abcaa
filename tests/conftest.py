"""Every test: its own home, no settings from whoever runs it, and the same examples in CI."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("local", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI", "").lower() == "true" else "local")


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
