"""What workers tell in their events: steps, pictures, and what their machines are busy with."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from learnfleet.server.workers.protocol import WorkerEvent

_STEP_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LAG_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
_MB = 1e6
MOST_NODES = 500  # further ones are told together, as node "other"
_STALE_S = 90.0  # a sample that is older says nothing of now

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Sample:
    """Of one worker."""

    node: str
    taken_s: float
    cpu: float  # of the machine, 0..1
    memory_bytes: float  # of the worker's process
    gpu_bytes: tuple[float, ...]
    gpu_share: tuple[float, ...]  # busy, 0..1


class WorkerMetrics(Collector):
    """Only the server that follows the jobs has any of it."""

    def __init__(self, registry: CollectorRegistry, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s, self._lock = clock_s, Lock()
        self._samples: dict[tuple[str, int], _Sample] = {}  # by job and rank
        self._rates: dict[str, float] = {}  # by job
        step = "Seconds of one optimiser step, the mean between two events of a job (0.2 s), waiting for data included."
        self._step = Histogram("learnfleet_train_step_seconds", step, buckets=_STEP_S, registry=registry)
        self._steps = Counter("learnfleet_train_steps", "Training steps done.", registry=registry)
        self._images = Counter("learnfleet_train_images", "Pictures trained on.", registry=registry)
        lag = "From what happened in a worker, by its clock, to its place in the store."
        self._lag = Histogram("learnfleet_event_lag_seconds", lag, buckets=_LAG_S, registry=registry)
        self._skipped = Counter("learnfleet_skipped_images", "Pictures that could not be read.", registry=registry)
        registry.register(self)

    def heard(self, job_id: str, events: Sequence[WorkerEvent]) -> None:
        """Events of a running attempt are in the store. From any thread."""
        now_s = time.time()
        for event in events:
            self._lag.observe(max(0.0, now_s - event.time_s))
            try:
                self._count(job_id, event)
            except (KeyError, IndexError, TypeError, ValueError):  # of workers of another version: no job ends for that
                _log.warning("an event of kind %s is not as expected, and not counted", event.kind, exc_info=True)

    def _count(self, job_id: str, event: WorkerEvent) -> None:
        if event.kind == "batch":
            self._batches(job_id, event.data)
        elif event.kind == "system":
            self._sample(job_id, event.data)
        elif event.kind == "bad_image":
            self._skipped.inc()

    def _batches(self, job_id: str, data: Mapping[str, Any]) -> None:
        self._rates[job_id] = float(data["samples_per_s"])
        batches, elapsed_s = data.get("batches_since", 0), data.get("elapsed_s", 0.0)
        if batches:  # workers of an older version do not say
            self._step.observe(elapsed_s / batches)
            self._steps.inc(batches)
            self._images.inc(data["samples_since"])

    def _sample(self, job_id: str, data: Mapping[str, Any]) -> None:
        values: Mapping[str, float] = data["values"]
        gpus = sorted({int(name.split("_")[1]) for name in values if name.startswith("gpu_")})
        sample = _Sample(
            str(data["node"]),
            self._clock_s(),
            values.get("cpu_utilization_percentage", 0.0) / 100,
            values.get("process_memory_usage_megabytes", 0.0) * _MB,
            tuple(values.get(f"gpu_{each}_memory_usage_megabytes", 0.0) * _MB for each in gpus),
            tuple(values.get(f"gpu_{each}_utilization_percentage", 0.0) / 100 for each in gpus),
        )
        with self._lock:
            self._samples[job_id, int(data["rank"])] = sample

    def left(self, job_id: str) -> None:
        """Nobody follows the job any more."""
        self._rates.pop(job_id, None)
        with self._lock:
            for key in [key for key in self._samples if key[0] == job_id]:
                del self._samples[key]

    def describe(self) -> Iterator[Metric]:
        return iter(_families())

    def collect(self) -> Iterator[Metric]:
        rate, cpu, memory, gpus, gpu_memory, gpu_share = families = _families()
        rate.add_metric((), sum(list(self._rates.values())))
        for node, samples in self._by_node().items():
            cpu.add_metric((node,), max(each.cpu for each in samples))
            memory.add_metric((node,), sum(each.memory_bytes for each in samples))
            shares = [share for each in samples for share in each.gpu_share]
            if shares:
                gpus.add_metric((node,), len(shares))
                gpu_memory.add_metric((node,), sum(number for each in samples for number in each.gpu_bytes))
                gpu_share.add_metric((node,), sum(shares) / len(shares))
        yield from families

    def _by_node(self) -> dict[str, list[_Sample]]:
        since_s = self._clock_s() - _STALE_S
        with self._lock:
            fresh = [each for each in self._samples.values() if each.taken_s >= since_s]
        found: dict[str, list[_Sample]] = {}
        for sample in sorted(fresh, key=lambda each: each.node):
            name = sample.node if sample.node in found or len(found) < MOST_NODES else "other"
            found.setdefault(name, []).append(sample)
        return found


def _families() -> tuple[GaugeMetricFamily, ...]:
    of_gpus = "of the GPUs that workers of jobs hold, by machine."
    return (
        GaugeMetricFamily(
            "learnfleet_train_images_per_second", "Pictures a second that all running jobs train on now."
        ),
        GaugeMetricFamily(
            "learnfleet_node_cpu_utilization_ratio", "CPU of machines with workers, 0..1.", labels=("node",)
        ),
        GaugeMetricFamily("learnfleet_worker_memory_bytes", "Memory of workers of jobs, by machine.", labels=("node",)),
        GaugeMetricFamily(
            "learnfleet_worker_gpus", "How many GPUs workers of jobs hold, by machine.", labels=("node",)
        ),
        GaugeMetricFamily("learnfleet_worker_gpu_memory_bytes", f"Memory in use {of_gpus}", labels=("node",)),
        GaugeMetricFamily("learnfleet_worker_gpu_utilization_ratio", f"Mean use 0..1 {of_gpus}", labels=("node",)),
    )
