"""How fast one vCPU of a machine is, relative to another's, for a workload not yet seen there.

The log of the full-load throughput per vCPU of workload w on machine i of silicon s is

    mu_w + level_s + scale (loadings_s . z_w + specific_s e_ws) + group_i + instance_i

and all that is ever drawn is a difference of two machines, so mu_w cancels. `level` is the mean
over the workloads of the fit; `loadings` and `specific` are how workloads differ in what they
favour: a low-rank and a diagonal covariance over silicons. z_w and e_ws are shared by every
machine of one draw, so two sizes of one silicon move together. `group` is what machines of one
family share beyond their silicon (clock, memory, hypervisor); `instance` is the rest. `scale` is
what makes 80 % intervals hold 80 % of the workloads left out of the fit.

Hardware threads: a vCPU is one hyperthread on Intel and older AMD clouds, a whole core on Graviton
and Zen 4 AWS machines. A silicon's level is that of the vCPU it was benchmarked with
(`threads_per_core`); on a machine with the other kind, `smt` is added (whole core) or taken away.

A machine of no known provider (`provider=None`) further differs from the benchmarked ones by a
`foreign` offset, as the same silicon in other clouds differs from AWS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter, ValidationError

from recommender.errors import OutOfRange, RecommenderError
from recommender.performance.scaling import UslPrior  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Holdout",
    "Machine",
    "Provenance",
    "SiliconSpeed",
    "SpeedPrior",
    "SpeedPriorParameters",
    "ratio_median_and_interval",
]

FORMAT = "inference-recommender/cpu-speed/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What decides the speed of a machine's vCPUs.

    `threads_per_core` counts the hardware threads *kept busy* per core: 1 also where a sibling
    thread exists and idled during the measurement; None where the machine does not say.
    `provider` is "aws" for every catalogue machine; None for one nobody has benchmarked. `family`
    ("c5") sharpens catalogue machines: c5 and m5 are the same silicon at different clocks.
    """

    vcpus: float
    silicon: str | None
    threads_per_core: int | None
    architecture: str
    clock_ghz: float | None
    provider: str | None = None
    family: str | None = None

    @property
    def group(self) -> tuple[object, ...]:
        """Machines of one group differ in size alone."""
        return (
            *(self.silicon, self.threads_per_core, self.architecture),
            *(self.clock_ghz, self.provider, self.family),
        )

    def __post_init__(self) -> None:
        if not (np.isfinite(self.vcpus) and self.vcpus > 0):
            raise OutOfRange(f"a machine of {self.vcpus} vCPUs; it must be more than zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiliconSpeed:
    """`level_sd` is the uncertainty of `level` itself: 0 where AWS was benchmarked."""

    architecture: str
    threads_per_core: int
    level: float
    level_sd: float
    loadings: tuple[float, ...]
    specific_sd: float
    benchmarked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """How wrong the prior was about what it had not seen.

    `error` is the median |log(predicted / true)| of throughput, `coverage_80` the share of truth
    inside the 80 % interval, `width_80` the median ratio of its ends.
    """

    kind: str
    left_out: str
    error: float
    coverage_80: float
    width_80: float
    workloads: int
    targets: int
    predictions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    source: str
    commit: str
    licence: str
    fitted_on: str
    command: str
    workloads: tuple[str, ...]
    machines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedPriorParameters:
    """The artefact. `scale` and `scaling` are keyed by the kind of workload asked about.

    `unknown` is keyed by architecture and describes silicon of no known name; `family_offset` by
    "family/silicon". `group_sd` is the spread of families never benchmarked, `family_sd` what is
    left of it for those that were.
    """

    format: str
    silicon: dict[str, SiliconSpeed]
    unknown: dict[str, SiliconSpeed]
    scale: dict[str, float]
    family_offset: dict[str, float]
    group_sd: float
    family_sd: float
    instance_sd: float
    smt_mean: float
    smt_sd: float
    foreign_sd: float
    foreign_specific_sd: float
    scaling: dict[str, UslPrior]
    holdout: tuple[Holdout, ...]
    provenance: Provenance


_PARAMETERS: TypeAdapter[SpeedPriorParameters] = TypeAdapter(SpeedPriorParameters)


@dataclass(frozen=True, slots=True)
class SpeedPrior:
    parameters: SpeedPriorParameters
    kind: str = "application"

    def __post_init__(self) -> None:
        if self.kind not in self.parameters.scale:
            known = ", ".join(sorted(self.parameters.scale))
            raise OutOfRange(
                f"the speed prior knows no workloads of kind {self.kind!r}", hint=f"known: {known}"
            )

    @classmethod
    def bundled(cls, kind: str = "application") -> SpeedPrior:
        artefact = files("recommender.performance") / "artefacts" / "cpu_speed.json"
        return cls.from_json(artefact.read_text(encoding="utf-8"), kind=kind)

    @classmethod
    def from_json(cls, text: str, kind: str = "application") -> SpeedPrior:
        try:
            parameters = _PARAMETERS.validate_json(text)
        except ValidationError as error:
            raise RecommenderError(
                f"the speed prior is not readable: {error.errors()[0]['msg']} at "
                f"{'.'.join(map(str, error.errors()[0]['loc']))}",
                hint="refit it, or reinstall the package",
            ) from error
        if parameters.format != FORMAT:
            raise RecommenderError(
                f"the speed prior has format {parameters.format!r}; this version reads {FORMAT!r}"
            )
        return cls(parameters, kind)

    def to_json(self) -> str:
        return _PARAMETERS.dump_json(self.parameters, indent=1).decode() + "\n"

    @property
    def scaling(self) -> UslPrior:
        return self.parameters.scaling[self.kind]

    @property
    def scale(self) -> float:
        return self.parameters.scale[self.kind]

    def holdout(self, left_out: str = "workload_measured_elsewhere") -> Holdout | None:
        """The stored validation of this kind; None where it was not tried.

        The one given unasked is the likest to a local test: a workload the fit never saw, measured
        on one small machine of another provider, carried to AWS.
        """
        return next(
            (
                row
                for row in self.parameters.holdout
                if row.kind == self.kind and row.left_out == left_out
            ),
            None,
        )

    @property
    def holdout_error(self) -> float | None:
        row = self.holdout()
        return None if row is None else row.error

    @property
    def holdout_coverage(self) -> float | None:
        row = self.holdout()
        return None if row is None else row.coverage_80

    def is_benchmarked(self, machine: Machine) -> bool:
        return self._speed_of(machine).benchmarked

    def rescaled(self, factor: float) -> SpeedPrior:
        """The same prior with its between-workload and machine spread times `factor`."""
        scale = {**self.parameters.scale, self.kind: self.scale * factor}
        return replace(self, parameters=replace(self.parameters, scale=scale))

    def draw_log_ratio(
        self, source: Machine, targets: Sequence[Machine], draws: int, rng: np.random.Generator
    ) -> Floats:
        """ln(per-vCPU throughput on the target / on the source), shape (draws, targets).

        Size enters by `scaling`, not here. A row is one possible workload: correlations between
        targets within it are meant to be kept. A target equal to the source is the source: 0.
        """
        machines = [source, *targets]
        log_speed = self._silicon_effect(machines, draws, rng)
        log_speed += self._thread_effect(machines, draws, rng)
        log_speed += self._machine_effect(machines, draws, rng)
        ratio = log_speed[:, 1:] - log_speed[:, :1]
        if source.silicon is not None:
            same = [i for i, target in enumerate(targets) if target == source]
            ratio[:, same] = 0.0
        return ratio

    def median_and_interval(
        self,
        source: Machine,
        targets: Sequence[Machine],
        rng: np.random.Generator,
        level: float = 0.8,
    ) -> tuple[Floats, Floats, Floats]:
        """(median, low, high) of the per-vCPU throughput ratio target / source."""
        return ratio_median_and_interval(
            self.draw_log_ratio(source, targets, draws=2000, rng=rng), level
        )

    def _speed_of(self, machine: Machine) -> SiliconSpeed:
        known = self.parameters.silicon.get(machine.silicon or "")
        if known is not None:
            return known
        unknown = self.parameters.unknown
        if machine.architecture not in unknown:
            raise OutOfRange(
                f"the speed prior knows no {machine.architecture!r} machines",
                hint=f"known architectures: {', '.join(sorted(unknown))}",
            )
        return unknown[machine.architecture]

    def _silicon_effect(
        self, machines: Sequence[Machine], draws: int, rng: np.random.Generator
    ) -> Floats:
        """Machines of one named silicon share a column; each unnamed one has its own."""
        columns: dict[object, int] = {}
        speeds: list[SiliconSpeed] = []
        of_machine = np.empty(len(machines), dtype=np.intp)
        for i, machine in enumerate(machines):
            key = machine.silicon or (machine, i == 0)
            if key not in columns:
                columns[key] = len(speeds)
                speeds.append(self._speed_of(machine))
            of_machine[i] = columns[key]
        loadings = np.array([s.loadings for s in speeds])
        specific = np.array([s.specific_sd for s in speeds])
        level_sd = np.array([s.level_sd for s in speeds])
        taste = rng.standard_normal((draws, loadings.shape[1])) @ loadings.T
        taste += specific * rng.standard_normal((draws, len(speeds)))
        level = np.array([s.level for s in speeds])
        level = level + level_sd * rng.standard_normal((draws, len(speeds)))
        return np.asarray((level + self.scale * taste)[:, of_machine], dtype=np.float64)

    def _thread_effect(
        self, machines: Sequence[Machine], draws: int, rng: np.random.Generator
    ) -> Floats:
        p = self.parameters
        smt = np.maximum(p.smt_mean + p.smt_sd * rng.standard_normal(draws), 0.0)
        sign = np.zeros(len(machines))
        for i, machine in enumerate(machines):
            basis = self._speed_of(machine).threads_per_core
            busy = basis if machine.threads_per_core is None else machine.threads_per_core
            sign[i] = float(min(basis, 2) - min(busy, 2))
        effect = smt[:, None] * sign
        source = machines[0]
        if source.threads_per_core is None and source.architecture == "x86_64":
            # Nothing says which kind of vCPU was measured: either, with equal chance.
            other = 1.0 if self._speed_of(source).threads_per_core > 1 else -1.0
            effect[:, 0] += other * smt * (rng.random(draws) < 0.5)  # noqa: PLR2004
        return np.asarray(effect, dtype=np.float64)

    def _machine_effect(
        self, machines: Sequence[Machine], draws: int, rng: np.random.Generator
    ) -> Floats:
        p = self.parameters
        groups = {machine.group: machine for machine in reversed(machines)}
        number = {group: i for i, group in enumerate(groups)}
        offset = [p.family_offset.get(f"{m.family}/{m.silicon}") for m in groups.values()]
        spread = np.array([p.group_sd if known is None else p.family_sd for known in offset])
        outside = np.hypot(p.foreign_sd, p.foreign_specific_sd * self.scale)
        foreign = outside * np.array([m.provider is None for m in groups.values()])
        spread = np.hypot(spread, foreign)
        shared = np.array([known or 0.0 for known in offset])
        shared = shared + spread * rng.standard_normal((draws, len(groups)))
        effect = shared[:, [number[machine.group] for machine in machines]]
        effect += p.instance_sd * rng.standard_normal(effect.shape)
        return np.asarray(effect, dtype=np.float64)


def ratio_median_and_interval(
    log_ratio: Floats, level: float = 0.8
) -> tuple[Floats, Floats, Floats]:
    """(median, low, high) of exp(draws) along the draws."""
    tail = (1 - level) / 2
    median, low, high = np.exp(np.quantile(log_ratio, (0.5, tail, 1 - tail), axis=0))
    return median, low, high
