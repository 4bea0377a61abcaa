import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError

from loadtests.quantities import (
    Rps,
    Seconds,
    parse_rate_rps,
    parse_seconds,
    rate_text,
    seconds_text,
)


class Plan(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rate_rps: Rps = 1.0
    limit_s: Seconds = 1.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("30s", 30),
        (" 5 min ", 300),
        ("5m", 300),
        ("2h", 7200),
        ("1h30min", 5400),
        ("1 h 30 min 5 s", 5405),
        ("1.5 hours", 5400),
        ("1day", 86400),
        ("2E2s", 200),
    ],
)
def test_a_duration_is_read_in_its_unit(text, seconds):
    assert Plan(limit_s=text).limit_s == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "rps"), [("50rps", 50), ("600rpm", 10), ("1.2M/day", 1.2e6 / 86400)]
)
def test_a_rate_is_read_in_its_unit(text, rps):
    assert Plan(rate_rps=text).rate_rps == pytest.approx(rps, rel=1e-12)


@pytest.mark.parametrize(
    "given_s", ["", "s", "5", "5 parsecs", "-5s", "5s!", "min5", "5s 5", "1h-5min"]
)
def test_what_is_no_duration_gets_the_grammar(given_s):
    with pytest.raises(ValidationError, match="1h30min"):
        Plan(limit_s=given_s)


@pytest.mark.parametrize("given_rps", ["", "5", "5s", "5 apples", "-5rps"])
def test_what_is_no_rate_gets_the_grammar(given_rps):
    with pytest.raises(ValidationError, match=r"1\.2M/day"):
        Plan(rate_rps=given_rps)


@pytest.mark.parametrize(
    "given", [-1, float("inf"), float("nan"), True, None, [], "1e999rps", "1e999s"]
)
def test_what_is_no_quantity_is_refused(given):
    for name in ("rate_rps", "limit_s"):
        with pytest.raises(ValidationError):
            Plan(**{name: given})


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_file_holds_plain_numbers_and_gives_them_back(rate_rps, limit_s):
    plan = Plan(rate_rps=rate_rps, limit_s=limit_s)
    written = json.loads(plan.model_dump_json())
    assert written == {"rate_rps": rate_rps, "limit_s": limit_s}
    assert Plan.model_validate(written) == plan


@given(st.floats(1e-3, 1e7))
def test_what_is_said_of_a_quantity_reads_back_as_it(value):
    assert parse_seconds(seconds_text(value)) == pytest.approx(value, rel=1e-5)
    assert parse_rate_rps(rate_text(value)) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250ms"), (1, "1s"), (45, "45s"), (60, "1min"), (90, "1.5min"), (3600, "1h"),
     (5400, "1.5h"), (86400, "1day"), (100, "100s"), (0, "0s")],
)  # fmt: skip
def test_a_duration_is_said_in_the_unit_that_makes_it_short(seconds, text):
    assert seconds_text(seconds) == text


def test_the_schema_takes_numbers_and_texts():
    schema = Plan.model_json_schema()["properties"]["rate_rps"]
    assert {kind["type"] for kind in schema["anyOf"]} == {"number", "string"}
