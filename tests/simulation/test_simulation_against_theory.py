"""`recommender simulate --check`."""

import json

import pytest
from click.testing import CliRunner

from recommender.cli.app import cli
from recommender.cli.output import Destinations
from recommender.cli.simulation_check_tables import present_theory
from recommender.simulation.check import TOLERANCE, TheoryCheck


def test_waiting_loss_and_machines_missing_are_those_of_theory_within_two_percent(tmp_path):
    file = tmp_path / "check.json"
    told = CliRunner().invoke(cli, ["simulate", "--check", "--json", str(file)])
    assert told.exit_code == 0, told.output
    found = json.loads(file.read_text())
    assert {each["law"] for each in found} == {"M/M/c", "Erlang loss", "birth-death"}
    assert len(found) == 19
    assert [each for each in found if abs(each["found"] / each["expected"] - 1) > 0.02] == []
    assert "largest error" in told.output


@pytest.mark.parametrize(("found", "code"), [(1.019, 0), (0.979, 4), (1.021, 4)])
def test_more_than_two_percent_are_wrong(capsys, found, code):
    assert TOLERANCE == 0.02
    rows = [TheoryCheck("a law", "a case", "a figure", found, 1.0)]
    assert present_theory(rows, Destinations(None, None, color=False)) == code
    assert ("WRONG" in capsys.readouterr().out) == (code == 4)
