"""Where the bodies of requests come from."""

from loadtests.payloads.rows import DEFAULT_KEY, Join, Rows, read_rows
from loadtests.payloads.sources import (
    CsvPayloads,
    JsonPayloads,
    PayloadArchive,
    PayloadFiles,
    PayloadSource,
    PythonPayloads,
    RandomPayloads,
    read_workload,
)

__all__ = [
    "DEFAULT_KEY",
    "CsvPayloads",
    "Join",
    "JsonPayloads",
    "PayloadArchive",
    "PayloadFiles",
    "PayloadSource",
    "PythonPayloads",
    "RandomPayloads",
    "Rows",
    "read_rows",
    "read_workload",
]
