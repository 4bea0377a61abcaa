"""What the user's own runs teach about size."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from recommender.cli.model import model_command
from recommender.cli.own_prior import own_prior_file, prior_in_use
from recommender.errors import NotMeasured, RecommenderError
from recommender.performance.own_curves import SHIPPED_CURVES, MeasuredCurve, learnt_from
from recommender.performance.scaling import relative_efficiency
from recommender.performance.speed_prior import SpeedPrior

SIZES = (1.0, 2.0, 4.0, 8.0, 16.0)
SIGMA, KAPPA = 0.15, 1e-4


def curve(name, sigma=SIGMA, sizes=SIZES):
    v = np.array(sizes)
    rate = 100 * v * relative_efficiency(v, sigma, KAPPA)
    return MeasuredCurve(name, tuple(sizes), tuple(rate), (0.02,) * len(sizes))


@pytest.fixture(scope="module")
def shipped():
    return SpeedPrior.bundled().scaling


def test_without_own_runs_the_prior_is_as_shipped(shipped):
    assert learnt_from([], shipped) == shipped
    assert learnt_from([curve("one size", sizes=(2.0,))], shipped) == shipped


def test_own_workloads_draw_the_prior_to_how_they_scale(shipped):
    steps = [learnt_from([curve(str(n)) for n in range(count)], shipped) for count in (1, 10, 100)]
    away = [abs(each.log_sigma_mean - np.log(SIGMA)) for each in (shipped, *steps)]
    assert away == sorted(away, reverse=True)
    assert away[-1] < 0.35 * away[0]


def test_workloads_that_scale_alike_make_the_prior_surer(shipped):
    taught = learnt_from([curve(str(n)) for n in range(int(20 * SHIPPED_CURVES))], shipped)
    assert taught.log_sigma_sd < shipped.log_sigma_sd


def test_a_size_not_measured_is_predicted_better_after_a_zoo_like_it(shipped):
    taught = learnt_from([curve(str(n)) for n in range(60)], shipped)
    truth = 100 * 16 * relative_efficiency(16.0, SIGMA, KAPPA)
    errors = []
    for prior in (shipped, taught):
        draws = prior.posterior_draws([2.0], [100 * 2 / (1 + SIGMA)], [0.02], 2000,
                                      np.random.default_rng(1))  # fmt: skip
        found = np.median(draws.throughput([16.0], beyond="replicas"))
        errors.append(abs(np.log(found / truth)))
    assert errors[1] < errors[0]


def test_the_users_own_prior_is_the_one_in_use(shipped):
    taught = learnt_from([curve("a")], shipped)
    bundled = SpeedPrior.bundled()
    assert prior_in_use() == bundled
    parameters = bundled.parameters
    scaling = {**parameters.scaling, "application": taught}
    own = SpeedPrior(type(parameters)(**{
        **{name: getattr(parameters, name) for name in parameters.__slots__}, "scaling": scaling,
    }))  # fmt: skip
    own_prior_file().parent.mkdir(parents=True, exist_ok=True)
    own_prior_file().write_text(own.to_json())
    assert prior_in_use() == own
    shown = CliRunner().invoke(model_command, ["show"])
    assert "your own" in shown.output


def test_an_own_prior_that_cannot_be_read_is_said_to_be_so():
    own_prior_file().parent.mkdir(parents=True, exist_ok=True)
    own_prior_file().write_text("{}")
    with pytest.raises(RecommenderError, match="not readable"):
        prior_in_use()


def test_refitting_to_an_empty_store_says_what_to_measure():
    done = CliRunner().invoke(model_command, ["refit"])
    assert isinstance(done.exception, NotMeasured)
    assert "--sizes" in done.exception.hint
    assert not own_prior_file().exists()
