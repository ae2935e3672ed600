"""What workers tell in their events becomes numbers with a bounded number of labels."""

from __future__ import annotations

import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from learnfleet.server.telemetry import worker_metrics
from learnfleet.server.telemetry.worker_metrics import WorkerMetrics
from learnfleet.server.workers.protocol import WorkerEvent


class Told:
    """Metrics with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.registry = CollectorRegistry()
        self.metrics = WorkerMetrics(self.registry, lambda: self.now_s)

    def hear(self, kind: str, job: str = "a", **data: Any) -> None:
        self.metrics.heard(job, [WorkerEvent(kind, kind, data, time.time())])

    def system(self, node: str, rank: int = 0, job: str = "a", **values: float) -> None:
        self.hear("system", job, rank=rank, node=node, values=values)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"learnfleet_{name}", labels)


@pytest.fixture
def told() -> Told:
    return Told()


def batch(batches: int, samples: int, elapsed_s: float) -> dict[str, Any]:
    return {
        "batches_since": batches,
        "samples_since": samples,
        "elapsed_s": elapsed_s,
        "samples_per_s": samples / elapsed_s,
    }


def test_steps_and_pictures_are_counted_from_what_batches_tell(told: Told) -> None:
    told.hear("batch", **batch(4, 128, 0.2))
    told.hear("batch", **batch(6, 192, 0.3))

    assert told.value("train_steps_total") == 10
    assert told.value("train_images_total") == 320
    assert told.value("train_step_seconds_sum") == pytest.approx(0.1)


def test_the_rate_now_is_that_of_all_running_jobs(told: Told) -> None:
    told.hear("batch", "a", **batch(1, 100, 1.0))
    told.hear("batch", "b", **batch(1, 50, 1.0))
    assert told.value("train_images_per_second") == 150

    told.metrics.left("a")

    assert told.value("train_images_per_second") == 50


def test_events_of_an_older_worker_have_a_rate_and_no_steps(told: Told) -> None:
    told.hear("batch", samples_per_s=10.0)

    assert told.value("train_images_per_second") == 10
    assert told.value("train_steps_total") == 0


def test_gpus_are_told_by_machine(told: Told) -> None:
    told.system("n1", 0, gpu_0_memory_usage_megabytes=2000, gpu_0_utilization_percentage=80)
    told.system("n1", 1, gpu_0_memory_usage_megabytes=4000, gpu_0_utilization_percentage=40)
    told.system("n2", 2, cpu_utilization_percentage=50, process_memory_usage_megabytes=100)

    assert told.value("worker_gpus", node="n1") == 2
    assert told.value("worker_gpu_memory_bytes", node="n1") == 6e9
    assert told.value("worker_gpu_utilization_ratio", node="n1") == pytest.approx(0.6)
    assert told.value("worker_gpus", node="n2") is None
    assert told.value("node_cpu_utilization_ratio", node="n2") == 0.5
    assert told.value("worker_memory_bytes", node="n2") == 1e8


def test_a_job_that_has_ended_or_fallen_silent_occupies_nothing(told: Told) -> None:
    told.system("n1", job="a", gpu_0_utilization_percentage=80)
    told.system("n2", job="b", gpu_0_utilization_percentage=80)
    told.metrics.left("a")
    assert told.value("worker_gpus", node="n1") is None

    told.now_s = 1000.0

    assert told.value("worker_gpus", node="n2") is None


def test_there_are_only_so_many_machines(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_metrics, "MOST_NODES", 3)
    for number in range(10):
        told.system(f"n{number}", rank=number, process_memory_usage_megabytes=1)

    found = [sample.labels["node"] for family in told.metrics.collect() for sample in family.samples if sample.labels]
    assert sorted(set(found)) == ["n0", "n1", "n2", "other"]
    assert told.value("worker_memory_bytes", node="other") == 7e6


def test_no_series_names_a_job(told: Told) -> None:
    told.hear("batch", "job-1", **batch(1, 1, 1.0))
    told.system("n1", job="job-1", process_memory_usage_megabytes=1)

    samples = [sample for family in told.registry.collect() for sample in family.samples]
    assert not [sample for sample in samples if "job-1" in sample.labels.values()]


@pytest.mark.parametrize("kind", ["batch", "system"])
def test_an_event_of_another_version_is_not_counted_and_ends_no_job(told: Told, kind: str) -> None:
    told.hear(kind, step=1)
    assert told.value("train_steps_total") == 0
