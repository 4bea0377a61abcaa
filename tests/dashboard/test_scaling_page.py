"""Traffic and scaling: what is asked of a fleet, its address, and the page through Flask."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from asking import asker
from hypothesis import given
from hypothesis import strategies as st
from shown import shown

from dashboard.app import create_app
from dashboard.asked import Asked
from dashboard.components import fleet_controls
from dashboard.components.fleet_controls import CHEAPEST, VALUED, Knob, turned
from dashboard.data import DEMO_RUN
from dashboard.figures.fleet_day import fleet_day_figure, fleet_rows
from dashboard.fleet_views import way_lines
from dashboard.scaling import KINDS, SHAPES, FleetAsked, FleetQuestion, FleetSettings, table_of
from dashboard.uploads import trace_of
from loadtests.errors import UsageError
from recommender.errors import BadRequest
from recommender.simulation.scaling_policy import FixedSize, StepScaling
from recommender.simulation.traffic import TrafficTrace
from recommender.simulation.traffic_files import read_traffic_file

BEFORE = Asked(
    rate_rps=240.0, hours=None, slo="p95<100ms", region="us-east-1",
    platforms=("sagemaker", "serverless", "ec2"), purchases=("on-demand", "spot"),
    headroom_percent=20, zones=1, book="2026-11-21",
)  # fmt: skip
ASKED = FleetAsked(BEFORE)
STEPS = """
MinCapacity: 1
MaxCapacity: 9
StepScalingPolicyConfigurations:
  - Alarm: {MetricName: InvocationsPerInstance, ComparisonOperator: GreaterThanThreshold,
            Threshold: 9000}
    StepAdjustments: [{MetricIntervalLowerBound: 0, ScalingAdjustment: 1}]
  - Alarm: {MetricName: InvocationsPerInstance, ComparisonOperator: LessThanThreshold,
            Threshold: 5000}
    StepAdjustments: [{MetricIntervalUpperBound: 0, ScalingAdjustment: -1}]
