"""Prices as rows of a file: the same columns wherever they are written."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from pricing.lines import PriceLine

__all__ = ["LINE_COLUMNS", "csv_text", "exact_usd", "line_row"]

LINE_COLUMNS = (
    *("what", "platform", "purchase", "region", "usd", "unit", "retired"),
    *("saving_ratio", "interruption_band"),
    *("instance", "vcpus", "memory_gib", "architecture", "accelerator_model"),
    *("accelerator_count", "observed_on", "basis", "confidence", "source", "note"),
)


def line_row(line: PriceLine) -> dict[str, Any]:
    """usd: in full, as text."""
    machine, row = line.instance, line.row
    accelerator = None if machine is None else machine.accelerator
    return {
        "what": line.what,
        "platform": None if line.platform is None else line.platform.value,
        "purchase": line.terms,
        "region": row.region,
        "usd": exact_usd(line.usd),
        "unit": line.unit,
        "retired": "yes" if line.retired else "no",
        "saving_ratio": None if line.saving_ratio is None else f"{line.saving_ratio:.4f}",
        "interruption_band": line.interruption_band,
        "instance": None if machine is None else machine.name,
        "vcpus": None if machine is None else machine.vcpus,
        "memory_gib": None if machine is None else machine.memory_gib,
        "architecture": None if machine is None else machine.cpu.architecture.value,
        "accelerator_model": None if accelerator is None else accelerator.model,
        "accelerator_count": None if accelerator is None else accelerator.count,
        "observed_on": row.observed_on.isoformat(),
        "basis": row.basis.value,
        "confidence": row.confidence.value,
        "source": row.source,
        "note": row.note,
    }


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """With a header. None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def exact_usd(usd: Decimal) -> str:
    """In full, without the zeros that a multiplication leaves behind."""
    text = f"{usd:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
