"""Service times of known law: what is asked for, and exact seeded draws of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from loadtests.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["GRAMMAR", "Law", "ServiceTime", "endless_draws"]

GRAMMAR = (
    "det:MEAN_S, exp:MEAN_S, lognormal:MEAN_S:CV or hyper:MEAN_S:CV, such as lognormal:0.005:0.25"
)
BLOCK = 4096


class Law(StrEnum):
    DETERMINISTIC = "det"
    EXPONENTIAL = "exp"
    LOGNORMAL = "lognormal"
    HYPEREXPONENTIAL = "hyper"


FIXED_CV = {Law.DETERMINISTIC: 0.0, Law.EXPONENTIAL: 1.0}


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """cv: coefficient of variation, standard deviation over mean."""

    law: Law
    mean_s: float
    cv: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean_s) and self.mean_s > 0):
            raise UsageError(f"a mean service time must be above 0 s, not {self.mean_s}")
        if self.law in FIXED_CV:
            if self.cv != FIXED_CV[self.law]:
                raise UsageError(f"{self.law} has cv {FIXED_CV[self.law]:g}, not {self.cv}")
        elif not (math.isfinite(self.cv) and self.cv > 0):
            raise UsageError(f"a coefficient of variation must be above 0, not {self.cv}")
        if self.law is Law.HYPEREXPONENTIAL and self.cv <= 1:
            raise UsageError(
                f"a hyperexponential varies more than an exponential: cv above 1, not {self.cv}",
                hint="lognormal takes any cv",
            )

    @classmethod
    def parse(cls, spec: str) -> ServiceTime:
        name, *numbers = spec.split(":")
        try:
            law = Law(name)
            values = [float(number) for number in numbers]
        except ValueError as error:
            raise _unreadable(spec) from error
        match values:
            case [mean_s] if law in FIXED_CV:
                return cls(law, mean_s, FIXED_CV[law])
            case [mean_s, cv] if law not in FIXED_CV:
                return cls(law, mean_s, cv)
            case _:
                raise _unreadable(spec)

    @override
    def __str__(self) -> str:
        end = "" if self.law in FIXED_CV else f":{self.cv:g}"
        return f"{self.law}:{self.mean_s:g}{end}"

    def draws_s(self, generator: np.random.Generator, count: int) -> NDArray[np.float64]:
        match self.law:
            case Law.DETERMINISTIC:
                return np.full(count, self.mean_s)
            case Law.EXPONENTIAL:
                return generator.exponential(self.mean_s, count)
            case Law.LOGNORMAL:
                return self._lognormal_s(generator, count)
            case Law.HYPEREXPONENTIAL:
                return self._hyperexponential_s(generator, count)

    def _lognormal_s(self, generator: np.random.Generator, count: int) -> NDArray[np.float64]:
        # For log S ~ N(m, v): mean = exp(m + v/2) and cv^2 = exp(v) - 1.
        variance = math.log1p(self.cv**2)
        return generator.lognormal(
            math.log(self.mean_s) - variance / 2, math.sqrt(variance), count
        )

    def _hyperexponential_s(
        self, generator: np.random.Generator, count: int
    ) -> NDArray[np.float64]:
        # Two exponentials with balanced means, p1 m1 = p2 m2 = mean/2, of which
        # p1 = (1 + sqrt((cv^2 - 1)/(cv^2 + 1)))/2 gives the cv asked for.
        squared = self.cv**2
        share = (1 + math.sqrt((squared - 1) / (squared + 1))) / 2
        is_first = generator.random(count) < share
        unit = generator.standard_exponential(count)
        first_s, second_s = self.mean_s / (2 * share), self.mean_s / (2 * (1 - share))
        drawn: NDArray[np.float64] = unit * (second_s + (first_s - second_s) * is_first)
        return drawn


def endless_draws(service_time: ServiceTime, generator: np.random.Generator) -> Iterator[float]:
    """One service time after another, in seconds, drawn in blocks: one draw costs microseconds."""
    while True:
        yield from service_time.draws_s(generator, BLOCK).tolist()


def _unreadable(spec: str) -> UsageError:
    return UsageError(f"{spec!r} is not a service time", hint=f"expected {GRAMMAR}")
