"""Limits that ruff has no rule for: what is longer hides a second subject."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("recommender", "loadtests", "pricing", "dashboard")
MODULE_LINES, FUNCTION_LINES = 400, 40
MODULES = [
    file.relative_to(ROOT).as_posix()
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
]


def functions(source):
    """Name and length, from `def` to the last line; decorators are not counted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


def test_all_four_packages_are_looked_at():
    assert {module.split("/")[0] for module in MODULES} == set(PACKAGES)
    assert len(MODULES) > 50


@pytest.mark.parametrize("module", MODULES)
def test_a_module_fits_on_a_few_screens(module):
    lines = len((ROOT / module).read_text().splitlines())
    assert lines <= MODULE_LINES, f"{module} has {lines} lines"


@pytest.mark.parametrize("module", MODULES)
def test_a_function_fits_on_one_screen(module):
    found = dict(functions((ROOT / module).read_text()))
    too_long = {name: lines for name, lines in found.items() if lines > FUNCTION_LINES}
    assert not too_long


def test_lengths_are_counted_from_def_to_end():
    source = "@decorated\ndef outer():\n    def inner():\n        pass\n\n    return inner\n"
    assert dict(functions(source)) == {"outer": 5, "inner": 2}
