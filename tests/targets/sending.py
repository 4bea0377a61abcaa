"""An open loop of a few lines, for drills that need load and no load generator."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from loadtests.errors import TargetUnreachable
from loadtests.samples import RECORD, Outcome, Samples
from loadtests.targets import exchange


def send(base_url, rate_rps, duration_s, body=b"[1]", timeout_s=10.0):
    """Evenly spaced; each request on a connection of its own. Samples in due order."""
    due_s = np.arange(0.0, duration_s, 1 / rate_rps)
    records = np.zeros(len(due_s), RECORD)
    records["due_us"] = np.rint(due_s * 1e6)
    began_s = time.perf_counter()

    def ask(number):
        time.sleep(max(began_s + due_s[number] - time.perf_counter(), 0.0))
        sent_s = time.perf_counter() - began_s
        status, outcome = 0, Outcome.BROKEN
        try:
            answer = exchange(
                f"{base_url}/invocations",
                method="POST",
                body=body,
                headers={"Content-Type": "application/json"},
                timeout_s=timeout_s,
            )
            status = answer.status
            outcome = Outcome.SUCCEEDED if answer.is_success else Outcome.REFUSED
        except TargetUnreachable:
            pass
        done_s = time.perf_counter() - began_s
        sent_us, done_us = round(sent_s * 1e6), round(done_s * 1e6)
        records[number] = (
            due_s[number] * 1e6,
            sent_us,
            done_us,
            done_us,
            status,
            0,
            outcome,
            0,
            0,
        )

    with ThreadPoolExecutor(64) as threads:
        list(threads.map(ask, range(len(due_s))))
    return Samples(records)
