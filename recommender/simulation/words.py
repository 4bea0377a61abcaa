"""What was simulated, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.explain import usd

if TYPE_CHECKING:
    from recommender.simulation.policy_facts import PolicyFacts
    from recommender.simulation.report import Way

__all__ = [
    "fleet_words",
    "hour_text",
    "lost_text",
    "met_words",
    "probability_text",
    "share_text",
    "usd_more",
    "way_words",
]

LEAST_TOLD = 5e-7  # of the requests
METRIC_WORDS = {
    "invocations": "{:,.5g} invocations a minute",
    "concurrency": "{:.3g} requests in flight",
    "cpu": "{:.0%} CPU",
}


def share_text(ratio: float) -> str:
    """All only where it is all."""
    text = f"{ratio:.1%}"
    return ">99.9%" if text == "100.0%" and ratio < 1 - LEAST_TOLD else text


def lost_text(way: Way) -> str:
    """Nothing only where it is nothing."""
    ratio = way.failed_ratio + way.throttled_ratio
    if ratio < LEAST_TOLD:
        return ""
    text = f"{ratio:.2%}"
    return "<0.01%" if text == "0.00%" else text


def probability_text(way: Way) -> str:
    return f"≤ {way.probability:.0%}" if way.at_best else f"{way.probability:.0%}"


def hour_text(at_s: float) -> str:
    """at_s: since the traffic began."""
    days, rest_s = divmod(at_s, 86400)
    return f"day {days + 1:.0f}, {rest_s // 3600:02.0f}:{rest_s % 3600 // 60:02.0f}"


def fleet_words(way: Way, machine: str) -> str:
    """A fleet of machines and what scales it, to begin a sentence."""
    policy = way.policy
    if policy is None:
        return f"{way.option}, {way.text}"
    size = f"{policy.min_replicas} to {policy.max_replicas} × {machine}"  # noqa: RUF001 - a count
    match policy.kind:
        case "fixed" if not policy.schedule:
            return f"A fixed fleet of {policy.min_replicas} × {machine}"  # noqa: RUF001 - a count
        case "fixed":
            return f"A fleet by schedule, {size},"
        case "target-tracking":
            return f"Target tracking at {target_words(policy)}, {size},"
        case "step":
            return f"Step scaling, {size},"


def target_words(policy: PolicyFacts) -> str:
    """Of a policy that tracks a target."""
    return METRIC_WORDS[policy.metric or "invocations"].format(policy.target or 0.0)


def met_words(way: Way, objective: str) -> str:
    """How many requests are in time, at what cost, and how sure that is enough."""
    met = "meets" if way.meets else "does not surely meet" if way.probability else "misses"
    return (
        f"{met} {objective}: {share_text(way.good_ratio.median)} of the requests are in time, "
        f"for {usd(way.usd_per_month)} a month ({_surely(way.probability)})."
    )


def _surely(probability: float) -> str:
    return "sure in every draw" if probability == 1 else f"{probability:.0%} sure"


def way_words(way: Way) -> str:
    misses = "" if way.meets else ", and does not surely meet the objective"
    return f"{way.option}, {way.text}, costs {usd(way.usd_per_month)} a month{misses}"


def usd_more(way: Way, than: Way) -> str:
    """In brackets, what one way costs against another; nothing where it is the same."""
    ratio = float(way.usd_per_month) / float(than.usd_per_month) - 1
    if abs(ratio) < 0.005:  # noqa: PLR2004 - half a per cent is not told
        return ""
    return f" ({abs(ratio):.0%} {'more' if ratio > 0 else 'less'})"
