import json
from io import StringIO

import pytest
from click.testing import CliRunner
from rich.console import Console

from recommender.cli.app import cli
from recommender.cli.simulation_check_tables import figures_shown
from recommender.recommendation import Range
from recommender.simulation_cases import Figure

RANGE = Range(median=541.2, low=520.0, high=566.7)
INSIDE = Figure("a fleet", "replica-seconds", RANGE, 533.7, is_judged=True)
OUTSIDE = Figure("a fleet", "in time, %", RANGE, 99.0, is_judged=True)
INVALID = Figure(
    "another", "replica-seconds", None, None, is_judged=True, faults=("it was too busy",)
)


def shown(*rows):
    console = Console(file=StringIO(), width=100, record=True)
    console.print(figures_shown(rows))
    return console.export_text()


def test_each_figure_is_told_with_its_interval_and_verdict():
    told = shown(INSIDE, OUTSIDE)
    assert "541" in told
    assert "520 to 567" in told
    assert "534 inside" in told
    assert "99.0 OUTSIDE" in told


def test_what_could_not_be_measured_is_told_once_with_its_reason():
    told = shown(INVALID, INVALID)
    assert told.count("INVALID") == 2
    assert told.count("another: it was too busy") == 1


@pytest.fixture
def found(monkeypatch, tmp_path):
    """The command, of a machine already looked at and of fleets already played."""
    monkeypatch.setenv("RECOMMENDER_HOME", str(tmp_path))
    monkeypatch.setattr("recommender.cli.doctor.examine", lambda *_: ())

    def run(*figures):
        monkeypatch.setattr("recommender.cli.doctor.check_simulation", lambda *_: figures)
        return CliRunner().invoke(cli, ["doctor", "--check-simulation", "2", "--json", "-q"])

    return run


def test_doctor_exits_with_4_where_a_simulation_was_wrong(found):
    right, wrong = found(INSIDE), found(INSIDE, OUTSIDE)
    assert (right.exit_code, wrong.exit_code) == (0, 4)
    rows = json.loads(wrong.output)["simulations"]
    assert [row["is_right"] for row in rows] == [True, False]
    assert rows[0]["simulated"] == {"median": 541.2, "low": 520.0, "high": 566.7}
