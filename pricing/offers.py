"""Offers: what something costs, where, under which terms, seen on which day, and by whom.

Every price here has a region, a day, a source, a basis and a confidence. One without them
cannot be constructed.
"""

from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from typing_extensions import override

from pricing.instances import InstanceType
from pricing.text import require_line, require_optional_line


class Platform(StrEnum):
    SAGEMAKER = "sagemaker"
    """Real-time endpoints; asynchronous inference and batch transform cost the same an hour."""
    SERVERLESS = "serverless"
    EC2 = "ec2"
    OWN = "own"
    """Machines that a user told of: their own, or another cloud's."""


class Purchase(StrEnum):
    ON_DEMAND = "on-demand"
    SPOT = "spot"
    SAVINGS_PLAN = "savings-plan"
    """On demand, at the rate that a commitment for a year or three brings."""


class SavingsPlan(StrEnum):
    """A commitment to SageMaker: for how long, and how much of it is paid at once."""

    ONE_YEAR_NO_UPFRONT = "1y-no-upfront"
    ONE_YEAR_PARTIAL_UPFRONT = "1y-partial-upfront"
    ONE_YEAR_ALL_UPFRONT = "1y-all-upfront"
    THREE_YEARS_NO_UPFRONT = "3y-no-upfront"
    THREE_YEARS_PARTIAL_UPFRONT = "3y-partial-upfront"
    THREE_YEARS_ALL_UPFRONT = "3y-all-upfront"


class PriceBasis(StrEnum):
    REPORTED = "reported"
    """Read from a price list, or from someone who read it there."""
    DERIVED = "derived"
    """Computed from a reported price by a rule which the source names."""


