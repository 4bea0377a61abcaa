import pytest

from dashboard.figures.break_even import (
    Line,
    Overtaking,
    break_even_figure,
    overtakings,
    verdict,
)
from dashboard.figures.palette import WAY_COLOR
from recommender.simulation.report import SimulationReport, TrafficTraceFacts
from recommender.simulation.ways.curves import (
    BreakEvenFacts,
    CrossingFacts,
    CurveFacts,
    StretchFacts,
)

MILLION = 1e6


@pytest.fixture
def report():
    """Serverless at $1 a million up to 60 million, against machines of $10 that carry 20."""
    return SimulationReport(
        run="q1",
        created_at="2026-11-21T12:00:00+00:00",
        region="us-east-1",
        objective="p95<100ms",
        confidence=0.8,
        traffic=TrafficTraceFacts(
            text="week.csv", duration_s=604800.0, step_s=3600.0, start=None,
            mean_rps=5.0, peak_rps=10.0, spread_ratio=0.0,
        ),
        ways=(),
        meets=True,
        break_even=BreakEvenFacts(
            requests_per_month=30 * MILLION,
            curves=(
                CurveFacts(
                    name="fixed",
                    option="ml.m5.large",
                    requests_per_month=(
                        0.0, 20 * MILLION, 20 * MILLION, 40 * MILLION, 40 * MILLION, 90 * MILLION
                    ),
                    usd_per_month=(10.0, 10.0, 20.0, 20.0, 30.0, 30.0),
                    until=90 * MILLION,
                ),
                CurveFacts(
                    name="serverless",
                    option="serverless 1 GB",
                    requests_per_month=(0.0, 60 * MILLION),
                    usd_per_month=(0.0, 60.0),
                    until=60 * MILLION,
                    meets_from=5 * MILLION,
                ),
            ),
            crossings=(
                CrossingFacts(
                    requests_per_month=10 * MILLION, usd_per_month=10.0,
                    cheaper_below="serverless", cheaper_above="fixed", at_a_step=False,
                ),
            ),
            stretches=(
                StretchFacts(from_requests=0.0, to_requests=10 * MILLION, cheapest="serverless"),
                StretchFacts(
                    from_requests=10 * MILLION, to_requests=90 * MILLION, cheapest="fixed"
                ),
            ),
        ),
    )  # fmt: skip


def test_exactly_what_was_computed_is_drawn(report):
    drawn = overtakings(report)
    low = 10 * MILLION / 3
    fixed, serverless = drawn.lines
    assert serverless == Line(
        name="serverless",
        label="serverless 1 GB, $30.00",
        requests=(low, 60 * MILLION),
        usd=(pytest.approx(10 / 3), 60.0),
        meets_from=5 * MILLION,
        ends=True,
    )
    assert fixed.label == "fixed: ml.m5.large, $20.00"
    assert fixed.requests[:3] == (low, 20 * MILLION, 20 * MILLION)
    assert not fixed.ends
    text = "fixed overtakes serverless at 10 million"
    assert drawn.turns == (Overtaking(10 * MILLION, 10.0, text, is_cheapest=True),)
    assert drawn.cheapest == (
        ("serverless", low, 10 * MILLION),
        ("fixed", 10 * MILLION, 90 * MILLION),
    )


def test_the_heading_says_who_is_cheapest_at_this_traffic(report):
    first, rest = verdict(report)
    assert first == "At 30 million requests a month fixed is the cheapest, from 10 million on"
    assert "week.csv, p95<100ms with 80% confidence" in rest


def test_a_line_is_dotted_where_the_objective_is_missed(report):
    figure = break_even_figure(overtakings(report))
    of_serverless = [trace for trace in figure.data if trace.line.color == WAY_COLOR["serverless"]]
    assert [trace.line.dash for trace in of_serverless] == ["dot", "solid"]
    assert max(of_serverless[0].x) == 60 * MILLION
    assert sum(trace.showlegend is not False for trace in figure.data) == 2


def test_this_traffic_the_changes_and_limits_are_named(report):
    figure = break_even_figure(overtakings(report))
    said = [each.text for each in figure.layout.annotations]
    assert said == [
        "this traffic: 30 million", "limit", "fixed overtakes serverless at 10 million"
    ]  # fmt: skip
    strip = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [shape.fillcolor for shape in strip] == [WAY_COLOR["serverless"], WAY_COLOR["fixed"]]


def test_without_break_even_points_there_is_nothing_to_draw(report):
    with pytest.raises(ValueError, match="no ways with curves"):
        overtakings(report.model_copy(update={"break_even": None}))
