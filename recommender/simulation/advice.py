"""A scaling policy explained, and as AWS wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.simulation.policy_facts import facts_of
from recommender.simulation.report import Deployable
from recommender.simulation.scaling_policy import TargetTracking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recommender.simulation.policy_search import ScalingAdvice, Tried
    from recommender.simulation.scaling_policy import Policy
    from recommender.simulation.served import Served

__all__ = ["boto3_script", "deployable", "explain"]

INDENT = "    "
RESOURCE = "endpoint/ENDPOINT/variant/VARIANT"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC_TYPES = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}


def deployable(policy: Policy) -> Deployable | None:
    """None for what is no target tracking, or of a metric that AWS has no predefined one for."""
    scaling = policy.scaling
    if not isinstance(scaling, TargetTracking) or scaling.metric not in METRIC_TYPES:
        return None
    metric_type = METRIC_TYPES[scaling.metric]
    target: dict[str, str | int] = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": RESOURCE,
        "ScalableDimension": DIMENSION,
    }
    bounds = {"MinCapacity": policy.min_replicas, "MaxCapacity": policy.max_replicas}
    return Deployable(
        register_scalable_target=target | bounds,
        put_scaling_policy=target
        | {
            "PolicyName": "recommended",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": scaling.target,
                "PredefinedMetricSpecification": {"PredefinedMetricType": metric_type},
                "ScaleOutCooldown": round(scaling.scale_out_cooldown_s),
                "ScaleInCooldown": round(scaling.scale_in_cooldown_s),
                "DisableScaleIn": not scaling.can_scale_in,
            },
        },
    )


def boto3_script(deploy: Deployable) -> str:
    """Python that deploys it, once endpoint and variant are filled in."""
    calls: dict[str, Mapping[str, object]] = {
        "register_scalable_target": deploy.register_scalable_target,
        "put_scaling_policy": deploy.put_scaling_policy,
    }
    lines = ["import boto3", "", 'scaling = boto3.client("application-autoscaling")']
    for call, body in calls.items():
        given = "".join(f"{INDENT}{name}={_python(value, 1)},\n" for name, value in body.items())
        lines.append(f"scaling.{call}(\n{given})")
    return "\n".join(lines) + "\n"


def _python(value: object, depth: int) -> str:
    if not isinstance(value, dict):
        return repr(value)
    inner = "".join(
        f"{INDENT * (depth + 1)}{name!r}: {_python(each, depth + 1)},\n"
        for name, each in value.items()
    )
    return f"{{\n{inner}{INDENT * depth}}}"


def explain(advice: ScalingAdvice, served: Served) -> tuple[str, ...]:
    best = advice.best
    lines = [_verdict(advice), *_why_target(advice, served)]
    if advice.fixed is not None and not best.is_fixed:
        saved = 1 - best.hours / advice.fixed.hours
        lines.append(
            f"Of a fixed fleet {advice.fixed.policy.min_replicas} instances would do; scaling "
            f"saves {saved:.0%} of the instance-hours."
        )
    if best.is_fixed:
        lines.append("No scaling policy that was tried does it with fewer instance-hours.")
    lines.append(_formula(advice.formula, best, advice.confidence))
    if advice.nearest is not None:
        nearest, text = advice.nearest, facts_of(advice.nearest.policy).text
        less = 1 - nearest.hours / best.hours
        lines.append(
            f"The next cheaper policy ({text}) takes {less:.1%} less, and meets the objective "
            f"with a probability of {nearest.probability:.0%} only."
        )
    return tuple(lines)


def _verdict(advice: ScalingAdvice) -> str:
    asked = f"{advice.confidence:.0%} is asked for"
    met = f"the objective is met with a probability of {advice.best.probability:.0%}"
    if advice.meets:
        return f"Of {advice.tried} policies simulated this is the cheapest: {met}; {asked}."
    return f"None of {advice.tried} policies simulated does: with the nearest {met}; {asked}."


def _why_target(advice: ScalingAdvice, served: Served) -> list[str]:
    scaling = advice.best.policy.scaling
    if not isinstance(scaling, TargetTracking) or advice.slo_rpm <= 0:
        return []
    share = scaling.target / advice.slo_rpm
    scenario = served.scenario
    blind_s = (
        scenario.timing.datapoints_out * scenario.step_s
        + scenario.timing.metric_delay_s
        + scenario.replica.start_s
    )
    rise = _steepest_rise(served, blind_s)
    return [
        (
            f"One instance takes {float(f'{advice.slo_rpm:.3g}'):,.6g} invocations a minute at "
            f"the objective; the target is {share:.0%} of that."
        ),
        (
            f"From a rise of traffic to more capacity it takes {blind_s / 60:.0f} min; within "
            f"that time this traffic rises by up to {rise:.0%} of its mean."
        ),
    ]


def _steepest_rise(served: Served, within_s: float) -> float:
    """Of the rate, over its mean, in so long."""
    trace = served.scenario.trace.in_steps_of(served.scenario.step_s)
    steps = min(max(round(within_s / trace.step_s), 1), len(trace.rate_rps) - 1)
    if steps < 1:
        return 0.0
    risen = trace.rate_rps[steps:] - trace.rate_rps[:-steps]
    return max(float(risen.max()), 0.0) / trace.mean_rps


def _formula(formula: Tried, best: Tried, confidence: float) -> str:
    more = formula.hours / best.hours - 1
    meets = "meets" if formula.probability >= confidence else "does not surely meet"
    hours = f"{abs(more):.0%} {'more' if more > 0 else 'fewer'}"
    return (
        f"AWS's formula (half of the CPU: {facts_of(formula.policy).text}) {meets} the objective "
        f"({formula.probability:.0%}) with {'as many' if round(more, 2) == 0 else hours} "
        "instance-hours."
    )
