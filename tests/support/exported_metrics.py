"""What a server exports to Prometheus, by the names that queries use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from learnfleet.server.telemetry.metrics import Metrics
from learnfleet.server.telemetry.server_metrics import Figures, LoopFigures, ServerMetrics

_SAMPLES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gauge": ("",),
    "info": ("_info",),
}


@dataclass(frozen=True)
class Exported:
    """A family of metrics."""

    name: str  # as in the documentation: that of a counter ends in _total
    kind: str
    help: str
    labels: tuple[str, ...]
    samples: frozenset[str]  # names that a query may use


def exported_families() -> list[Exported]:
    """All of a server's own and of its process, in the order of their names."""
    metrics, loop = Metrics(), asyncio.new_event_loop()
    ServerMetrics(metrics.registry, loop, LoopFigures, Figures)
    loop.close()
    found = []
    for collector in list(metrics.registry._collector_to_names):
        describe = getattr(collector, "describe", None) or collector.collect
        for family in describe():
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = tuple(getattr(collector, "_labelnames", ()) or getattr(family, "_labelnames", ()))
            samples = frozenset(family.name + suffix for suffix in _SAMPLES[family.type])
            found.append(Exported(name, family.type, family.documentation, labels, samples))
    return sorted(found, key=lambda each: each.name)


def exported_samples() -> frozenset[str]:
    return frozenset(name for each in exported_families() for name in each.samples)