"""
SETTINGS = st.builds(
    FleetSettings,
    shape=st.sampled_from(["", *SHAPES]),
    peak_ratio=st.floats(1, 24).map(lambda ratio: float(f"{ratio:.12g}")),
    spread_percent=st.integers(0, 100),
    step_min=st.sampled_from([1, 5, 15, 60]),
    start=st.sampled_from(["", "2026-03-02T00:00:00+00:00"]),
    kind=st.sampled_from(list(KINDS)),
    machine=st.sampled_from(["", "ml.c7i.large"]),
    metric=st.sampled_from(["invocations", "cpu", "concurrency"]),
    target=st.floats(0.01, 1e6).map(lambda target: float(f"{target:.12g}")),
    least=st.integers(1, 50),
    most=st.integers(0, 500),
    scale_in=st.sampled_from(["yes", "no"]),
    replicas=st.integers(1, 500),
    policy=st.text(max_size=200),
    ways=st.sampled_from(["", "yes"]),
)


@given(settings=SETTINGS, rate_rps=st.sampled_from([240.0, 3.5]))
def test_an_address_leads_another_person_to_the_same_fleet(settings, rate_rps):
    asked = FleetAsked(replace(BEFORE, rate_rps=rate_rps), settings)
    assert ASKED.changed_by("?" + asked.query(BEFORE)) == asked


def test_an_address_names_only_what_was_changed_of_either_question():
    assert ASKED.query(BEFORE) == ""
    asked = ASKED.set(rate_rps=20.0, target=700.0, kind="target")
    assert asked.query(BEFORE) == "rate_rps=20&kind=target&target=700"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("speed=9", "'speed'"),
        ("shape=square", "'square' is none of"),
        ("kind=guess", "'guess' is none of"),
        ("metric=heat", "'heat' is none of"),
        ("target=much", "'much' is no number"),
        ("least=two", "'two' is no whole number"),
        ("step_min=7", "steps of 7 minutes"),
        ("start=yesterday", "'yesterday' is no time"),
        ("start=2026-03-02T00:00", "names no zone"),
        ("policy=%%%", "not readable"),
        ("target=nan", "target is nan"),
        ("cooldown_in_s=1e9", "cooldown_in_s is 1e\\+09"),
        (f"spread_percent={10**30}", "spread_percent is"),
        ("rate_rps=fast", "'fast' is no number"),
    ],
)
def test_what_an_address_cannot_say_is_told(query, said):
    with pytest.raises(BadRequest, match=said):
        ASKED.changed_by(query)


def test_a_rate_is_played_as_a_daily_wave_with_that_mean_and_a_table_as_it_is():
    wave = ASKED.terms
    assert wave.trace.duration_s == 86400
    assert wave.trace.mean_rps == pytest.approx(240)
    assert wave.trace.peak_rps == pytest.approx(480, rel=1e-3)
    assert ASKED.set(shape="weekly").terms.trace.duration_s == 7 * 86400
    steady = ASKED.set(shape="own").terms.trace
    assert steady.peak_rps == steady.mean_rps == 240
    hours = ASKED.set(hours=(3600, 7200, 3600), rate_rps=8.0).terms.trace
    assert hours.rate_rps.tolist() == [6, 12, 6]
    assert ASKED.set(spread_percent=30).terms.spread_ratio == 0.3


def test_what_is_too_long_to_be_turned_with_knobs_is_sent_to_the_command():
    with pytest.raises(BadRequest, match="31 days; 14 are the most") as raised:
        _ = ASKED.set(hours=(3600,) * 744).terms
    assert "recommender simulate" in raised.value.hint


def test_each_kind_of_policy_is_what_the_knobs_say():
    assert ASKED.policy is None
    assert isinstance(ASKED.set(kind="fixed", replicas=3).policy.scaling, FixedSize)
    cpu = ASKED.set(kind="target", metric="cpu", target=60.0, scale_in="no").policy
    assert (cpu.scaling.target, cpu.scaling.can_scale_in) == (0.6, False)
    assert isinstance(ASKED.set(kind="file", policy=STEPS).policy.scaling, StepScaling)
    assert ASKED.set(kind="file").policy is None  # until one is dropped
    with pytest.raises(BadRequest, match=r"^policy\.yaml is not a scaling policy"):
        _ = ASKED.set(kind="file", policy="MinCapacity: 1").policy
    with pytest.raises(BadRequest, match="0 instances"):
        _ = ASKED.set(kind="fixed", replicas=0).policy


def dropped(text):
    return "data:text/csv;base64," + base64.b64encode(text.encode()).decode()


def test_a_dropped_table_is_refused_in_the_words_of_the_command(tmp_path):
    text = "time,requests\n2026-03-02T00:00Z,5\n2026-03-02T01:00Z,6\n2026-03-02T03:00Z,7\n"
    file = tmp_path / "traffic.csv"
    file.write_text(text)
    with pytest.raises(UsageError) as by_command:
        read_traffic_file(file)
    with pytest.raises(UsageError) as by_page:
        trace_of(dropped(text))
    assert str(by_page.value) == str(by_command.value).replace(str(file), "traffic.csv")
    assert by_page.value.hint == by_command.value.hint


@pytest.mark.parametrize(("step_s", "steps", "step_min"), [
    (60.0, 1440, 5), (60.0, 700, 1), (300.0, 288, 5), (900.0, 672, 15), (3600.0, 336, 60),
])  # fmt: skip
def test_a_table_is_summed_up_until_an_address_can_say_it(step_s, steps, step_min):
    start = datetime(2026, 3, 2, tzinfo=UTC)
    trace = TrafficTrace(step_s, 1.0 + np.arange(steps) % 7, start)
    said = table_of(trace)
    assert said["step_min"] == step_min
    played = ASKED.changed_by(ASKED.set(**said).query(BEFORE)).terms.trace
    assert played.requests == pytest.approx(trace.requests, rel=1e-3)
    assert played.start == start
    with pytest.raises(BadRequest, match="are the most here"):
        table_of(TrafficTrace(7200.0, np.ones(12)))


@pytest.fixture(scope="module")
def app(demo):
    return create_app(demo)


@pytest.fixture(scope="module")
def day(demo):
    question = FleetQuestion.of(demo, DEMO_RUN)
    asked = question.before.changed_by(QUERY)
    return question.simulation(demo, asked).day(asked.policy, asked.machine)


PAGE = "/runs/demo/scaling"
QUERY = "rate_rps=240&kind=target&target=4000&most=9"


GIVEN = {
    Knob.RATE: 240, Knob.SHAPE: "diurnal", Knob.PEAK: 2, Knob.SPREAD: 0,
    Knob.SLO: "p95<100ms, error_rate<1%", Knob.MACHINE: CHEAPEST, Knob.KIND: "target",
    Knob.METRIC: "invocations", Knob.TARGET: 4000, Knob.LEAST: 1, Knob.MOST: 9, Knob.OUT: 300,
    Knob.IN: 300, Knob.SCALE_IN: "yes", Knob.REPLICAS: 3,
}  # fmt: skip


def turn(app, knob, value=None, query=QUERY, **dropped):
    """What the page is told when one knob is turned."""
    output = next(each for each in app.callback_map if "fleet-cards" in each)
    knobs = GIVEN | {knob: value}
    inputs = [
        *({"id": each.value, "property": "value", "value": knobs[each]} for each in VALUED),
        {"id": "fleet-table", "property": "contents", "value": dropped.get("table")},
        {"id": "fleet-file", "property": "contents", "value": dropped.get("file")},
        {"id": "fleet-steady", "property": "n_clicks", "value": 1},
    ]
    state = [{"id": "fleet-question", "property": "data", "value": [DEMO_RUN, query]}]
    changed = "contents" if dropped else "n_clicks" if knob == Knob.STEADY else "value"
    return asker(app)(output, inputs, changed=f"{knob.value}.{changed}", state=state)


def test_every_knob_changes_its_own_field_and_a_policy_knob_the_kind():
    values = {
        Knob.RATE: 7, Knob.SHAPE: "burst", Knob.PEAK: 1.5, Knob.SPREAD: 30, Knob.SLO: "p99<1s",
        Knob.MACHINE: "ml.c7i.large", Knob.KIND: "fixed", Knob.METRIC: "cpu", Knob.TARGET: 700,
        Knob.LEAST: 2, Knob.MOST: 7, Knob.OUT: 60, Knob.IN: 900, Knob.SCALE_IN: "no",
        Knob.REPLICAS: 5,
    }  # fmt: skip
    assert set(values) == set(VALUED)
    for knob, value in values.items():
        changed = turned(ASKED, knob, {knob: value})
        assert changed != ASKED, knob
        assert turned(ASKED, knob, {knob: None}) == ASKED
    of = fleet_controls.turned
    assert of(ASKED, Knob.TARGET, {Knob.TARGET: 700}).fleet.kind == "target"
    assert of(ASKED, Knob.REPLICAS, {Knob.REPLICAS: 5}).fleet.kind == "fixed"
    cpu = of(ASKED, Knob.METRIC, GIVEN | {Knob.METRIC: "cpu"})
    assert (cpu.fleet.kind, cpu.fleet.target, cpu.fleet.most) == ("target", 50.0, 9)
    back = of(cpu, Knob.METRIC, GIVEN)
    assert back.fleet.kind == "searched"


def test_the_page_says_first_whether_the_policy_meets_the_objective(demo):
    page = shown(demo, PAGE, f"?{QUERY}")
    verdict = "Target tracking at 4,000 invocations a minute, 1 to 9 \u00d7 ml.c8g.medium, meets"
    assert verdict in page
    assert "A fixed fleet for the peak, ml.c7i.large" in page
    assert "put_scaling_policy(" in page
    assert "Compare all ways" in page
    assert '"data": ["demo", "rate_rps=240&kind=target&target=4000&most=9"]' in page


def test_a_knob_changes_the_policy_the_chart_and_the_address(app, day):
    answer = turn(app, Knob.TARGET, 2000)
    assert answer["fleet-question"]["data"] == [DEMO_RUN, QUERY.replace("4000", "2000")]
    replicas = next(
        each for each in answer["fleet-course"]["figure"]["data"] if each["name"] == "in service"
    )
    assert max(replicas["y"]) > max(day.chosen.course.replicas)
    fixed = turn(app, Knob.REPLICAS, 6)
    assert "A fixed fleet of 6" in json.dumps(fixed["fleet-verdict"]["children"])
    assert fixed["fleet-kind"]["value"] == "fixed"
    assert (fixed["fleet-fixed"]["hidden"], fixed["fleet-tracking"]["hidden"]) == (False, True)


def test_what_was_searched_for_stands_in_the_knobs(app):
    answer = turn(app, Knob.KIND, "searched")
    assert answer["fleet-question"]["data"][1].startswith("rate_rps=240")
    found = answer["fleet-target"]["value"], answer["fleet-most"]["value"]
    said = json.dumps(answer["fleet-verdict"]["children"])
    assert f"at {found[0]:,.5g} invocations a minute, 1 to {found[1]}" in said
    assert "policies simulated this is the cheapest" in json.dumps(answer["fleet-why"]["children"])


def test_a_dropped_table_and_policy_are_played_and_carried_by_the_address(app):
    rows = "\n".join(f"{3600 * (100 + 10 * hour)}" for hour in range(24))
    answer = turn(app, Knob.TABLE, table=dropped(f"requests\n{rows}"))
    reference, query = answer["fleet-question"]["data"]
    assert "hours=" in query
    assert answer["fleet-rate"]["value"] == 215
    assert "24 rows of 60 min" in json.dumps(answer["fleet-shape-said"]["children"])
    filed = turn(app, Knob.FILE, query=query, file=dropped(STEPS))
    assert "Step scaling, 1 to 9" in json.dumps(filed["fleet-verdict"]["children"])
    steady = turn(app, Knob.STEADY, query=query)
    assert "hours=" not in steady["fleet-question"]["data"][1]
    assert reference == DEMO_RUN


@pytest.mark.parametrize(
    ("knob", "value", "said"),
    [
        (Knob.SLO, "as fast as can be", "not understood"),
        (Knob.PEAK, 3, "peaks at once to twice its mean"),
        (Knob.LEAST, 50, "50 to 9 replicas"),
        (Knob.MACHINE, "ml.p5.48xlarge", "does not meet"),
    ],
)
def test_what_cannot_be_asked_changes_nothing_but_says_why(app, knob, value, said):
    answer = turn(app, knob, value)
    assert set(answer) == {"fleet-said"}
    assert said in json.dumps(answer["fleet-said"]["children"])


def test_a_policy_that_no_address_can_hold_is_refused(app):
    answer = turn(app, Knob.FILE, file=dropped("# " + "long " * 2000 + STEPS))
    assert "8,000 are the most" in json.dumps(answer["fleet-said"]["children"])


def test_another_policy_takes_only_its_own_simulation(demo, day):
    question = FleetQuestion.of(demo, DEMO_RUN)
    asked = question.before.changed_by(QUERY)
    again = question.simulation(demo, asked)
    assert again.day(asked.policy, asked.machine) is day
    other = again.day(asked.set(target=3000.0).policy, None)
    assert other.chosen != day.chosen
    assert other.fixed is day.fixed
    assert other.machines is day.machines


def test_rows_are_drawn_over_one_axis_of_time(day):
    drawn = fleet_rows(day)
    assert [row.title.split(",")[0] for row in drawn.rows] == [
        "Traffic", "Replicas", "Utilisation of those in service", "Latency",
        "Requests out of time", "Instances",
    ]  # fmt: skip
    points = len(day.chosen.course.rate_rps)
    assert len(drawn.times) == points
    assert all(len(line.values) == points for row in drawn.rows for line in row.lines)
    figure = fleet_day_figure(drawn)
    assert {trace.xaxis for trace in figure.data} == {None}
    assert len({trace.yaxis for trace in figure.data}) == len(drawn.rows)
    domains = [figure.layout[f"yaxis{n or ''}"].domain for n in (None, 2, 3, 4, 5, 6)]
    assert all(below[1] < above[0] for above, below in pairwise(domains))


def test_a_fixed_fleet_of_other_machines_is_no_line_among_these_replicas(day):
    assert day.fixed.option != day.chosen.option
    assert fleet_rows(day).rows[1].level is None
    same = replace(day, fixed=day.fixed.model_copy(update={"option": day.chosen.option}))
    assert fleet_rows(same).rows[1].level == (3.0, "fixed: 3")


def test_all_ways_are_compared_on_demand_and_then_known(app, demo):
    output = next(each for each in app.callback_map if "fleet-ways" in each and "@" in each)
    query = f"{QUERY}&shape=burst&peak_ratio=1"
    question = [{"id": "fleet-question", "property": "data", "value": [DEMO_RUN, query]}]
    inputs = [
        {"id": "fleet-compare", "property": "n_clicks", "value": 1},
        {"id": "fleet-compared", "property": "data", "value": False},
    ]
    answer = asker(app)(output, inputs, changed="fleet-compare.n_clicks", state=question)
    ways = json.dumps(answer["fleet-ways"]["children"])
    assert "this policy" in ways
    assert "Break-even." in ways
    assert "The cheapest way found: " in json.dumps(answer["fleet-verdict"]["children"])
    assert answer["fleet-question"]["data"][1].endswith("&ways=yes")
    again = shown(demo, PAGE, f"?{query}")
    assert "The cheapest way found: " in again
    assert "this policy" in again


def test_this_policy_stands_among_the_others_by_cost(demo, day):
    question = FleetQuestion.of(demo, DEMO_RUN)
    asked = question.before.changed_by(f"{QUERY}&shape=burst&peak_ratio=1")
    report = question.simulation(demo, asked).known_ways()
    lines = way_lines(report, day.chosen)
    names = [each.name for each in lines]
    assert names.count("this policy") == 1
    place = names.index("this policy")
    usd = {way.name: float(way.usd_per_month) for way in report.ways if not way.at_best}
    before = [usd[name] for name in names[:place] if name in usd]
    assert all(each <= float(day.chosen.usd_per_month) for each in before)
