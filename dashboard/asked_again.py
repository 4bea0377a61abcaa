"""The form as it would be filled in to ask what a run was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dashboard.asked_run import QuickForm
from recommender.cli.options import this_architecture
from recommender.cli.quick import DEFAULT_SLO, DEFAULT_TRAFFIC
from recommender.demand import Constraints
from recommender.request import QuickRequest, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Again", "asked_again"]


class Again(NamedTuple):
    """left_out: what the run was asked with that the form has no place for."""

    form: QuickForm
    left_out: tuple[str, ...]


def asked_again(request: QuickRequest) -> Again:
    source, constraints, usual = request.source, request.constraints, Constraints()
    hours = request.traffic.hourly
    is_own_model = source.kind == "model"
    form = QuickForm(
        kind="sample" if is_own_model else source.kind,
        where="" if is_own_model else source.where or "",
        model=(source.where if is_own_model else source.artefacts) or "",
        payloads="\n".join(request.payloads),
        content_type=request.content_type or "",
        path=_unless(request.path, QuickRequest.model_fields["path"].default),
        environment="\n".join(f"{name}={value}" for name, value in source.environment.items()),
        traffic="" if hours else _unless(request.traffic.text, DEFAULT_TRAFFIC),
        slo=_unless(request.slo, DEFAULT_SLO),
        sizes=",".join(map(_number, request.sizes or ())),
        vcpus=_number(request.vcpus),
        memory_gib=_number(source.memory_gib),
        measured_on=request.measured_on or "",
        region=_unless(constraints.region, usual.region),
        arch=_architecture(source, constraints),
        platforms=() if constraints.platforms == usual.platforms else constraints.platforms,
        purchases=() if constraints.purchases == usual.purchases else constraints.purchases,
        instance_types=", ".join(constraints.instance_types),
        headroom=_unless(_number(constraints.headroom_ratio), _number(usual.headroom_ratio)),
        zones=_unless(str(constraints.zones), str(usual.zones)),
        confidence=_unless(_number(constraints.confidence), _number(usual.confidence)),
        measure_s=_unless(_number(request.measure_s), _of_request("measure_s")),
        startup_timeout_s=_unless(
            _number(source.startup_timeout_s),
            _number(Source.model_fields["startup_timeout_s"].default),
        ),
        seed=_unless(str(request.seed), _of_request("seed")),
    )
    return Again(form, tuple(_left_out(request)))


def _left_out(request: QuickRequest) -> Iterator[str]:
    constraints, usual = request.constraints, Constraints()
    if request.traffic.hourly is not None:
        yield "the table of hours of its traffic"
    if request.model is not None and not request.source.artefacts:
        yield "what was said of the model's size"
    if constraints.own_machines:
        yield "machines of your own"
    if constraints.savings_plans:
        yield "savings plans"
    terms = (constraints.self_hosting_usd_per_month, constraints.load_balancer)
    if terms != (usual.self_hosting_usd_per_month, usual.load_balancer):
        yield "what hosting it yourself costs besides"


def _architecture(source: Source, constraints: Constraints) -> str:
    """Empty where the command would take the same by itself."""
    chosen = constraints.architectures
    name = chosen[0] if len(chosen) == 1 else "any"
    usual = "any" if source.kind == "sample" else this_architecture()
    return _unless(name, usual)


def _of_request(name: str) -> str:
    return _number(QuickRequest.model_fields[name].default)


def _number(value: float | None) -> str:
    """Every digit, and no more."""
    if value is None:
        return ""
    return str(int(value)) if value == int(value) else repr(value)


def _unless(value: str, usual: str) -> str:
    return "" if value == usual else value
