"""How fast a vLLM server is on machines where it never ran, from other models' runs elsewhere.

The fields of step_time are linear in what the catalogue says of a machine. Their weights are
fitted to the runs of other models (maximum a posteriori, Gauss-Newton, Cauchy weights against the
runs that went wrong), and what remains uncertain of them is normal around the fit (Laplace). A
workload's rates on all machines are then jointly log-normal:

    the rates at the fitted weights, with the weights' own covariance carried through
    + a level of the workload's own + what its silicon and size add (MISFIT) + the machine's own

so silicon that no run has shown comes out wide, and a measurement on it narrows all of its kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.errors import NotMeasured
from recommender.performance.joint import LogNormalJoint
from recommender.performance.llm_serving.step_time import (
    FIELDS,
    SATURATED,
    SINGLE_USER,
    TTFT,
    Question,
    log_rates,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.performance.llm_serving.machine_facts import MachineFacts

    Floats = NDArray[np.float64]

__all__ = ["Runs", "ServingPrior", "fit_serving_prior"]

RUN_NOISE = 0.35
_LOG_PENALTY = (float(np.log(2.5)), 0.6)
_OWN_LEVEL = 0.3
_OWN_RESIDUAL_KEPT = 0.4
"""Of a machine's own departure under other models, what comes back under a new one."""

_LARGEST_RESIDUAL = 1.0
_STEPS, _LONGEST_STEP, _CONVERGED = 60, 0.5, 1e-3


@dataclass(frozen=True, slots=True)
class Misfit:
    """Spread in logs of what the fields do not explain; `curve`: for each e-fold of cores.

    Such that 80 % intervals hold on models left out, in every band of sizes.
    """

    silicon: float
    curve: float
    machine: float


MISFIT = {
    SATURATED: Misfit(silicon=0.2, curve=0.13, machine=0.25),
    SINGLE_USER: Misfit(silicon=0.16, curve=0.0, machine=0.13),
    TTFT: Misfit(silicon=0.16, curve=0.0, machine=0.13),
}


@dataclass(frozen=True, slots=True)
class Runs:
    """One question's answers: ln rate on the machines at `rows` of the facts."""

    question: Question
    rows: NDArray[np.intp]
    log_rate: Floats


@dataclass(frozen=True)
class ServingPrior:
    """`weights`: of the facts field by field, then the log penalty.

    `own`: by kind, each machine's mean residual under the models fitted to; 0 where none ran.
    """

    facts: MachineFacts
    weights: Floats
    covariance: Floats
    own: dict[str, Floats]

    def joint(self, question: Question, rows: NDArray[np.intp]) -> LogNormalJoint:
        """Of the machines at `rows` of the facts."""
        facts = self.facts.rows(rows)
        log_rate, slopes = _predicted(question, facts.columns, self.weights)
        carried = slopes @ self.covariance @ slopes.T
        misfit = MISFIT[question.kind]
        same = (facts.silicon[:, None] == facts.silicon[None, :]).astype(np.float64)
        size = np.outer(facts.log_cores, facts.log_cores)
        covariance = carried + _OWN_LEVEL**2
        covariance += same * (misfit.silicon**2 + misfit.curve**2 * size)
        covariance[np.diag_indices_from(covariance)] += misfit.machine**2
        return LogNormalJoint(log_rate + self.own[question.kind][rows], covariance)


def fit_serving_prior(facts: MachineFacts, runs: Sequence[Runs]) -> ServingPrior:
    """Each question also has a level of its own, which the fit leaves behind."""
    if not runs:
        raise NotMeasured(
            "no run of another model is left to learn from",
            hint="the folder needs vLLM results of at least two models",
        )
    mean, spread = facts.weights_before
    mean = np.concatenate([mean, _LOG_PENALTY[:1], np.zeros(len(runs))])
    spread = np.concatenate([spread, _LOG_PENALTY[1:], np.full(len(runs), _OWN_LEVEL)])
    weights = mean
    for _ in range(_STEPS):
        step, _ = _newton_step(facts, runs, weights, (mean, spread))
        longest = float(np.abs(step).max())
        weights = weights + step * min(1.0, _LONGEST_STEP / max(longest, _CONVERGED))
        if longest < _CONVERGED:
            break
    _, covariance = _newton_step(facts, runs, weights, (mean, spread))
    residual, _ = _linearised(facts, runs, weights)
    kept = slice(len(weights) - len(runs))
    own = _own_residuals(facts, runs, residual)
    return ServingPrior(facts, weights[kept], covariance[kept, kept], own)


def _newton_step(
    facts: MachineFacts, runs: Sequence[Runs], weights: Floats, before: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """(step towards the likeliest weights, their covariance); weights without spread stay."""
    mean, spread = before
    free = spread > 0
    residual, design = _linearised(facts, runs, weights)
    design = design[:, free]
    trusted = 1 / (1 + (residual / (2 * RUN_NOISE)) ** 2)
    weighed = design * (trusted / RUN_NOISE**2)[:, None]
    curvature = design.T @ weighed + np.diag(spread[free] ** -2.0)
    pull = (weights - mean)[free] / spread[free] ** 2
    step = np.zeros_like(weights)
    covariance = np.zeros((len(weights), len(weights)))
    covariance[np.ix_(free, free)] = np.linalg.inv(curvature)
    step[free] = covariance[np.ix_(free, free)] @ (weighed.T @ residual - pull)
    return step, covariance


def _predicted(question: Question, columns: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """(ln rate, its slope by each weight)."""
    by_field = weights[:-1].reshape(len(FIELDS), -1)
    log_rate, slopes = log_rates(question, columns @ by_field.T, float(weights[-1]))
    spread_out = slopes[:, : len(FIELDS), None] * columns[:, None, :]
    by_weight = spread_out.reshape(len(columns), -1)
    return log_rate, np.column_stack([by_weight, slopes[:, -1]])


def _linearised(
    facts: MachineFacts, runs: Sequence[Runs], weights: Floats
) -> tuple[Floats, Floats]:
    shared = len(weights) - len(runs)
    residuals, designs = [], []
    for i, run in enumerate(runs):
        predicted, slopes = _predicted(run.question, facts.columns[run.rows], weights[:shared])
        level = np.zeros((len(run.rows), len(runs)))
        level[:, i] = 1.0
        residuals.append(run.log_rate - predicted - weights[shared + i])
        designs.append(np.hstack([slopes, level]))
    return np.concatenate(residuals), np.vstack(designs)


def _own_residuals(
    facts: MachineFacts, runs: Sequence[Runs], residual: Floats
) -> dict[str, Floats]:
    own = {}
    ends = np.cumsum([len(run.rows) for run in runs])
    by_run = np.split(residual, ends[:-1])
    for kind in (SATURATED, SINGLE_USER, TTFT):
        total, count = np.zeros(len(facts.columns)), np.zeros(len(facts.columns))
        for run, left in zip(runs, by_run, strict=True):
            if run.question.kind == kind:
                np.add.at(total, run.rows, left)
                np.add.at(count, run.rows, 1)
        mean = np.clip(total / np.maximum(count, 1), -_LARGEST_RESIDUAL, _LARGEST_RESIDUAL)
        own[kind] = _OWN_RESIDUAL_KEPT * mean
    return own
