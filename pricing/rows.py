"""Rows of the price book's CSV files, both ways.

Columns are listed by hand, not derived from the types: a new field of a type must not change a
published format behind its back. An empty cell is "not known". Money is written in full, never
with an exponent.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final, TypedDict

from pricing.instances import (
    Accelerator,
    AcceleratorKind,
    Architecture,
    Cpu,
    InstanceType,
)
from pricing.offers import (
    UNIT_OF,
    AcceleratorOffer,
    AcceleratorStatus,
    Confidence,
    Offer,
    PlanRate,
    Platform,
    PriceBasis,
    PriceRow,
    Purchase,
    SavingsPlan,
    ServerlessComponent,
    ServerlessOffer,
    UnitItem,
    UnitPrice,
    Unpriced,
)

INSTANCE_COLUMNS: Final = (
    "name",
    "hosting_name",
    "batch_transform",
    "vcpus",
    "physical_cores",
    "memory_gib",
    "architecture",
    "cpu_vendor",
    "cpu_model",
    "clock_ghz",
    "silicon",
    "silicon_note",
    "accelerator_kind",
    "accelerator_model",
    "accelerator_count",
    "accelerator_memory_gib",
    "network_gbps",
    "burstable",
    "baseline_ratio",
    "current_generation",
    "spot_supported",
    "source",
)
_PROVENANCE: Final = ("observed_on", "source", "basis", "confidence", "note")
OFFER_COLUMNS: Final = (
    *("instance", "platform", "purchase", "usd_per_hour", "interruption_band"),
    *_PROVENANCE,
)
PLAN_RATE_COLUMNS: Final = ("instance", "plan", "usd_per_hour", *_PROVENANCE)
SERVERLESS_COLUMNS: Final = ("region", "memory_mib", "component", "usd_per_second", *_PROVENANCE)
ACCELERATOR_COLUMNS: Final = (
    *("region", "name", "platform", "fp32_tflops", "fp16_tflops", "memory_gib"),
    *("usd_per_hour", "status", "retired_on"),
    *_PROVENANCE,
)
UNIT_PRICE_COLUMNS: Final = ("region", "item", "unit", "usd", *_PROVENANCE)
UNPRICED_COLUMNS: Final = ("instance", "region", "platform", "reason")

Row = Mapping[str, str]


def instance_from_row(row: Row) -> InstanceType:
    return InstanceType(
        name=row["name"],
        hosting_name=row["hosting_name"] or None,
        batch_transform=_flag(row, "batch_transform"),
        vcpus=int(row["vcpus"]),
        physical_cores=int(row["physical_cores"]) if row["physical_cores"] else None,
        memory_gib=float(row["memory_gib"]),
        cpu=Cpu(
            architecture=Architecture(row["architecture"]),
            vendor=row["cpu_vendor"],
            model=row["cpu_model"] or None,
            clock_ghz=_optional_float(row["clock_ghz"]),
            silicon=row["silicon"] or None,
            silicon_note=row["silicon_note"] or None,
        ),
        accelerators=_accelerators_from_row(row),
        network_gbps=_optional_float(row["network_gbps"]),
        burstable=_flag(row, "burstable"),
        baseline_ratio=_optional_float(row["baseline_ratio"]),
        current_generation=_flag(row, "current_generation"),
        spot_supported=_flag(row, "spot_supported") if row["spot_supported"] else None,
        source=row["source"],
    )


def instance_to_row(machine: InstanceType) -> Row:
    cpu, accelerator = machine.cpu, machine.accelerator
    return {
        "name": machine.name,
        "hosting_name": machine.hosting_name or "",
        "batch_transform": _yes_no(machine.batch_transform),
        "vcpus": str(machine.vcpus),
        "physical_cores": _number(machine.physical_cores),
        "memory_gib": _number(machine.memory_gib),
        "architecture": cpu.architecture,
        "cpu_vendor": cpu.vendor,
        "cpu_model": cpu.model or "",
        "clock_ghz": _number(cpu.clock_ghz),
        "silicon": cpu.silicon or "",
        "silicon_note": cpu.silicon_note or "",
        "accelerator_kind": accelerator.kind if accelerator else "",
        "accelerator_model": accelerator.model if accelerator else "",
        "accelerator_count": _number(accelerator.count if accelerator else None),
        "accelerator_memory_gib": _number(accelerator.memory_gib if accelerator else None),
        "network_gbps": _number(machine.network_gbps),
        "burstable": _yes_no(machine.burstable),
        "baseline_ratio": _number(machine.baseline_ratio),
        "current_generation": _yes_no(machine.current_generation),
        "spot_supported": _yes_no(machine.spot_supported),
        "source": machine.source,
    }


def offer_from_row(row: Row, region: str, machines: Mapping[str, InstanceType]) -> Offer:
    return Offer(
        instance=_machine(row, machines),
        platform=Platform(row["platform"]),
        region=region,
        purchase=Purchase(row["purchase"]),
        usd_per_hour=Decimal(row["usd_per_hour"]),
        interruption_band=row["interruption_band"] or None,
        **_provenance_from_row(row),
    )


def offer_to_row(offer: Offer) -> Row:
    return {
        "instance": offer.instance.name,
        "platform": offer.platform,
        "purchase": offer.purchase,
        "usd_per_hour": _money(offer.usd_per_hour),
        "interruption_band": offer.interruption_band or "",
        **_provenance_to_row(offer),
    }


def plan_rate_from_row(row: Row, region: str, machines: Mapping[str, InstanceType]) -> PlanRate:
    return PlanRate(
        instance=_machine(row, machines),
        region=region,
        plan=SavingsPlan(row["plan"]),
        usd_per_hour=Decimal(row["usd_per_hour"]),
        **_provenance_from_row(row),
    )


def plan_rate_to_row(rate: PlanRate) -> Row:
    return {
        "instance": rate.instance.name,
        "plan": rate.plan,
        "usd_per_hour": _money(rate.usd_per_hour),
        **_provenance_to_row(rate),
    }


def serverless_from_row(row: Row) -> ServerlessOffer:
    return ServerlessOffer(
        region=row["region"],
        memory_mib=int(row["memory_mib"]),
        component=ServerlessComponent(row["component"]),
        usd_per_second=Decimal(row["usd_per_second"]),
        **_provenance_from_row(row),
    )


def serverless_to_row(offer: ServerlessOffer) -> Row:
    return {
        "region": offer.region,
        "memory_mib": str(offer.memory_mib),
        "component": offer.component,
        "usd_per_second": _money(offer.usd_per_second),
        **_provenance_to_row(offer),
    }


def accelerator_from_row(row: Row) -> AcceleratorOffer:
    return AcceleratorOffer(
        region=row["region"],
        name=row["name"],
        platform=Platform(row["platform"]),
        fp32_tflops=float(row["fp32_tflops"]),
        fp16_tflops=float(row["fp16_tflops"]),
        memory_gib=float(row["memory_gib"]),
        usd_per_hour=Decimal(row["usd_per_hour"]),
        status=AcceleratorStatus(row["status"]),
        retired_on=date.fromisoformat(row["retired_on"]) if row["retired_on"] else None,
        **_provenance_from_row(row),
    )


def accelerator_to_row(offer: AcceleratorOffer) -> Row:
    return {
        "region": offer.region,
        "name": offer.name,
        "platform": offer.platform,
        "fp32_tflops": _number(offer.fp32_tflops),
        "fp16_tflops": _number(offer.fp16_tflops),
        "memory_gib": _number(offer.memory_gib),
        "usd_per_hour": _money(offer.usd_per_hour),
        "status": offer.status,
        "retired_on": "" if offer.retired_on is None else offer.retired_on.isoformat(),
        **_provenance_to_row(offer),
    }


def unit_price_from_row(row: Row) -> UnitPrice:
    item = UnitItem(row["item"])
    if row["unit"] != UNIT_OF[item]:
        raise ValueError(f"unit of {item} is {row['unit']!r}; it is sold by the {UNIT_OF[item]}")
    return UnitPrice(
        region=row["region"], item=item, usd=Decimal(row["usd"]), **_provenance_from_row(row)
    )


def unit_price_to_row(price: UnitPrice) -> Row:
    return {
        "region": price.region,
        "item": price.item,
        "unit": price.unit,
        "usd": _money(price.usd),
        **_provenance_to_row(price),
    }


def unpriced_from_row(row: Row, machines: Mapping[str, InstanceType]) -> Unpriced:
    return Unpriced(
        instance=_machine(row, machines),
        region=row["region"],
        platform=Platform(row["platform"]),
        reason=row["reason"],
    )


def unpriced_to_row(unpriced: Unpriced) -> Row:
    return {
        "instance": unpriced.instance.name,
        "region": unpriced.region,
        "platform": unpriced.platform,
        "reason": unpriced.reason,
    }


class _Provenance(TypedDict):
    observed_on: date
    source: str
    basis: PriceBasis
    confidence: Confidence
    note: str | None


def _provenance_from_row(row: Row) -> _Provenance:
    return {
        "observed_on": date.fromisoformat(row["observed_on"]),
        "source": row["source"],
        "basis": PriceBasis(row["basis"]),
        "confidence": Confidence(row["confidence"]),
        "note": row["note"] or None,
    }


def _provenance_to_row(price: PriceRow) -> Row:
    return {
        "observed_on": price.observed_on.isoformat(),
        "source": price.source,
        "basis": price.basis,
        "confidence": price.confidence,
        "note": price.note or "",
    }


def _accelerators_from_row(row: Row) -> tuple[Accelerator, ...]:
    cells = [row[f"accelerator_{column}"] for column in ("kind", "model", "count", "memory_gib")]
    if not any(cells):
        return ()
    kind, model, count, memory_gib = cells
    return (
        Accelerator(
            kind=AcceleratorKind(kind),
            model=model,
            count=float(count),
            memory_gib=float(memory_gib),
        ),
    )


def _machine(row: Row, machines: Mapping[str, InstanceType]) -> InstanceType:
    name = row["instance"]
    if name not in machines:
        raise ValueError(f"instance {name!r} is not among the book's instance types")
    return machines[name]


def _flag(row: Row, column: str) -> bool:
    if row[column] not in {"yes", "no"}:
        raise ValueError(f"{column} is {row[column]!r}; it is 'yes' or 'no'")
    return row[column] == "yes"


def _optional_float(cell: str) -> float | None:
    return float(cell) if cell else None


def _yes_no(flag: bool | None) -> str:  # noqa: FBT001 - the value written is the argument
    return "" if flag is None else "yes" if flag else "no"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() else repr(value)


def _money(usd: Decimal) -> str:
    return f"{usd:f}"
