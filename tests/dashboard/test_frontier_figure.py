# ruff: noqa: RUF001 - options are written with a multiplication sign

import json

import pytest

from dashboard.figures.frontier import Frontier, FrontierPoint, frontier, frontier_figure
from dashboard.figures.palette import BASIS_SYMBOL, GROUP_COLOR, GROUP_DASH
from recommender.explain import group_of
from recommender.recommendation import Basis, Option


def test_exactly_what_was_ranked_is_drawn(recommendation):
    assert frontier(recommendation) == Frontier(
        quantile="p95",
        limit_s=0.1,
        limit_text="objective: p95 < 100 ms",
        points=(
            FrontierPoint(
                rank=1,
                option="2 × c7g.large",
                group="EC2 spot",
                basis=Basis.TRANSFERRED,
                usd_per_month=73.0,
                latency_s=0.0136,
                low_s=0.0046,
                high_s=0.0731,
                is_on_frontier=True,
                hover=(
                    "#1 2 × c7g.large",
                    "EC2 spot, us-east-1",
                    "$73.00 a month (estimated price), $0.555 a million requests",
                    "p95 14 ms (80% interval 4.6 to 73 ms), transferred",
                    "capacity 300 req/s (110 to 740 req/s), 30% busy at peak",
                    "60% sure it is the cheapest",
                    "spot: <5% reclaimed",
                ),
            ),
            FrontierPoint(
                rank=2,
                option="1 × ml.c7g.large",
                group="SageMaker real-time",
                basis=Basis.TRANSFERRED,
                usd_per_month=81.76,
                latency_s=0.02,
                low_s=0.01,
                high_s=None,
                is_on_frontier=False,
                hover=(
                    "#2 1 × ml.c7g.large",
                    "SageMaker real-time, us-east-1",
                    "$81.76 a month, $0.555 a million requests",
                    "p95 20 ms (80% interval 10 ms or more, no upper bound), transferred",
                    "capacity 300 req/s (110 req/s or more), 30% busy at peak",
                    "<1% sure it is the cheapest",
                ),
            ),
            FrontierPoint(
                rank=3,
                option="serverless 2 GB",
                group="SageMaker serverless",
                basis=Basis.PRIOR,
                usd_per_month=1095.5,
                latency_s=0.0095,
                low_s=0.006,
                high_s=1.2,
                is_on_frontier=True,
                hover=(
                    "#3 serverless 2 GB",
                    "SageMaker serverless, us-east-1",
                    "$1,096 a month, $0.555 a million requests",
                    "p95 9.5 ms (80% interval 0.006 to 1.2 s), prior",
                    "capacity 300 req/s (110 to 740 req/s), 30% busy at peak",
                    "40% sure it is the cheapest",
                ),
            ),
        ),
    )


def test_colour_tells_the_way_to_buy_and_shape_how_it_is_known(recommendation):
    figure = frontier_figure(frontier(recommendation))
    marks = {each.name: each for each in figure.data if each.mode == "markers"}
    assert set(marks) == {"EC2 spot", "SageMaker real-time", "SageMaker serverless"}
    serverless = marks["SageMaker serverless"]
    assert serverless.marker.symbol == ("cross",)
    assert serverless.marker.color == "#009e73"
    assert marks["EC2 spot"].marker.symbol == ("circle",)


def bars_of(figure, group):
    """One line that is interrupted between them; hidden with their marks."""
    return next(
        each
        for each in figure.data
        if each.legendgroup == group and each.mode == "lines" and not each.connectgaps
    )


def test_bars_reach_from_the_lower_to_the_upper_end(recommendation):
    figure = frontier_figure(frontier(recommendation))
    spot = bars_of(figure, "EC2 spot")
    assert spot.y == (0.0046, 0.0731, None)
    assert spot.x == (73.0, 73.0, None)


def test_a_bar_without_an_upper_bound_reaches_the_frame(recommendation):
    figure = frontier_figure(frontier(recommendation))
    managed = bars_of(figure, "SageMaker real-time")
    frame_s = 10 ** figure.layout.yaxis.range[1]
    assert managed.y[1] == pytest.approx(frame_s)
    assert frame_s > 1.2


def test_the_frontier_line_joins_only_the_undominated_and_the_objective_is_a_line(recommendation):
    figure = frontier_figure(frontier(recommendation))
    line = next(each for each in figure.data if each.mode == "lines" and each.name)
    assert list(line.x) == [73.0, 1095.5]
    assert line.line.shape == "hv"
    assert [each.y0 for each in figure.layout.shapes] == [0.1]


def test_options_of_like_cost_share_one_name_so_that_names_do_not_overlap(recommendation):
    drawn = frontier(recommendation)
    near = drawn.points[0]._replace(usd_per_month=75.0, latency_s=0.013, option="hidden")
    points = (drawn.points[0], near, *drawn.points[1:])
    figure = frontier_figure(drawn._replace(points=points))
    named = [each.text for each in figure.layout.annotations]
    assert named == ["objective: p95 &lt; 100 ms", "2 × c7g.large", "serverless 2 GB"]


def test_names_from_data_cannot_become_markup(recommendation):
    point = (
        frontier(recommendation)
        .points[0]
        ._replace(option="<img src=x>", hover=("<script>alert(1)</script>", "second"))
    )
    figure = frontier_figure(frontier(recommendation)._replace(points=(point,)))
    text = json.dumps(figure.to_dict(), default=str)
    assert "<img" not in text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;<br>second" in text


def test_nothing_ranked_leaves_the_axes_and_the_objective(recommendation):
    figure = frontier_figure(frontier(recommendation.model_copy(update={"ranked": ()})))
    assert len(figure.data) == 0
    assert len(figure.layout.shapes) == 1


def test_every_way_to_buy_and_every_basis_has_its_own_mark():
    ways = [
        ("sagemaker", "on-demand"),
        ("sagemaker", "savings-plan"),
        ("serverless", "on-demand"),
        ("ec2", "on-demand"),
        ("ec2", "spot"),
        ("ec2", "savings-plan"),
        ("own", "on-demand"),
    ]
    groups = {
        group_of(Option(platform=platform, purchase=purchase, region="us-east-1"))
        for platform, purchase in ways
    }
    assert set(GROUP_COLOR) == set(GROUP_DASH) == groups
    assert len(set(GROUP_COLOR.values())) == len(groups)
    assert set(BASIS_SYMBOL) == set(Basis)
    assert len(set(BASIS_SYMBOL.values())) == len(Basis)
