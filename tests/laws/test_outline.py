"""An outline keeps what a picture shows: each figure is one of the samples, or a count of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.measurement import (
    Load,
    RunFacts,
    TargetRecord,
    TargetUse,
    summarise_closed,
    summarise_open,
)
from loadtests.outline import Outline, outline_of
from loadtests.resources import ResourceSeries
from loadtests.resources.tracks import MOST_SPANS, tracks_of
from loadtests.samples import RECORD, Outcome, Samples
from loadtests.validity import GeneratorFacts

TARGET = TargetRecord(
    kind="process", label="x", started_from="a test", vcpus=1.0, memory_gib=None, limits=None,
    shares_cores=False, setup_s=None,
)  # fmt: skip


def samples(due_s, taken_s, outcome=Outcome.SUCCEEDED):
    records = np.zeros(len(due_s), RECORD)
    records["due_us"] = np.round(np.array(due_s, float) * 1e6)
    records["sent_us"] = records["due_us"] + 500
    records["done_us"] = records["due_us"] + np.round(np.array(taken_s, float) * 1e6).astype(int)
    records["outcome"] = outcome
    records["status"] = np.where(records["outcome"] == Outcome.SUCCEEDED, 200, 503)
    return Samples(np.sort(records, order="due_us"))


def measured(found, loop="open"):
    """traffic: as of one that changes, so that all of it counts."""
    span_s = float(found.due_s[-1]) + 1.0
    load = Load(loop=loop, rate_rps=1.0, traffic="as it comes", duration_s=span_s, seed=1)
    facts = RunFacts(
        target=TARGET, use=TargetUse(), workload="w", load=load, started_at="now",
        elapsed_s=span_s, generator=GeneratorFacts(0.1, span_s, 0.1), due=len(found),
    )  # fmt: skip
    return summarise_open(found, facts) if loop == "open" else summarise_closed(found, facts)


RUNS = st.lists(
    st.tuples(st.floats(0, 20), st.floats(0.001, 5), st.sampled_from(list(Outcome))),
    min_size=1,
    max_size=80,
).map(lambda rows: samples(*(np.array(column) for column in zip(*rows, strict=True))))


@given(RUNS)
def test_every_point_is_a_sample_at_its_rank(found):
    latency = outline_of(measured(found), found).latency
    ordered = np.sort(found.latency_s)
    assert latency.count == len(found)
    assert latency.failed == int(np.sum(np.isinf(ordered)))
    for quantile, seconds in list(zip(latency.quantiles, latency.seconds, strict=True))[:-1]:
        rank = int(np.sum(ordered <= seconds + 1e-9))
        assert rank / len(found) >= quantile - 1e-9
        assert np.sum(ordered < seconds - 1e-9) / len(found) < max(quantile, 1e-12)
    assert list(latency.seconds) == sorted(latency.seconds)
    assert list(latency.quantiles) == sorted(latency.quantiles)
    if latency.failed == 0:
        assert latency.seconds[-1] == pytest.approx(ordered[-1], abs=1e-6)


@given(RUNS)
def test_errors_are_counted_once_each(found):
    outline = outline_of(measured(found), found)
    assert sum(each.count for each in outline.errors) == len(found) - found.succeeded
    counts = [each.count for each in outline.errors]
    assert counts == sorted(counts, reverse=True)
    assert all(each.status == 503 for each in outline.errors if each.kind == "refused")
    assert all(each.status is None for each in outline.errors if each.kind != "refused")
    windows = outline.windows
    assert sum(each.failed + each.dropped for each in windows) == len(found) - found.succeeded


@given(RUNS)
def test_it_is_read_back_as_it_was_written(found):
    made = outline_of(measured(found), found)
    assert Outline.model_validate_json(made.model_dump_json()) == made


def test_it_stays_small_however_many_samples_there_are():
    rng = np.random.default_rng(3)
    sizes = []
    for count in (20_000, 200_000):
        found = samples(np.sort(rng.uniform(0, 60, count)), rng.gamma(4, 0.001, count))
        sizes.append(len(outline_of(measured(found), found).model_dump_json()))
    assert sizes[1] < 1.15 * sizes[0]


def test_nobody_waits_to_be_sent_in_a_closed_loop():
    found = samples([0.0, 1.0, 2.0], [0.1, 0.2, 0.3])
    outline = outline_of(measured(found, "closed"), found)
    assert outline.latency is None
    assert outline.service.seconds[-1] == pytest.approx(0.2995)


def series(count, **columns):
    known = dict.fromkeys(
        ("target_memory_bytes", "generator_cpu_s", "generator_memory_bytes", "core_busy_s",
         "gpu_busy_ratio", "gpu_memory_bytes")
    )  # fmt: skip
    known["target_cpu_s"] = None
    return ResourceSeries(times_s=np.arange(count) * 0.5, **(known | columns))


@given(st.integers(2, 2000), st.integers(0, 9))
def test_thinning_loses_no_cpu_and_no_peak(count, seed):
    rng = np.random.default_rng(seed)
    used_s, held = np.cumsum(rng.uniform(0, 1, count)), rng.uniform(1, 9, count)
    used_s -= used_s[0]
    tracks = tracks_of(series(count, target_cpu_s=used_s, target_memory_bytes=held))
    assert len(tracks.ends_s) <= MOST_SPANS
    spans_s = np.diff(tracks.ends_s, prepend=0.0)
    assert np.sum(np.array(tracks.vcpus[0].values) * spans_s) == pytest.approx(
        used_s[-1], abs=1e-3
    )
    assert max(tracks.memory_bytes[0].values) == pytest.approx(held[1:].max(), abs=1e-5)
    assert tracks.machine_busy_ratio is None
    assert tracks.gpu_busy_ratio == ()


def test_a_column_that_ended_early_is_drawn_as_far_as_it_goes():
    tracks = tracks_of(series(40, target_cpu_s=np.arange(20.0)))
    assert len(tracks.vcpus[0].values) == 19
    assert len(tracks.ends_s) == 39


def test_a_gpu_is_drawn_by_its_name():
    busy = np.full((10, 2), 0.5)
    found = series(10, gpu_busy_ratio=busy, gpu_memory_bytes=busy * 2**30)
    tracks = tracks_of(ResourceSeries(**(vars(found) | {"gpus": ("L4 0", "L4 1")})))
    assert [each.name for each in tracks.gpu_busy_ratio] == ["L4 0", "L4 1"]
    assert set(tracks.gpu_busy_ratio[0].values) == {0.5}


def test_one_reading_shows_nothing():
    assert tracks_of(series(1)) is None
