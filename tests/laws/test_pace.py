"""A host's pace says how fast it was, and a server's figures are brought to one of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws.simulated_queue import SimulatedServer

from loadtests.modes.capacity import Capacity
from loadtests.modes.ladder import LadderSettings, next_rung, service_model
from loadtests.pace import AROUND, Pace
from loadtests.steps import ClosedStep
from recommender.performance.measured_size import MeasuredSize, at_one_pace

USUAL_S = 2e-4
PACES_S = st.floats(1e-4, 6e-4)
RUNGS = (1, 2, 4)


def pace(by_core, every_s=0.02):
    """by_core: of each, what its pieces took one after another; the cores take turns."""
    each_s = np.array(by_core, float).T.ravel()
    cores = len(by_core)
    count = len(each_s)
    return Pace(every_s * (1 + np.arange(count)), each_s, np.arange(count) % cores, cores)


def test_the_mean_pace_is_that_of_a_core_that_does_as_much_in_the_same_time():
    """In 1 s at one piece a millisecond and 1 s at one in three: 4 pieces in 3 ms."""
    assert pace([[1e-3, 3e-3] * 50]).mean_s == pytest.approx(1.5e-3)


@given(st.lists(PACES_S, min_size=1, max_size=5))
def test_each_core_has_its_own_pace(paces_s):
    found = pace([[each_s] * 10 for each_s in paces_s]).at(np.linspace(-1, 9, 30))
    assert found.shape == (len(paces_s), 30)
    assert found == pytest.approx(np.repeat(np.array(paces_s)[:, None], 30, axis=1))


def test_a_change_is_seen_when_it_comes():
    """To within the pieces that are put together."""
    change_s, every_s = 2.0, 0.02
    found = pace([[1e-4] * 100 + [3e-4] * 100], every_s)
    reach_s = AROUND * every_s
    early, late = found.at(np.array([change_s - reach_s, change_s + reach_s]))[0]
    assert (early, late) == (pytest.approx(1e-4), pytest.approx(3e-4))


def test_of_a_core_that_had_no_turn_the_mean_is_said():
    one = replace(pace([[2e-4, 4e-4]]), cores=2)
    assert one.at(np.array([0.0, 1.0]))[1] == pytest.approx(one.mean_s)


def rung(concurrency, pace_s, working=1.0):
    """Of one server of 10 ms at the usual pace, on a host of that pace.

    working: the share of its time that is work of the CPU.
    """
    slower = 1 + (pace_s / USUAL_S - 1) * working
    server = SimulatedServer(1, 0.01 * slower, 0.0, seed=1)
    found = server.take(ClosedStep(concurrency, 400, 60.0), ())
    update = {
        "host_work_s": pace_s,
        "cpu_s_per_request": 0.01 * working * pace_s / USUAL_S,
        "cpu_busy_vcpus": working * pace_s / USUAL_S / slower,
    }
    return replace(found, measurement=found.measurement.model_copy(update=update))


@given(st.tuples(PACES_S, PACES_S, PACES_S))
def test_the_same_server_is_seen_whatever_the_pace_of_each_rung(paces_s):
    """One that computes is as fast as the middle pace lets it be."""
    found = service_model([rung(n, pace_s) for n, pace_s in zip(RUNGS, paces_s, strict=True)])
    assert found.host_work_s == pytest.approx(np.median(paces_s))
    assert found.servers == 1
    assert found.saturation_rps == pytest.approx(100 * USUAL_S / np.median(paces_s), rel=0.01)


@given(st.tuples(PACES_S, PACES_S))
def test_what_only_waits_takes_as_long_on_any_host(paces_s):
    found = service_model(
        [rung(n, pace_s, working=0.0) for n, pace_s in zip(RUNGS, paces_s, strict=False)]
    )
    assert found.saturation_rps == pytest.approx(100, rel=0.01)


def test_without_a_pace_a_ladder_is_taken_as_it_was():
    known = [rung(n, USUAL_S) for n in RUNGS]
    update = {"host_work_s": None}
    unknown = [
        replace(each, measurement=each.measurement.model_copy(update=update)) for each in known
    ]
    assert service_model(unknown).host_work_s is None
    assert service_model(unknown).saturation_rps == service_model(known).saturation_rps


def test_a_rung_on_a_slow_host_does_not_pass_for_the_end_of_the_ladder():
    """Two servers: two requests at a time bring twice as much, on a host half as fast as well."""
    update = {"cpu_busy_vcpus": 2.0, "cpu_s_per_request": 0.02, "host_work_s": 2 * USUAL_S}
    alone = rung(1, USUAL_S)
    server = SimulatedServer(2, 0.02, 0.0, seed=1)
    both = server.take(ClosedStep(2, 400, 60.0), ())
    both = replace(both, measurement=both.measurement.model_copy(update=update))
    assert next_rung([alone, both], LadderSettings()) == ClosedStep(4, 500, 2.5)
    as_it_was = both.measurement.model_copy(update={"host_work_s": None})
    assert next_rung([alone, replace(both, measurement=as_it_was)], LadderSettings()) is None


def size(vcpus, pace_s, busy=1.0):
    """Of a server of 10 ms of one CPU at the usual pace; busy: use of the CPUs at saturation."""
    slower = pace_s / USUAL_S
    model = service_model([rung(1, pace_s)])
    rate_rps = busy * vcpus * 100 / slower
    model = replace(model, servers=max(round(vcpus), 1), saturation_rps=rate_rps)
    capacity = Capacity(0.8 * rate_rps, 0.7 * rate_rps, 0.9 * rate_rps, "bisected", model, 0.01)
    return MeasuredSize(vcpus, capacity, 0.01 * slower, None, None, alone_mean_s=0.01 * slower)


@given(st.tuples(PACES_S, PACES_S, PACES_S))
def test_sizes_measured_at_different_paces_scale_as_they_would_at_one(paces_s):
    found = at_one_pace([size(v, each) for v, each in zip((1, 2, 4), paces_s, strict=True)])
    per_vcpu = [each.saturation_rps / each.vcpus for each in found]
    assert per_vcpu == pytest.approx([per_vcpu[0]] * 3)
    assert [each.cpu_s_per_request for each in found] == pytest.approx(
        [0.01 * np.median(paces_s) / USUAL_S] * 3
    )
    assert {each.capacity.model.host_work_s for each in found} == {np.median(paces_s)}


@given(PACES_S, PACES_S)
def test_there_and_back_is_where_it_began(one_s, other_s):
    begun = size(2, one_s)
    found = begun.at_pace(other_s).at_pace(one_s)
    for name in ("rate_rps", "low_rps", "high_rps", "best_s"):
        assert getattr(found.capacity, name) == pytest.approx(getattr(begun.capacity, name))
    assert found.service_mean_s == pytest.approx(begun.service_mean_s)
    assert found.alone_mean_s == pytest.approx(begun.alone_mean_s)


def test_a_size_of_no_known_pace_stays_as_it_is():
    known = size(1, USUAL_S)
    capacity = replace(known.capacity, model=replace(known.capacity.model, host_work_s=None))
    unknown = replace(known, capacity=capacity)
    assert at_one_pace([unknown]) == (unknown,)
    assert at_one_pace([unknown, size(2, 3e-4)])[0] is unknown
