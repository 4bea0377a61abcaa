import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.traffic.spec import KINDS
from recommender.cli.app import COMMANDS
from recommender.loadtest.reading import read_plan
from recommender.loadtest.scenario import MODES

pytestmark = pytest.mark.beside

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "recommender" / "docs"
BLOCKS = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def test_the_reference_says_what_the_commands_say():
    """Renew with: python -m recommender.cli.reference > recommender/docs/reference.md."""
    # A process of its own: click's commands remember how they were first asked for help.
    shown = subprocess.run(
        [sys.executable, "-m", "recommender.cli.reference"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert (DOCS / "reference.md").read_text() == shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command):
    assert f"recommender {command}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "loadtest.md"])
def test_every_plan_in_the_docs_is_a_plan(page, tmp_path):
    found = [block for block in BLOCKS.findall(page.read_text()) if "model:" in block]
    assert found
    for block in found:
        file = tmp_path / "plan.yaml"
        file.write_text(block)
        assert read_plan(file).scenarios


def test_the_example_plan_has_every_mode_and_every_traffic():
    plan = read_plan(DOCS / "plan.yaml")
    kinds = {each.traffic.kind for each in plan.scenarios if hasattr(each, "traffic")}
    assert {each.mode for each in plan.scenarios} == set(MODES) - {"soak"}
    assert kinds >= {*KINDS, "phases", "stairs"}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_in_the_docs(mode):
    assert f"| `{mode}` |" in (DOCS / "loadtest.md").read_text()


def test_the_readme_has_the_two_commands_that_do_all_set_up():
    readme = (ROOT / "README.md").read_text()
    assert "pip install . && recommender quick" in readme
    assert "pip install '.[test]' && pytest" in readme
