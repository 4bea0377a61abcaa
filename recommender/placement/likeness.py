"""Which catalogue machines a machine is like, and how sure: a posterior over kinds of machine.

A kind is a silicon and how many hardware threads of a core work at once. For each kind the logs
of the benchmarks' rates are taken as a multivariate Student t about the kind's mean: within a kind
clocks and clouds differ, and now and then much. What the CPU says of itself comes first; it may
say nothing, or what a hypervisor lets it, so it weighs much and not everything. A machine like
none of them is a kind of its own, wide enough to hold them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter
from scipy.stats import multivariate_t

from recommender.performance.silicon import silicon_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from loadtests.environment import Environment
    from recommender.placement.benchmarks import Rates

    Floats = NDArray[np.float64]

__all__ = ["FLAGS", "FORMAT", "Kind", "Kinds", "Likeness", "named_silicon"]

FORMAT = "inference-recommender/placement/1"
FLAGS = (
    "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile",
    "sha_ni", "asimddp", "i8mm", "sve", "sve2",
)  # fmt: skip
FREEDOM = 5.0  # degrees of: outliers within a kind are common
UNSEEN_SHARE = 0.03
NAME_IS_RIGHT = 0.98
LEAST_NOISE = 0.02
# A hypervisor hides flags that a CPU has, and hardly ever shows one that it has not.
HIDDEN, INVENTED = 0.1, 0.002
THREADS_SAID = {1: {1: 0.7, 2: 0.3}, 2: {1: 0.1, 2: 0.9}}  # said, then true


@dataclass(frozen=True, slots=True)
class Kind:
    """means: logs of rates a second, by benchmark. families: of catalogue machines, by number.

    flags: share of its machines that show each of FLAGS.
    """

    silicon: str
    architecture: str
    threads_per_core: int
    groups: int
    means: tuple[float, ...]
    flags: tuple[float, ...]
    families: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    source: str
    commit: str
    licence: str
    fitted_on: str
    command: str


@dataclass(frozen=True)
class Kinds:
    """The artefact. covariance: within a kind, of the logs. offsets: ours less theirs, with sd.

    unseen_covariance: of machines of kinds not fitted, about the mean of those that are.
    """

    format: str
    benchmarks: tuple[str, ...]
    kinds: tuple[Kind, ...]
    covariance: tuple[tuple[float, ...], ...]
    unseen_covariance: tuple[tuple[float, ...], ...]
    offsets: dict[str, tuple[float, float]]
    provenance: Provenance

    @classmethod
    def bundled(cls) -> Kinds:
        place = files("recommender.performance") / "artefacts" / "placement.json"
        return _KINDS.validate_json(place.read_text(encoding="utf-8"))

    def to_json(self) -> str:
        return _KINDS.dump_json(self, indent=1).decode() + "\n"

    def likeness(self, environment: Environment, rates: Rates | None) -> Likeness:
        """rates: None where nothing was run: what the CPU says of itself is all there is."""
        kinds = [each for each in self.kinds if each.architecture == environment.architecture]
        if not kinds:
            return Likeness((), (), 1.0)
        flags = np.array([_log_flags(each, environment) for each in kinds])
        # The flags of an unseen kind are as likely as those of the most fitting one.
        logs = np.log(_prior(kinds, environment)) + np.append(flags, flags.max())
        if rates is not None:
            logs += self._log_likelihoods(kinds, rates)
        odds = np.exp(logs - logs.max())
        odds /= odds.sum()
        return Likeness(tuple(kinds), tuple(map(float, odds[:-1])), float(odds[-1]))

    def _log_likelihoods(self, kinds: Sequence[Kind], rates: Rates) -> Floats:
        """Of each kind, and of the unseen one."""
        names = [name for name in self.benchmarks if name in rates.by_name]
        at = [self.benchmarks.index(name) for name in names]
        offset, offset_sd = np.array([self.offsets[name] for name in names]).T
        seen = np.log([rates.by_name[name].per_s for name in names]) - offset
        noise = np.array([max(rates.by_name[name].noise_ratio, LEAST_NOISE) for name in names])
        error = np.diag(offset_sd**2 + noise**2)
        within = np.array(self.covariance)[np.ix_(at, at)]
        means = np.array([each.means for each in kinds])[:, at]
        logs = [
            multivariate_t.logpdf(seen, mean, within * (1 + 1 / kind.groups) + error, FREEDOM)
            for kind, mean in zip(kinds, means, strict=True)
        ]
        wide = np.array(self.unseen_covariance)[np.ix_(at, at)]
        logs.append(multivariate_t.logpdf(seen, means.mean(axis=0), wide + error, FREEDOM))
        return np.array(logs)


_KINDS: TypeAdapter[Kinds] = TypeAdapter(Kinds)


def _prior(kinds: Sequence[Kind], environment: Environment) -> Floats:
    """By name and threads, of each kind and last of none of them; adds up to 1.

    A name that belongs to none of the kinds makes it likely to be none of them.
    """
    silicons = sorted({each.silicon for each in kinds})
    named = named_silicon(environment)
    if named in silicons:
        others = (1 - NAME_IS_RIGHT) / max(len(silicons), 1)
        share = {each: NAME_IS_RIGHT if each == named else others for each in silicons}
    else:
        share = dict.fromkeys(silicons, 1 / len(silicons))
    threads = [min(each.threads_per_core, 2) for each in kinds]
    said = THREADS_SAID.get(environment.threads_per_core or 0, {1: 0.5, 2: 0.5})
    of_kind = np.array([said[each] for each in threads])
    in_all = {
        name: sum(w for w, kind in zip(of_kind, kinds, strict=True) if kind.silicon == name)
        for name in silicons
    }
    found = of_kind * [share[kind.silicon] / in_all[kind.silicon] for kind in kinds]
    has_other_name = named not in silicons and environment.cpu_family is not None
    unseen = NAME_IS_RIGHT if has_other_name else UNSEEN_SHARE
    return np.append(found / found.sum() * (1 - unseen), unseen)


def _log_flags(kind: Kind, environment: Environment) -> float:
    """0 where the CPU shows no flags at all: they are hidden."""
    if not environment.cpu_flags:
        return 0.0
    shown = [flag in environment.cpu_flags for flag in FLAGS]
    share = np.clip(np.array(kind.flags) * (1 - HIDDEN), INVENTED, 1 - HIDDEN)
    return float(np.log(np.where(shown, share, 1 - share)).sum())


def named_silicon(environment: Environment) -> str | None:
    """As the CPU says of itself."""
    if environment.cpu_vendor is None or environment.cpu_family is None:
        return None
    return silicon_of(
        environment.cpu_vendor,
        environment.cpu_family,
        environment.cpu_model_number or 0,
        environment.cpu_stepping,
    )


@dataclass(frozen=True, slots=True)
class Likeness:
    """kinds and shares: probabilities; with unseen they add up to 1."""

    kinds: tuple[Kind, ...]
    shares: tuple[float, ...]
    unseen: float

    @property
    def by_silicon(self) -> dict[str, float]:
        """Likeliest first."""
        found: dict[str, float] = {}
        for kind, share in zip(self.kinds, self.shares, strict=True):
            found[kind.silicon] = found.get(kind.silicon, 0.0) + share
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def threads_share(self, silicon: str, threads_per_core: int) -> float:
        """Given the silicon: that so many hardware threads of a core work at once."""
        of_it = [
            (kind.threads_per_core, share)
            for kind, share in zip(self.kinds, self.shares, strict=True)
            if kind.silicon == silicon
        ]
        total = sum(share for _, share in of_it)
        return sum(share for threads, share in of_it if threads == threads_per_core) / total

    @property
    def families(self) -> tuple[str, ...]:
        """Of the likeliest kind."""
        if not self.kinds:
            return ()
        best = int(np.argmax(self.shares))
        return self.kinds[best].families
