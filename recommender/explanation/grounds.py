"""What a recommendation's figures rest on, each as the tag of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.explain import group_of
from recommender.explanation.document import Kind
from recommender.explanation.ledger import Ledger

if TYPE_CHECKING:
    from recommender.recommendation import Candidate, MeasurementSummary, Recommendation

__all__ = ["Grounds"]


class Grounds(Ledger):
    def __init__(self, recommendation: Recommendation) -> None:
        super().__init__()
        self.recommendation = recommendation

    def measurement(self, each: MeasurementSummary) -> str:
        run = self.recommendation.run or "this run"
        faults = f": {'; '.join(each.faults)}" if each.faults else ""
        return self.tag(
            Kind.MEASUREMENT,
            f"run {run}, {each.key}: {each.load}, {each.requests} requests, "
            f"{each.validity.upper()}{faults}",
        )

    def measurements(self) -> tuple[str, ...]:
        """Of every one that is evidence."""
        return tuple(
            self.measurement(each)
            for each in self.recommendation.evidence.measurements
            if each.validity != "invalid"
        )

    def measured_at(self, vcpus: float) -> tuple[str, ...]:
        """At one size; where nobody said the size, all."""
        found = tuple(
            self.measurement(each)
            for each in self.recommendation.evidence.measurements
            if each.validity != "invalid" and each.vcpus == vcpus
        )
        return found or self.measurements()

    def price(self, each: Candidate) -> str:
        price = each.cost.price
        what = f"{each.option.instance_type or each.option.text} ({group_of(each.option)})"
        if each.option.platform == "own":
            return self.tag(Kind.ASKED, f"price of {what}: {price.source}, {price.observed_on}")
        return self.tag(
            Kind.FACT,
            f"price of {what} in {each.option.region}: {price.source}, {price.observed_on}, "
            f"{price.basis}, confidence {price.confidence}; {self._book}",
        )

    def overhead(self) -> str:
        usd = self.recommendation.demand.constraints.self_hosting_usd_per_month
        return self.tag(Kind.ASKED, f"running machines oneself costs ${usd:f} a month")

    def unit_price(self, name: str) -> str:
        region = self.recommendation.demand.constraints.region
        return self.tag(Kind.FACT, f"price of {name} in {region}: {self._book}")

    def catalogue(self) -> str:
        return self.tag(Kind.FACT, f"machines (vCPUs, memory, silicon): {self._book}")

    def environment(self) -> str:
        seen = self.recommendation.evidence.environment
        return self.tag(
            Kind.FACT,
            f"machine of the run: {seen.cpu_name or 'no CPU name'}, {seen.cores} cores, "
            f"kernel {seen.kernel}, read from the system",
        )

    def placed(self) -> str:
        return self.tag(
            Kind.FACT,
            "micro-benchmarks of the machine of the run (hash, compression, memory, matrix "
            "product), compared with those of the benchmarked machines",
        )

    def model(self) -> str:
        model = self.recommendation.evidence.model
        held_out = ""
        if model.holdout_error is not None and model.holdout_coverage is not None:
            held_out = (
                f"; on machines and workloads held out its median error is "
                f"{model.holdout_error:.0%} and its 80 % intervals hold "
                f"{model.holdout_coverage:.0%} of the truth"
            )
        return self.tag(
            Kind.FACT,
            f"{model.name}: fitted to public benchmarks of other workloads, "
            f"{model.draws} draws{held_out}",
        )

    def assumption(self, text: str) -> str:
        return self.tag(Kind.ASSUMPTION, text)

    def assumed(self, beginning: str) -> tuple[str, ...]:
        """The recommendation's own assumptions that begin like that."""
        return tuple(
            self.assumption(line)
            for line in self.recommendation.assumptions
            if line.startswith(beginning)
        )

    def traffic(self) -> str:
        traffic = self.recommendation.demand.traffic
        return self.tag(
            Kind.ASKED,
            f"traffic {traffic.text}: {traffic.peak_rps:.4g} req/s at peak, "
            f"{traffic.mean_rps:.4g} on average",
        )

    def slo(self) -> str:
        return self.tag(Kind.ASKED, f"SLO {self.recommendation.demand.slo}")

    def constraints(self) -> str:
        asked = self.recommendation.demand.constraints
        return self.tag(
            Kind.ASKED,
            f"{asked.headroom_ratio:.0%} headroom, {asked.zones} "
            f"{'zone' if asked.zones == 1 else 'zones'}, {asked.confidence:.0%} confidence, "
            f"{', '.join(asked.platforms)}, {', '.join(asked.purchases)} in {asked.region}",
        )

    @property
    def _book(self) -> str:
        book = self.recommendation.evidence.price_book
        return f"price book {book.name}, published {book.published_on}"

    def workload(self) -> str:
        asked = self.recommendation.demand.workload
        return self.tag(
            Kind.ASKED,
            f"workload {asked.digest[:12]}: {asked.payloads} payloads of "
            f"{asked.request_bytes_mean:.4g} bytes on average",
        )

    def rent(self, instance_type: str) -> str:
        region = self.recommendation.demand.constraints.region
        return self.tag(
            Kind.FACT, f"price of {instance_type} by the hour in {region}: {self._book}"
        )

    def limits(self) -> str:
        return self.tag(
            Kind.FACT, "SageMaker's documented limits on payloads, answers and concurrency"
        )

    def prices(self) -> str:
        return self.tag(Kind.FACT, f"what has a price, and why the rest has none: {self._book}")
