"""What machines are and what they cost: instance types, offers, price books."""

from pricing.differences import Differences, Move, compare_books
from pricing.errors import (
    BadOffer,
    BadOwnOffer,
    BadPriceBook,
    NoPrice,
    PricingError,
    UnknownInstanceType,
    UnknownPriceBook,
    UnknownRegion,
    close_matches,
    did_you_mean,
)
from pricing.gpus import GPU_SPECS, GpuSpec, gpu_reported_as, gpu_spec
from pricing.history import PriceEntry, price_history
from pricing.instances import (
    AWS,
    SILICON,
    Accelerator,
    AcceleratorKind,
    Architecture,
    Cpu,
    InstanceType,
)
from pricing.library import Library, Shelved
from pricing.line_files import LINE_COLUMNS, csv_text, exact_usd, line_row
from pricing.lines import (
    HOURS_PER_MONTH,
    LineFilter,
    PriceLine,
    Span,
    lines_of,
    price_lines,
)
from pricing.machine_facts import MachineFact, machine_facts
from pricing.offers import (
    INTERRUPTION_BANDS,
    UNIT_OF,
    AcceleratorOffer,
    AcceleratorStatus,
    Confidence,
    Offer,
    Platform,
    PriceBasis,
    PriceRow,
    Purchase,
    ServerlessComponent,
    ServerlessOffer,
    UnitItem,
    UnitPrice,
    Unpriced,
)
from pricing.own_machines import OwnMachine
from pricing.peaks import MEMORY_CLASSES, MemoryClass, Peaks, memory_class, peaks_of
from pricing.plausible import HOSTING_RATIO_BOUNDS, implausible
from pricing.pricebook import STALE_DAYS, OffersByRegion, PriceBook
from pricing.quarantine import Quarantined
from pricing.savings_plans import under_savings_plans
from pricing.shelf import InForce, Shelf, bundled_books, load_book
from pricing.storage import SCHEMA_VERSION, save_book

__all__ = [
    "AWS",
    "GPU_SPECS",
    "HOSTING_RATIO_BOUNDS",
    "HOURS_PER_MONTH",
    "INTERRUPTION_BANDS",
    "LINE_COLUMNS",
    "MEMORY_CLASSES",
    "SCHEMA_VERSION",
    "SILICON",
    "STALE_DAYS",
    "UNIT_OF",
    "Accelerator",
    "AcceleratorKind",
    "AcceleratorOffer",
    "AcceleratorStatus",
    "Architecture",
    "BadOffer",
    "BadOwnOffer",
    "BadPriceBook",
    "Confidence",
    "Cpu",
    "Differences",
    "GpuSpec",
    "InForce",
    "InstanceType",
    "Library",
    "LineFilter",
    "MachineFact",
    "MemoryClass",
    "Move",
    "NoPrice",
    "Offer",
    "OffersByRegion",
    "OwnMachine",
    "Peaks",
    "Platform",
    "PriceBasis",
    "PriceBook",
    "PriceEntry",
    "PriceLine",
    "PriceRow",
    "PricingError",
    "Purchase",
    "Quarantined",
    "ServerlessComponent",
    "ServerlessOffer",
    "Shelf",
    "Shelved",
    "Span",
    "UnitItem",
    "UnitPrice",
    "UnknownInstanceType",
    "UnknownPriceBook",
    "UnknownRegion",
    "Unpriced",
    "bundled_books",
    "close_matches",
    "compare_books",
    "csv_text",
    "did_you_mean",
    "exact_usd",
    "gpu_reported_as",
    "gpu_spec",
    "implausible",
    "line_row",
    "lines_of",
    "load_book",
    "machine_facts",
    "memory_class",
    "peaks_of",
    "price_history",
    "price_lines",
    "save_book",
    "under_savings_plans",
]
