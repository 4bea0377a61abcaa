from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.demo_server.service_times import Law, ServiceTime, endless_draws
from loadtests.errors import UsageError

SPECS = (
    "det:0.005",
    "exp:0.005",
    "lognormal:0.005:0.25",
    "lognormal:0.02:1.5",
    "hyper:0.005:1.5",
    "hyper:0.1:3",
)


@pytest.mark.parametrize("spec", SPECS)
def test_draws_have_the_stated_mean_and_variation(spec):
    service_time = ServiceTime.parse(spec)
    draws_s = service_time.draws_s(np.random.default_rng(1), 1_000_000)
    assert draws_s.min() > 0
    assert draws_s.mean() == pytest.approx(service_time.mean_s, rel=0.015)
    assert draws_s.std() / draws_s.mean() == pytest.approx(service_time.cv, rel=0.03)


def test_an_exponential_draw_exceeds_its_mean_with_the_right_probability():
    draws_s = ServiceTime.parse("exp:0.01").draws_s(np.random.default_rng(2), 200_000)
    assert np.mean(draws_s > 0.01) == pytest.approx(np.exp(-1), abs=0.005)


@pytest.mark.parametrize("spec", SPECS)
def test_the_same_seed_gives_the_same_service_times(spec):
    service_time = ServiceTime.parse(spec)

    def first(seed, count=5_000):
        return list(islice(endless_draws(service_time, np.random.default_rng(seed)), count))

    assert first(7) == first(7)
    if service_time.cv > 0:
        assert first(7) != first(8)


@given(
    law=st.sampled_from([Law.LOGNORMAL, Law.HYPEREXPONENTIAL]),
    mean_s=st.floats(1e-4, 10),
    cv=st.floats(1.01, 5),
)
def test_a_service_time_can_be_read_back_from_its_text(law, mean_s, cv):
    service_time = ServiceTime(law, mean_s, cv)
    again = ServiceTime.parse(str(service_time))
    assert again.law is law
    assert again.mean_s == pytest.approx(mean_s, rel=1e-5)
    assert again.cv == pytest.approx(cv, rel=1e-5)


@pytest.mark.parametrize(
    "spec",
    ["", "exp", "exp:", "exp:fast", "gamma:1", "exp:1:2", "det:1:0", "lognormal:1", "hyper:1:2:3"],
)
def test_an_unreadable_service_time_shows_the_grammar(spec):
    with pytest.raises(UsageError) as caught:
        ServiceTime.parse(spec)
    assert repr(spec) in str(caught.value)
    assert "lognormal:MEAN_S:CV" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "spec",
    ["exp:0", "exp:-1", "det:inf", "exp:nan", "lognormal:1:0", "lognormal:1:nan", "hyper:1:1"],
)
def test_an_impossible_service_time_is_refused(spec):
    with pytest.raises(UsageError):
        ServiceTime.parse(spec)
