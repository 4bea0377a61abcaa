"""Passages and samples of a fleet whose truth is known, made by arithmetic."""

import numpy as np

from loadtests.gateway.passages import NO_MEMBER, PASSAGE
from loadtests.samples import RECORD, Outcome, Samples

BEGAN_S = 5000.0  # of the load, on the clock of the passages
HOP_S = 0.0005  # from the generator to the gateway, and the same back


def passages(rows):
    """rows: dicts of PASSAGE's fields."""
    found = np.zeros(len(rows), PASSAGE)
    for number, row in enumerate(rows):
        for name, value in {"status": 200, "request": number, **row}.items():
            found[name][number] = value
    return found


def samples(due_s, latency_s, good=None):
    """Sent when due; in due order."""
    records = np.zeros(len(due_s), RECORD)
    done_s = np.asarray(due_s) + np.asarray(latency_s)
    records["due_us"] = records["sent_us"] = np.rint(np.asarray(due_s) * 1e6)
    records["first_byte_us"] = records["done_us"] = np.rint(done_s * 1e6)
    good = np.ones(len(due_s), bool) if good is None else np.asarray(good)
    records["outcome"] = np.where(good, Outcome.SUCCEEDED, Outcome.REFUSED)
    records["status"] = np.where(good, 200, 502)
    return Samples(records)


def seen(found):
    """What a generator saw of requests of one stage: a hop earlier sent, a hop later answered."""
    sent_s = found["arrived_s"] - BEGAN_S - HOP_S
    done_s = found["left_s"] - BEGAN_S + HOP_S
    order = np.argsort(sent_s)
    return samples(sent_s[order], (done_s - sent_s)[order], (found["status"] < 300)[order])


def spread(due_s, took_s, members, failed=None):
    """One stage: each request at its member at once; NO_MEMBER for one turned away."""
    due_s, took_s = np.asarray(due_s, float), np.asarray(took_s, float)
    found = np.zeros(len(due_s), PASSAGE)
    found["request"] = np.arange(len(due_s))
    found["member"] = members
    found["arrived_s"] = found["sent_s"] = BEGAN_S + due_s + HOP_S
    found["answered_s"] = found["left_s"] = found["sent_s"] + took_s
    bad = np.zeros(len(due_s), bool) if failed is None else np.asarray(failed)
    found["status"] = np.where(found["member"] == NO_MEMBER, 503, np.where(bad, 502, 200))
    return found


def line(due_s, took_s, gap_s=0.0002, failed_at=None):
    """took_s: shape (requests, stages). One after the other, with the gateway's gaps between.

    failed_at: by request, the stage that fails it, -1 for none.
    """
    rows = []
    for number, (due, each_s) in enumerate(zip(due_s, took_s, strict=True)):
        at_s = arrived_s = BEGAN_S + due + HOP_S
        own = []
        for stage, stage_s in enumerate(each_s):
            at_s += gap_s
            is_bad = failed_at is not None and failed_at[number] == stage
            own.append(
                {
                    "request": number,
                    "stage": stage,
                    "member": stage,
                    "status": 500 if is_bad else 200,
                    "arrived_s": arrived_s,
                    "sent_s": at_s,
                    "answered_s": at_s + stage_s,
                }
            )
            at_s += stage_s
            if is_bad:
                break
        rows += [{**row, "left_s": at_s + gap_s} for row in own]
    return passages(rows)


def fan_out(due_s, took_s):
    """took_s: shape (requests, branches). All at once; left when the last is there."""
    rows = []
    for number, (due, each_s) in enumerate(zip(due_s, took_s, strict=True)):
        arrived_s = BEGAN_S + due + HOP_S
        rows += [
            {
                "request": number,
                "stage": branch,
                "member": branch,
                "arrived_s": arrived_s,
                "sent_s": arrived_s,
                "answered_s": arrived_s + branch_s,
                "left_s": arrived_s + max(each_s),
            }
            for branch, branch_s in enumerate(each_s)
        ]
    return passages(rows)


def queued(due_s, service_s):
    """One at a time, first come first served: how long each is there, waiting included."""
    free_s, took_s = 0.0, []
    for due, service in zip(due_s, service_s, strict=True):
        free_s = max(free_s, due) + service
        took_s.append(free_s - due)
    return np.array(took_s)
