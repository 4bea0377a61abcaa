from pathlib import Path

import pytest

from recommender.cli.app import COMMANDS
from recommender.cli.reference import reference_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "recommender" / "docs"


def test_the_reference_says_what_the_commands_say():
    """Renew with: python -m recommender.cli.reference > recommender/docs/reference.md."""
    assert (DOCS / "reference.md").read_text() == reference_page()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command):
    assert f"recommender {command}" in (ROOT / "README.md").read_text()


def test_the_readme_has_the_two_commands_that_do_all_set_up():
    readme = (ROOT / "README.md").read_text()
    assert "pip install . && recommender quick" in readme
    assert "pip install '.[test]' && pytest" in readme
