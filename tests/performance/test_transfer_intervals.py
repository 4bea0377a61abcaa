"""How far intervals are stretched: theory as the oracle, over workloads that differ in scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri

from recommender.performance.transfer.intervals import REACH_80, Calibration

ROWS = 400
NORMAL = ndtri((1 + (np.arange(ROWS) + 0.5) / ROWS) / 2)  # quantiles of |error|


def scores(log_scales, *, distance=0, silicon=("IceLake",)):
    """Of one fold for each row of log_scales; columns are silicon."""
    table = np.atleast_2d(log_scales)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "design": "a",
                    "kind": "web",
                    "fold": f"fold {fold}",
                    "silicon": name,
                    "band": 0,
                    "distance": distance,
                    "score": NORMAL * np.exp(scale),
                }
            )
            for fold, row in enumerate(table)
            for name, scale in zip(silicon, row, strict=True)
        ]
    )


def stretch_of(left, distance=0):
    return Calibration(left).stretch("a", "web", "one to come")[0, distance]


@pytest.mark.parametrize("spread", [0.0, 0.3, 0.6])
def test_the_next_workload_is_held_on_average_however_workloads_differ(spread):
    """Coverage of a normal error of scale exp(x) within +-h is 2 Phi(h exp(-x)) - 1."""
    rng = np.random.default_rng(11)
    stretch = stretch_of(scores(rng.normal(0, spread, (60, 1))))
    scale = np.exp(rng.normal(0, spread, 4000))
    assert np.mean(2 * ndtr(REACH_80 * stretch / scale) - 1) == pytest.approx(0.8, abs=0.03)


def test_workloads_that_agree_narrow_intervals_further():
    agree, differ = (
        stretch_of(scores(np.log(0.3) + np.array([[-by], [0], [by]]))) for by in (0.0, 0.8)
    )
    assert 0.3 < agree < 0.75 * differ


def test_few_workloads_narrow_intervals_part_of_the_way_and_many_all_of_it():
    one, four, forty = (stretch_of(scores(np.full((n, 1), np.log(0.3)))) for n in (1, 4, 40))
    assert one > four > forty
    assert forty == pytest.approx(0.3, abs=0.03)


def test_silicon_that_differs_widens_the_intervals_of_silicon_never_seen():
    names = ("IceLake", "Zen3", "Neoverse-V1")
    same, mixed = (
        stretch_of(scores(np.tile(row, (3, 1)), distance=2, silicon=names), 2)
        for row in ([0.0, 0.0, 0.0], [-0.9, 0.0, 0.9])
    )
    assert mixed > 1.2 * same


def test_where_nothing_was_left_out_the_model_is_taken_at_its_word():
    left = scores([[0.5]]).assign(fold="one to come")
    assert stretch_of(left) == 1.0
