"""A run looked into: its course, its distribution, what it used, and what failed."""

import numpy as np
import pytest
from shown import shown
from simulated_loadtest import PLAN, from_zero, interrupted, keep_loadtest

from dashboard.data import StoreRepository
from dashboard.figures.course import course, course_figure
from dashboard.figures.distribution import distribution, distribution_figure
from dashboard.figures.kept_up import kept_up, kept_up_figure
from dashboard.figures.load_curve import curves_so_far, load_curve_figure
from dashboard.figures.resources import missing, panels, resources_figure
from dashboard.looked_into import choices_of, looked_into
from loadtests.measurement import Measurement
from loadtests.probe import Measured
from loadtests.samples import Samples
from recommender.aggregates import keep_outline, outline_kept
from recommender.errors import BadRequest
from recommender.loadtest.words import percent

SMALL = PLAN | {"scenarios": PLAN["scenarios"][2:3], "configurations": [{"vcpus": 1}]}


def seen(store, environment, inside=None):
    """A run watched, with errors in it: its measurement, its outline, and the plan's tiers."""
    run = keep_loadtest(store, environment, SMALL, inside=inside, watched=True)
    repository = StoreRepository(store)
    report = repository.loadtest(run).report
    (choice,) = choices_of(report)
    return choice.measurement, repository.outline(run.id, choice.key), report.plan.tiers


def names(figure):
    return [each.name for each in figure.data]


def test_interruptions_stand_where_they_happened(store, environment):
    found, outline, tiers = seen(store, environment, interrupted)
    drawn = course(outline, found, tiers)
    told = found.inside.interruptions
    events = [each for each in drawn.events if each.name == "interruption"]
    assert [(each.from_s, each.to_s) for each in events] == [
        (each.noticed_s, each.replaced_s) for each in told
    ]
    shapes = course_figure(drawn).layout.shapes
    assert {each.noticed_s for each in told} <= {shape.x0 for shape in shapes}
    lines = looked_into(found, outline).interruptions
    assert [each.lost for each in lines] == [f"{each.lost:,}" for each in told]


@pytest.mark.parametrize(("swing", "is_told"), [(None, False), (1.0, False), (1.7, True)])
def test_a_machine_fast_and_slow_by_turns_is_told(store, environment, swing, is_told):
    found, outline, _ = seen(store, environment)
    facts = dict(looked_into(found.model_copy(update={"host_swing": swing}), outline).facts)
    told = facts.get("speed of the machine", "")
    assert ("1.7 times" in told, bool(told)) == (is_told, is_told)


def test_instances_of_a_serverless_endpoint_are_counted_over_time(store, environment):
    found, outline, tiers = seen(store, environment, from_zero)
    figure = course_figure(course(outline, found, tiers))
    trace = next(each for each in figure.data if each.name == "instances")
    assert list(trace.y[:-1]) == [count for _, count in found.inside.instances.ready]
    cold = dict(looked_into(found, outline).cold.facts)
    assert cold["starts"] == "2"
    assert cold["waited for one"] == percent(found.inside.requests.cold_ratio)


def test_what_was_lost_is_drawn_and_listed_by_kind(store, environment):
    found, outline, tiers = seen(store, environment)
    drawn = course(outline, found, tiers)
    width_s = drawn.starts_s[1] - drawn.starts_s[0]
    lost = sum(sum(each) for each in drawn.failures_rps.values()) * width_s
    assert lost == pytest.approx(found.failed + found.dropped)
    assert {"failed", "never sent"} <= set(names(course_figure(drawn)))
    lines = looked_into(found, outline).errors
    assert [each.kind for each in lines] == [
        "answered with an error (503)",
        "no answer: the connection was refused, reset or ended early",
        "no answer in time",
        "never sent: every connection was taken",
    ]
    assert sum(int(each.requests) for each in lines) == found.failed + found.dropped


def test_a_latency_ends_where_failures_begin(store, environment):
    found, outline, tiers = seen(store, environment)
    drawn = distribution(outline, tiers)
    latency, service = drawn.spreads
    assert latency.quantiles[-1] < 1 - drawn.failed_ratio
    assert service.quantiles[-1] > latency.quantiles[-1]
    assert drawn.failed_ratio == pytest.approx(found.error_ratio.value)


def test_each_nine_has_as_much_room_and_the_limit_stands(store, environment):
    _, outline, tiers = seen(store, environment)
    figure = distribution_figure(distribution(outline, tiers))
    ticks = np.log10(figure.layout.xaxis.tickvals)
    assert np.diff(ticks[1:]) == pytest.approx(1.0)
    assert "gold: p95 &lt; 30 ms" in [each.text for each in figure.layout.annotations]
    latency = figure.data[0]
    assert list(latency.x) == [1 / (1 - each) for each in outline.latency.quantiles]