class Confidence(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class ServerlessComponent(StrEnum):
    ON_DEMAND = "on-demand"
    """Per second of handling requests, without provisioned concurrency."""
    PROVISIONED_USAGE = "provisioned-usage"
    """Per second that a unit of provisioned concurrency is kept warm, busy or not."""
    PROVISIONED_DURATION = "provisioned-duration"
    """Per second of handling requests on provisioned concurrency, on top of its usage."""


class UnitItem(StrEnum):
    DATA_IN = "data-in"
    DATA_OUT = "data-out"
    ENDPOINT_STORAGE = "endpoint-storage"
    LOAD_BALANCER = "load-balancer"
    LOAD_BALANCER_CAPACITY = "load-balancer-capacity"
    """By what passes through: one LCU-hour carries a GB to machines and back."""


class AcceleratorStatus(StrEnum):
    CURRENT = "current"
    RETIRED = "retired"


UNIT_OF: Final = MappingProxyType(
    {
        UnitItem.DATA_IN: "GB",
        UnitItem.DATA_OUT: "GB",
        UnitItem.ENDPOINT_STORAGE: "GB-month",
        UnitItem.LOAD_BALANCER: "hour",
        UnitItem.LOAD_BALANCER_CAPACITY: "LCU-hour",
    }
)

INTERRUPTION_BANDS: Final = MappingProxyType(
    {
        "<5%": (0.0, 0.05),
        "5-10%": (0.05, 0.10),
        "10-15%": (0.10, 0.15),
        "15-20%": (0.15, 0.20),
        ">20%": (0.20, 1.0),
    }
)
"""Spot Advisor's bands: which share of the machines was reclaimed in the month before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """What every price must say of itself.

    `observed_on` is the last day on which a reported figure was seen, and the oldest day on
    which a derived one rests.
    """

    region: str
    observed_on: date
    source: str
    basis: PriceBasis
    confidence: Confidence
    note: str | None = None

    def __post_init__(self) -> None:
        require_line("region", self.region)
        require_line("source", self.source)
        require_optional_line("note", self.note)

    def age_days(self, today: date) -> int:
        return (today - self.observed_on).days

    @property
    def provenance(self) -> dict[str, Any]:
        """What another row takes over that is made of this price."""
        return {each.name: getattr(self, each.name) for each in fields(PriceRow)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(PriceRow):
    """A machine by the hour. `interruption_band` is a key of INTERRUPTION_BANDS, spot only.

    `machines` is how many there are; None where as many can be had as are asked for.
    """

    instance: InstanceType
    platform: Platform
    purchase: Purchase
    usd_per_hour: Decimal
    interruption_band: str | None = None
    machines: int | None = None

    @override
    def __post_init__(self) -> None:
        PriceRow.__post_init__(self)
        _require_price("usd_per_hour", self.usd_per_hour)
        self._require_platform()
        if self.machines is not None and self.machines < 1:
            raise ValueError(f"{self.machines} machines are none to choose")
        if self.interruption_band is not None:
            if self.purchase is not Purchase.SPOT:
                raise ValueError("only spot is interrupted")
            if self.interruption_band not in INTERRUPTION_BANDS:
                known = ", ".join(INTERRUPTION_BANDS)
                raise ValueError(f"interruption band {self.interruption_band!r}; known: {known}")

    def _require_platform(self) -> None:
        match self.platform:
            case Platform.SERVERLESS:
                raise ValueError("serverless inference is not sold by the machine")
            case Platform.SAGEMAKER:
                if self.purchase is Purchase.SPOT:
                    raise ValueError("SageMaker endpoints cannot run on spot; spot means EC2")
                if self.instance.hosting_name is None:
                    raise ValueError(f"{self.instance.name} is not a SageMaker hosting type")
            case Platform.OWN:
                if self.purchase is not Purchase.ON_DEMAND:
                    raise ValueError("a machine of one's own has one price, on-demand")
            case Platform.EC2:
                pass

    @property
    def name(self) -> str:
        """As the platform spells it: `ml.m5.large` on SageMaker, `m5.large` on EC2."""
        if self.platform is Platform.SAGEMAKER and self.instance.hosting_name is not None:
            return self.instance.hosting_name
        return self.instance.name

    @property
    def interruption_ratio_per_month(self) -> tuple[float, float] | None:
        """Bounds on the share of machines reclaimed in a month; None where not known."""
        if self.interruption_band is None:
            return None
        return INTERRUPTION_BANDS[self.interruption_band]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRate(PriceRow):
    """What an hour of a SageMaker machine costs under a plan, whatever of it is paid upfront."""

    instance: InstanceType
    plan: SavingsPlan
    usd_per_hour: Decimal

    @override
    def __post_init__(self) -> None:
        PriceRow.__post_init__(self)
        _require_price("usd_per_hour", self.usd_per_hour)
        if self.instance.hosting_name is None:
            raise ValueError(f"{self.instance.name} is not a SageMaker hosting type")

    @property
    def name(self) -> str:
        """As SageMaker spells it."""
        return self.instance.hosting_name or self.instance.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerlessOffer(PriceRow):
    """One component of SageMaker serverless inference at one memory size."""

    memory_mib: int
    component: ServerlessComponent
    usd_per_second: Decimal

    @override
    def __post_init__(self) -> None:
        PriceRow.__post_init__(self)
        _require_price("usd_per_second", self.usd_per_second)
        if self.memory_mib <= 0:
            raise ValueError(f"memory_mib is {self.memory_mib}; it must be more than zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorOffer(PriceRow):
    """An accelerator rented apart from the machine: Elastic Inference, retired by AWS.

    Kept so that what it cost can be compared with what replaced it. `retired_on` is the day it
    closed to new customers.
    """

    name: str
    platform: Platform
    fp32_tflops: float
    fp16_tflops: float
    memory_gib: float
    usd_per_hour: Decimal
    status: AcceleratorStatus
    retired_on: date | None = None

    @override
    def __post_init__(self) -> None:
        PriceRow.__post_init__(self)
        require_line("name", self.name)
        _require_price("usd_per_hour", self.usd_per_hour)
        if min(self.fp32_tflops, self.fp16_tflops, self.memory_gib) <= 0:
            raise ValueError(f"{self.name}: TFLOPS and memory must be more than zero")
        if (self.status is AcceleratorStatus.RETIRED) != (self.retired_on is not None):
            raise ValueError(f"{self.name}: a retired accelerator, and no other, has retired_on")

    @property
    def available(self) -> bool:
        """Whether it can still be deployed; a retired one never."""
        return self.status is not AcceleratorStatus.RETIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitPrice(PriceRow):
    """A price by quantity rather than by the hour. `unit` is fixed by the item (UNIT_OF)."""

    item: UnitItem
    usd: Decimal

    @override
    def __post_init__(self) -> None:
        PriceRow.__post_init__(self)
        _require_price("usd", self.usd)

    @property
    def unit(self) -> str:
        return UNIT_OF[self.item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """A machine the platform names but this book cannot price there, and why."""

    instance: InstanceType
    region: str
    platform: Platform
    reason: str

    def __post_init__(self) -> None:
        require_line("region", self.region)
        require_line("reason", self.reason)


def _require_price(name: str, usd: Decimal) -> None:
    if not usd.is_finite() or usd <= 0:
        raise ValueError(f"{name} is {usd}; a price is more than zero")
