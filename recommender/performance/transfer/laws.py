"""How long one call takes on a machine: the part of the truth that has an equation.

Language model, one stream on n cores (an additive roofline, as on GPUs):

    t = tau n + B / (b n / (1 + n/n_b)) + [prefill] T (B / n + B^(2/3) / n_f) / f

B: bytes of the weights, in GB; T: tokens of the prompt; b, f: bandwidth and arithmetic of one
core; bandwidth saturates at n_b cores; tau n: what all the cores spend on waiting for each other,
which is why small models get slower on large machines.

Of arithmetic, cores share multiplying by the weights, but not what is done to the activations
between two multiplications. Weights go with layers times width squared and activations with
layers times width; models grow in both alike, so activations go with B^(2/3). A model of 1 GB
spends as long on either with n_f cores, a larger one with more.

Web server, n cores, pages of B bytes:

    t = (a U_a(n) + c B U_c(n)) / n,  U(n) = 1 + sigma (n - 1) + kappa n (n - 1)

U is Gunther's Universal Scalability Law, apart for what a request costs and what a byte does.

Speeds are those of a lineage in its year, times what its silicon departs from the trend, times
clock. Fitted by least squares of log throughput, with a loss that forgives outliers; lineages are
drawn together and silicon towards its trend, since a fold may hold two workloads only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.optimize import least_squares

from recommender.performance.transfer.catalogue import LINEAGES
from recommender.performance.transfer.rates import PREFILL

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from recommender.performance.transfer.catalogue import Catalogue, Indices
    from recommender.performance.transfer.rates import Rates, Workload

    Floats = NDArray[np.float64]

__all__ = ["LlmLaw", "ServiceLaw", "WebLaw", "fit_llm_law", "fit_web_law"]

_SCATTER = 0.3
_TREND_YEAR = 2021.0
_SILICON_PULL = 3.0
_LINEAGE_PULL = 30.0
_EVALUATIONS = 60
# How far a workload's own constants may lie from those the law was fitted to: variance of their
# logs, of all machines together and of each lineage besides.
_LLM_DOUBT, _WEB_DOUBT = (0.25, 0.25), (1.0, 0.1)
_LLM_OWN, _WEB_OWN = 3, 6  # the first so many constants of `parameters`
_STEP = 0.05
# What a request costs in bytes is the program's doing, whatever the processor; and its curve is
# the bytes' curve unless the data insist.
_OF_THE_PROGRAM, _ONE_CURVE = 20.0, 5.0
# Activations of a model, by the bytes of its weights (see above).
_ACTIVATIONS = 2 / 3
# Handing a pass from layer to layer: some hundred barriers of a microsecond. Large models hide it,
# so where no small one was measured it is as expected.
_HANDOVER_S, _HANDOVER_PULL = 5e-4, 10.0


class ServiceLaw(Protocol):
    def log_rate(self, workload: Workload) -> Floats:
        """Of every machine of the catalogue."""
        ...

    def doubt(self, workload: Workload) -> Floats:
        """Covariance of log rates, machines by machines: its own constants may be others."""
        ...

    def waiting(self, workload: Workload) -> Floats:
        """Share of a call, of every machine, in which cores wait for each other."""
        ...


@dataclass(frozen=True)
class _Asked:
    """One measurement each."""

    machine: Indices
    bytes_ratio: Floats
    tokens: Floats
    prefill: NDArray[np.bool_]

    @classmethod
    def of(cls, rates: pd.DataFrame, workloads: dict[str, Workload]) -> _Asked:
        each = [workloads[name] for name in rates.workload]
        return cls(
            rates.machine.to_numpy(dtype=np.intp),
            np.array([w.bytes_ratio for w in each]),
            np.array([w.tokens for w in each]),
            np.array([w.kind == PREFILL for w in each]),
        )

    @classmethod
    def everywhere(cls, workload: Workload, machines: int) -> _Asked:
        return cls(
            np.arange(machines),
            np.full(machines, workload.bytes_ratio),
            np.full(machines, workload.tokens),
            np.full(machines, workload.kind == PREFILL),
        )


@dataclass(frozen=True)
class _Machines:
    """The catalogue as arrays; `silicon` numbers those that departures are fitted for."""

    catalogue: Catalogue
    silicons: tuple[str, ...]

    @cached_property
    def lineage(self) -> Indices:
        return self.catalogue.codes("lineage", LINEAGES)

    @cached_property
    def silicon(self) -> Indices:
        """-1, the last, is every silicon without a departure of its own."""
        return self.catalogue.codes("silicon", self.silicons)

    @cached_property
    def cores(self) -> Floats:
        return self.catalogue.numbers("cores")

    @cached_property
    def years(self) -> Floats:
        return (self.catalogue.numbers("year") - _TREND_YEAR) / 4

    @cached_property
    def clock(self) -> Floats:
        return self.catalogue.numbers("log_clock")

    @cached_property
    def shared(self) -> Floats:
        """1 where two hardware threads share a core."""
        return (self.catalogue.numbers("threads") > 1).astype(np.float64)

    def log_speed(self, level: Floats, trend: Floats, departure: Floats, at: Indices) -> Floats:
        """level: by lineage; trend: (per year/4, per log clock)."""
        own = np.append(departure, 0.0)[self.silicon[at]]
        rise = trend[0] * self.years[at] + trend[1] * self.clock[at]
        return np.asarray(level[self.lineage[at]] + rise + own, dtype=np.float64)


@dataclass(frozen=True)
class LlmLaw:
    """parameters: as follows.

    tau, handover, n_b, n_f, b, f by lineage (logs); two trends of two; departures.
    """

    machines: _Machines
    parameters: Floats

    def log_rate(self, workload: Workload) -> Floats:
        return self.log_rates(_Asked.everywhere(workload, len(self.machines.catalogue)))

    def log_rates(self, asked: _Asked) -> Floats:
        waiting, working = self._seconds(asked)
        return np.asarray(np.log(asked.tokens / (waiting + working)), dtype=np.float64)

    def waiting(self, workload: Workload) -> Floats:
        asked = _Asked.everywhere(workload, len(self.machines.catalogue))
        waiting, working = self._seconds(asked)
        return np.asarray(waiting / (waiting + working), dtype=np.float64)

    def _seconds(self, asked: _Asked) -> tuple[Floats, Floats]:
        """Of one call: waiting, and working."""
        m, at = self.machines, asked.machine
        tau, handover, near, far, bandwidth, arithmetic = self.parameters[:18].reshape(6, 3)
        memory_trend, compute_trend = self.parameters[18:22].reshape(2, 2)
        memory_own, compute_own = self.parameters[22:].reshape(2, -1)
        n, lineage = m.cores[at], m.lineage[at]
        moved = np.exp(m.log_speed(bandwidth, memory_trend, memory_own, at))
        moved = moved * n / (1 + n / np.exp(near[lineage]))
        speed = np.exp(m.log_speed(arithmetic, compute_trend, compute_own, at))
        between = asked.bytes_ratio**_ACTIVATIONS / np.exp(far[lineage])
        work = asked.tokens * (asked.bytes_ratio / n + between) / speed
        work = np.where(asked.prefill, work, 0.0)
        others = np.maximum(n - 1, 0.0)
        waiting = others * (np.exp(tau[lineage]) + np.exp(handover[lineage]) / n)
        return waiting, asked.bytes_ratio / moved + work

    def doubt(self, workload: Workload) -> Floats:
        """Of how long cores wait for each other, and where bandwidth saturates."""
        return _doubt(self, workload, _LLM_OWN, _LLM_DOUBT)


@dataclass(frozen=True)
class WebLaw:
    """parameters: as follows.

    a, c, sigma_a, sigma_c, kappa_a, kappa_c by lineage (logs); a trend of two; log gain of a core
    whose threads share it; departures.
    """

    machines: _Machines
    parameters: Floats

    def log_rate(self, workload: Workload) -> Floats:
        return self.log_rates(_Asked.everywhere(workload, len(self.machines.catalogue)))

    def log_rates(self, asked: _Asked) -> Floats:
        m, at = self.machines, asked.machine
        n, lineage = m.cores[at], m.lineage[at]
        request, byte, sigma_a, sigma_c, kappa_a, kappa_c = np.exp(
            self.parameters[:18].reshape(6, 3)
        )[:, lineage]
        pairs = n * (n - 1)
        own = request * (1 + sigma_a * (n - 1) + kappa_a * pairs)
        moved = byte * asked.bytes_ratio * (1 + sigma_c * (n - 1) + kappa_c * pairs)
        trend, gain = self.parameters[18:20], self.parameters[20]
        speed = m.log_speed(np.zeros(3), trend, self.parameters[21:], at) + gain * m.shared[at]
        return np.asarray(speed + np.log(n) - np.log(own + moved), dtype=np.float64)

    def doubt(self, workload: Workload) -> Floats:
        """Of what a request and a byte cost, and of both curves."""
        return _doubt(self, workload, _WEB_OWN, _WEB_DOUBT)

    def waiting(self, workload: Workload) -> Floats:  # noqa: ARG002 - requests are independent
        return np.zeros(len(self.machines.catalogue))


def _doubt(
    law: LlmLaw | WebLaw, workload: Workload, constants: int, variances: tuple[float, float]
) -> Floats:
    """To first order in the logs of the first `constants`, each by lineage."""
    expected = law.log_rate(workload)
    each = np.empty((len(expected), constants * len(LINEAGES)))
    for number in range(each.shape[1]):
        parameters = law.parameters.copy()
        parameters[number] += _STEP
        moved = replace(law, parameters=parameters)
        each[:, number] = (moved.log_rate(workload) - expected) / _STEP
    all_lineages = each.reshape(len(expected), constants, len(LINEAGES)).sum(axis=2)
    together, apart = variances
    covariance = together * all_lineages @ all_lineages.T + apart * each @ each.T
    return np.asarray(covariance, dtype=np.float64)


def fit_llm_law(rates: Rates, catalogue: Catalogue) -> LlmLaw:
    """To prefill and decode together: they share what waiting and moving the weights cost."""
    table = rates.table[rates.table.kind.ne("web")]
    machines, asked, truth = _prepared(rates, table, catalogue)
    silicons = len(machines.silicons)
    usual_handover = np.log(_HANDOVER_S)
    levels = [np.log(3e-5), usual_handover, 3.5, 4.5, np.log(3.0), np.log(20.0)]
    start = np.concatenate([np.repeat(levels, 3), [0.2, 0.5] * 2])
    start = np.append(start, np.zeros(2 * silicons))
    pull = np.sqrt(len(truth)) * 3 / _LINEAGE_PULL

    def misfit(p: Floats) -> Floats:
        tau, handover, near, far = p[:12].reshape(4, 3)
        return np.concatenate(
            [
                (LlmLaw(machines, p).log_rates(asked) - truth) / _SCATTER,
                pull * 3 * _apart(tau),
                pull * _apart(handover),
                _HANDOVER_PULL * (handover - usual_handover),
                *(near - 3.5, far - 4.5),
                (p[18:22] - start[18:22]) * 2,
                _SILICON_PULL * p[22:],
            ]
        )

    return LlmLaw(machines, _solved(misfit, start))


def fit_web_law(rates: Rates, catalogue: Catalogue) -> WebLaw:
    table = rates.table[rates.table.kind.eq("web")]
    machines, asked, truth = _prepared(rates, table, catalogue)
    start = np.repeat([-11.5, -11.3, -4.0, -4.0, -9.0, -9.0], 3)
    start = np.concatenate([start, [0.2, 0.5], [0.3], np.zeros(len(machines.silicons))])
    pull = np.sqrt(len(truth)) / _LINEAGE_PULL

    def misfit(p: Floats) -> Floats:
        request, byte, *curves = p[:18].reshape(6, 3)
        sigma_a, sigma_c, kappa_a, kappa_c = curves
        return np.concatenate(
            [
                (WebLaw(machines, p).log_rates(asked) - truth) / _SCATTER,
                pull * _apart(request + byte),
                pull * _OF_THE_PROGRAM * _apart(request - byte),
                *(pull * _apart(curve) for curve in curves),
                pull * _ONE_CURVE * np.append(sigma_a - sigma_c, kappa_a - kappa_c),
                *((sigma_a + 4) / 2, (sigma_c + 4) / 2, (kappa_a + 9) / 2, (kappa_c + 9) / 2),
                (p[18:20] - start[18:20]) * 2,
                _SILICON_PULL * p[21:],
            ]
        )

    return WebLaw(machines, _solved(misfit, start))


def _apart(values: Floats) -> Floats:
    return np.asarray(values - values.mean(), dtype=np.float64)


def _prepared(
    rates: Rates, table: pd.DataFrame, catalogue: Catalogue
) -> tuple[_Machines, _Asked, Floats]:
    seen = catalogue.facts.silicon.iloc[np.unique(table.machine)].unique()
    machines = _Machines(catalogue, tuple(sorted(seen)))
    truth = table.log_rate.to_numpy(dtype=np.float64)
    return machines, _Asked.of(table, dict(rates.workloads)), truth


def _solved(misfit: object, start: Floats) -> Floats:
    found = least_squares(misfit, start, loss="soft_l1", max_nfev=_EVALUATIONS)
    return np.asarray(found.x, dtype=np.float64)
