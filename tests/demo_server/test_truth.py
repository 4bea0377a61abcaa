from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.demo_server.truth import TRUTH, TruthRing, rows_as_json

# What may happen to a ring: an arrival, the answer to the n-th arrival, a reset.
events = st.lists(
    st.one_of(st.just("add"), st.integers(0, 30), st.just("reset")), min_size=1, max_size=60
)


@given(events, st.integers(1, 7))
def test_a_ring_keeps_the_last_requests_of_its_time(events, limit):
    ring, kept, added, resets = TruthRing(limit), [], 0, []
    for event in events:
        if event == "add":
            ring.add(b"%d" % added, 200, float(added), added + 0.5, added + 1.0)
            kept.append([added, math.nan])
            added += 1
        elif event == "reset":
            ring.reset()
            resets, kept = [*resets, added], []
        elif event < added:
            ring.sent(event, event + 2.0)
            for row in kept[-limit:]:
                if row[0] == event:
                    row[1] = event + 2.0
    rows = ring.rows()
    assert rows["arrival_s"].tolist() == [number for number, _ in kept[-limit:]]
    assert rows["sent_s"].tolist() == pytest.approx([s for _, s in kept[-limit:]], nan_ok=True)
    assert rows["tag"].tolist() == [b"%d" % number for number, _ in kept[-limit:]]
    assert ring.forgotten == max(len(kept) - limit, 0)


def test_both_answers_tell_the_same():
    ring = TruthRing(10)
    ring.sent(ring.add(b"a", 200, 1.0, 2.0, 3.0), 3.5)
    ring.add(b"", 503, 4.0)
    rows = np.load(io.BytesIO(ring.as_npy()))
    assert rows.dtype == TRUTH
    first, second = rows_as_json(rows)
    assert first == {
        "tag": "a", "status": 200,
        "arrival_s": 1.0, "start_s": 2.0, "finish_s": 3.0, "sent_s": 3.5,
    }  # fmt: skip
    assert second["tag"] is second["start_s"] is second["sent_s"] is None


def test_rows_are_a_copy_that_later_requests_leave_alone():
    ring = TruthRing(2)
    ring.add(b"", 200, 1.0)
    rows = ring.rows()
    for at_s in (2.0, 3.0, 4.0):
        ring.add(b"", 200, at_s)
    assert rows["arrival_s"].tolist() == [1.0]
