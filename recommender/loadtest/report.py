"""What a load test found: the documented result, made anew from what is stored at any time."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from loadtests.environment import Environment
from loadtests.measurement import Interval, Measurement
from loadtests.modes.compare import Comparison
from loadtests.modes.drift import Soak
from loadtests.modes.offline import OfflineResult
from loadtests.modes.profile import LoadCurve
from loadtests.slo import Verdict
from loadtests.tuning import TuningResult
from recommender.loadtest.plan import Plan
from recommender.loadtest.prices import HourlyPrice
from recommender.recommendation import CostOfMeasuring

__all__ = [
    "Answer",
    "CapacityAnswer",
    "ComparisonAnswer",
    "FixedAnswer",
    "LoadTestReport",
    "ObjectiveVerdict",
    "OfflineAnswer",
    "ProfileAnswer",
    "SoakAnswer",
    "State",
    "TestReport",
    "TierAnswer",
    "TuningAnswer",
]

State = Literal["finished", "partial", "failed", "invalid", "not run"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TierAnswer(_Frozen):
    """The largest load under one SLO.

    basis: confirmed, bisected, model or none, as `loadtests.modes.capacity` has them. cliff: why
    the queue grows for good beyond it, None where latency merely rises. usd_per_million: at this
    rate, None without a price.
    """

    tier: str
    slo: str
    capacity_rps: Interval
    saturation_rps: float
    headroom_ratio: float
    basis: str
    first_breach: str | None
    cliff: str | None
    usd_per_million: Decimal | None


class CapacityAnswer(_Frozen):
    mode: Literal["capacity"] = "capacity"
    tiers: tuple[TierAnswer, ...]


class ProfileAnswer(_Frozen):
    mode: Literal["profile"] = "profile"
    curve: LoadCurve


class ObjectiveVerdict(_Frozen):
    """measured: over the repeats, the middle one with the lowest low and the highest high."""

    tier: str
    objective: str
    measured: Interval
    unit: Literal["s", "ratio"]
    verdict: Verdict


class FixedAnswer(_Frozen):
    """loop: closed-loop verdicts are of service times, as the users who waited saw them."""

    mode: Literal["fixed"] = "fixed"
    loop: Literal["open", "closed"]
    verdicts: tuple[ObjectiveVerdict, ...]
    usd_per_million: Decimal | None


class OfflineAnswer(_Frozen):
    mode: Literal["offline"] = "offline"
    offline: OfflineResult
    usd_per_million_rows: Decimal | None


class SoakAnswer(_Frozen):
    mode: Literal["soak"] = "soak"
    soak: Soak


class ComparisonAnswer(_Frozen):
    """Each of the others against the first."""

    mode: Literal["compare"] = "compare"
    comparisons: tuple[Comparison, ...]


class TuningAnswer(_Frozen):
    mode: Literal["tune"] = "tune"
    tuning: TuningResult


Answer = Annotated[
    CapacityAnswer
    | ProfileAnswer
    | FixedAnswer
    | OfflineAnswer
    | SoakAnswer
    | ComparisonAnswer
    | TuningAnswer,
    Field(discriminator="mode"),
]


class KeptRun(_Frozen):
    """configuration: of a comparison, whose part this is."""

    configuration: str
    key: str
    measurement: Measurement


class TestReport(_Frozen):
    """findings: the answer in words. reason: why there is none, or only a part.

    load_s: what measuring it took, INVALID tries too. start_s: until what was measured could
    serve, the longest where there are several; None where it ran before we came.
    """

    configurations: tuple[str, ...]
    scenario: str
    mode: str
    state: State
    reason: str | None
    answer: Answer | None
    findings: tuple[str, ...]
    load_s: float
    start_s: float | None
    runs: tuple[KeptRun, ...]
    invalid: tuple[KeptRun, ...]


class LoadTestReport(_Frozen):
    """prices: of an hour, by configuration, where known. findings: of several tests together."""

    format: Literal[1] = 1
    run: str
    plan: Plan
    tests: tuple[TestReport, ...]
    findings: tuple[str, ...] = ()
    prices: dict[str, HourlyPrice]
    environment: Environment
    cost_of_measuring: CostOfMeasuring
