"""The best batch size of real servers: one with planted truths, and the bundled digits."""

import sys
from dataclasses import replace

import pytest

from loadtests import sample_container
from loadtests.demo_server import DemoServer
from loadtests.errors import InvalidMeasurement
from loadtests.journal import Journal
from loadtests.modes.batching import BatchLimit, BatchSettings
from loadtests.modes.ladder import LadderSettings
from loadtests.modes.offline import OfflineSettings, next_step
from loadtests.payloads import Join, Rows, read_rows
from loadtests.probe import Hooks, Probe, carry_out, describe_target
from loadtests.runner import Destination, Engine
from loadtests.targets import ProcessSpec, ProcessTarget, Sizing, capabilities, running

pytestmark = pytest.mark.locust

MANY = 10**6
TRIES = 5
SETTINGS = OfflineSettings(
    ladder=LadderSettings(MANY, 0.5, most_concurrency=2),
    sustained_s=2.5,
    batches=BatchSettings(most_rows=1024, rung_s=0.5),
)
NUMBERS = Rows(tuple(b"%d" % n for n in range(5000)), Join("text/csv"))


def found(place, spec, rows, settings=SETTINGS):
    """The answer; a run that stays INVALID, for a busy neighbour, is made again."""
    journal = Journal(place / "journal")
    target = ProcessTarget(spec, Sizing(vcpus=1), place, journal)
    stored = {}
    with Engine(place / "engine", journal) as engine, running(target) as setup:
        described = target.describe()
        cores = set(capabilities().cores) - set(described.limits.cores)
        probe = Probe(
            engine=engine,
            target=target,
            record=describe_target(target, setup, 1.0),
            destination=Destination((described.base_url,), rows.batched(1), tuple(cores) or None),
            objectives=(),
            seed=1,
            rows=rows,
        )
        hooks = Hooks(stored, stored.__setitem__)
        for _ in range(TRIES):
            try:
                return carry_out(probe, lambda done: next_step(done, settings), hooks)
            except InvalidMeasurement as error:
                reason = str(error)
    return pytest.fail(reason)


def demo(**settings):
    return ProcessSpec(DemoServer(**settings).command("{port}", python=sys.executable))


EACH_S, ROW_S = 0.01, 0.0005


def rows_per_s(rows):
    """Of one server that takes 10 ms for a request and 0.5 ms for each record of it."""
    return rows / (EACH_S + ROW_S * rows)


def test_the_planted_law_is_found(tmp_path):
    """All of 2,000 rows/s is out of reach; nearly all comes with some hundred to a request."""
    spec = demo(service=f"det:{EACH_S}", per_row_s=ROW_S)
    answer, history = found(tmp_path, spec, NUMBERS)
    sizes = answer.batches
    assert rows_per_s(sizes.rows) >= 0.85 * rows_per_s(1024)
    assert sizes.rows < 1024
    assert sizes.low_rows <= sizes.rows <= sizes.high_rows
    for rung in sizes.rungs:
        assert rung.rows_per_s == pytest.approx(rows_per_s(rung.rows), rel=0.2)
    assert answer.rows_per_s.value == pytest.approx(rows_per_s(sizes.rows), rel=0.1)
    assert history[-1].step.rows == sizes.rows


def test_a_limit_of_the_server_is_found_within_a_quarter(tmp_path):
    spec = demo(service="det:0.015", per_row_s=0.0001, row_limit=50)
    answer, _ = found(tmp_path, spec, NUMBERS)
    sizes = answer.batches
    assert sizes.limited_by is BatchLimit.REFUSED
    assert 32 <= sizes.rows <= 50 < sizes.refused_rows <= 1.25 * 50 + 1
    assert answer.failed_ratio == 0


def test_the_digits_serve_many_images_at_once(tmp_path):
    """A prediction of one image is mostly the cost of the request itself."""
    samples = sample_container.directory() / "samples.jsonl"
    rows = read_rows(str(samples), content_type=sample_container.CONTENT_TYPE)
    model = sample_container.cached_model(tmp_path / "model")
    environment = sample_container.serve_environment(model) | {"MODEL_SERVER_WORKERS": "1"}
    spec = ProcessSpec(sample_container.serve_command(), environment, model)
    settings = replace(SETTINGS, batches=BatchSettings(most_rows=128, rung_s=0.5))
    answer, _ = found(tmp_path, spec, rows, settings)
    by_size = {each.rows: each.rows_per_s for each in answer.batches.rungs}
    assert answer.batches.rows >= 8
    assert by_size[answer.batches.rows] > 3 * by_size[1]
    assert answer.failed_ratio == 0
