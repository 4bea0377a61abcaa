"""Where the bodies of requests come from."""

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
    "CsvPayloads",
    "JsonPayloads",
    "PayloadArchive",
    "PayloadFiles",
    "PayloadSource",
    "PythonPayloads",
    "RandomPayloads",
    "read_workload",
]
