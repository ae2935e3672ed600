"""All that one server exports to Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, GCCollector, PlatformCollector, ProcessCollector

from learnfleet.server.telemetry.inference_metrics import InferenceMetrics
from learnfleet.server.telemetry.job_metrics import JobMetrics
from learnfleet.server.telemetry.rpc_metrics import RpcMetrics
from learnfleet.server.telemetry.worker_metrics import WorkerMetrics


class Metrics:
    """The numbers of one server, on a registry of its own: nothing of the libraries it uses gets in."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rpc = RpcMetrics(self.registry)
        self.jobs = JobMetrics(self.registry)
        self.workers = WorkerMetrics(self.registry)
        self.inference = InferenceMetrics(self.registry)
        lost = "Lines of the audit log that could not be written."
        self.audit_failures = Counter("learnfleet_audit_failures", lost, registry=self.registry)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