def test_what_was_used_is_drawn_and_what_is_not_known_is_said(store, environment):
    _, outline, _ = seen(store, environment)
    drawn = panels(outline.tracks)
    assert [each.unit for each in drawn] == ["vCPU", "%", "MiB", "GiB", "W"]
    assert {"server", "load generator", "whole machine", "NVIDIA L4 0"} == set(
        names(resources_figure(outline.tracks.ends_s, drawn))
    )
    assert missing(outline.tracks) == (
        "Not measured: the GPU's energy: not supported by this GPU",
    )


def test_a_machine_without_a_gpu_has_no_gap(store, environment):
    _, outline, _ = seen(store, environment)
    tracks = outline.tracks.model_copy(
        update={"gpus": (), "notes": {"gpu_busy_ratio": "no driver", "target_cpu_s": "it ended"}}
    )
    assert missing(tracks) == ("Not measured: the server's CPU: it ended",)


def test_nothing_watched_and_no_samples_are_told_apart(store, environment):
    run = keep_loadtest(store, environment, SMALL)
    page = shown(StoreRepository(store), f"runs/{run.id}")
    assert "nobody watched what the machine used" in page
    found, *_ = seen(store, environment)
    assert "kept no samples" in looked_into(found, None).no_errors


def test_the_address_names_the_run_that_is_looked_into(loadtests, tested):
    choices = choices_of(tested.report)
    key = choices[3].key
    page = shown(StoreRepository(loadtests), "runs/latest", f"?run={key.replace(' ', '+')}")
    assert (
        f'"value": "{key}", "searchable"' in page.replace("'", '"') or f'"value": "{key}"' in page
    )
    assert "The run has no measurement" not in page
    assert "The run has no measurement nowhere" in shown(
        StoreRepository(loadtests), "runs/latest", "?run=nowhere"
    )


def test_every_run_can_be_looked_into(loadtests, tested):
    choices = choices_of(tested.report)
    runs = [run for test in tested.report.tests for run in (*test.runs, *test.invalid)]
    assert len({each.key for each in choices}) == len(choices) == len(runs)
    page = shown(StoreRepository(loadtests), "runs/latest")
    assert page.count('"type": "look-at"') == len(runs)
    with pytest.raises(BadRequest, match="no measurement 'x'"):
        StoreRepository(loadtests).outline(tested.report.run, "x")


def test_an_open_loop_is_drawn_against_what_was_offered(tested):
    points = kept_up(tested.report.tests)
    opened = [
        run.measurement
        for test in tested.report.tests
        for run in test.runs
        if run.measurement.load.loop == "open"
    ]
    assert len(points) == len(opened)
    figure = kept_up_figure(points)
    assert names(figure)[0] == "all of it"
    assert sum(len(each.x) for each in figure.data[1:]) == len(opened)


def test_latency_against_load_is_drawn_before_there_is_an_answer(tested):
    profile = next(each for each in tested.report.tests if each.mode == "profile")
    drawn = curves_so_far(profile.runs, tested.report.plan.tiers)
    answered = profile.answer.curve.points
    assert sorted({each.rate_rps for each in drawn.points}) == pytest.approx(
        sorted(each.rate_rps for each in answered)
    )
    assert names(load_curve_figure(drawn)) == ["p50", "p95", "p99"]


def refuse(_):
    raise AssertionError("samples were read")


def test_a_page_seen_before_reads_no_sample(store, environment, monkeypatch):
    run = keep_loadtest(store, environment, SMALL, watched=True)
    first = shown(StoreRepository(store), f"runs/{run.id}")
    monkeypatch.setattr(Samples, "decode", refuse)
    assert shown(StoreRepository(store), f"runs/{run.id}") == first


def test_answers_of_every_mode_are_what_they_were_when_they_are_read_again(
    loadtests, tested, monkeypatch
):
    monkeypatch.setattr(Samples, "decode", refuse)
    repository = StoreRepository(loadtests)
    assert repository.loadtest(repository.run("latest")) == tested


def test_an_answer_is_worked_out_anew_when_there_is_more_to_it(store, environment):
    run = keep_loadtest(store, environment, SMALL | {"scenarios": PLAN["scenarios"][:1]})
    repository = StoreRepository(store)
    (before,) = repository.loadtest(run).report.tests
    name, scenario = before.configurations[0], before.scenario
    kept = next(each for each in store.measurements(run.id) if "open" in each.key)
    invalid = f"{name}/{scenario}/open-1-invalid-2026"
    store.add_measurement(run.id, invalid, kept.document)
    (after,) = repository.loadtest(run).report.tests
    assert len(after.invalid) == len(before.invalid) + 1
    assert after.answer == before.answer


def test_whoever_measures_keeps_the_outline(store, environment, monkeypatch):
    run = keep_loadtest(store, environment, SMALL, watched=True)
    (stored,) = store.measurements(run.id)
    made = outline_kept(store, stored)
    samples = Samples.decode(store.samples(stored.id))
    again = store.add_measurement(
        run.id, "another", stored.document, store.samples(stored.id), store.resources(stored.id)
    )
    keep_outline(store, again, Measured(Measurement.model_validate(stored.document), samples))
    monkeypatch.setattr(Samples, "decode", refuse)
    assert outline_kept(store, again) == made.model_copy(update={"tracks": None})
