"""What workers tell of their machines."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from support.mlflow_server import until

from learnfleet.server.workers import system_samples
from learnfleet.server.workers.protocol import ExamineRun, RunRequest
from learnfleet.server.workers.run import Run
from learnfleet.server.workers.system_samples import Meter, Sampling, samples_as_events

ALWAYS = {
    "cpu_utilization_percentage",
    "system_memory_usage_megabytes",
    "system_memory_usage_percentage",
    "disk_usage_percentage",
    "disk_usage_megabytes",
    "disk_available_megabytes",
    "network_receive_megabytes",
    "network_transmit_megabytes",
    "process_cpu_utilization_percentage",
    "process_memory_usage_megabytes",
}


def fake_nvml() -> Any:
    """A driver with two GPUs, of which the second cannot tell its power."""
    module: Any = types.ModuleType("pynvml")
    module.NVMLError = type("NVMLError", (Exception,), {})
    module.nvmlInit = lambda: None
    module.nvmlDeviceGetHandleByIndex = lambda index: index
    module.nvmlDeviceGetHandleByUUID = lambda uuid: 1
    module.nvmlDeviceGetMemoryInfo = lambda gpu: types.SimpleNamespace(used=2e9, total=8e9)
    module.nvmlDeviceGetUtilizationRates = lambda gpu: types.SimpleNamespace(gpu=70 + gpu)

    def power(gpu: int) -> int:
        if gpu == 1:
            raise module.NVMLError("not supported")
        return 150_000

    module.nvmlDeviceGetPowerUsage = power
    module.nvmlDeviceGetEnforcedPowerLimit = lambda gpu: 300_000
    return module


def test_a_worker_tells_what_mlflows_own_monitors_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    values = Meter(tmp_path / "not" / "yet").read()
    assert set(values) == ALWAYS
    assert 0 < values["system_memory_usage_percentage"] < 100
    assert values["process_memory_usage_megabytes"] > 10


def test_a_worker_tells_of_its_own_gpu_by_number_or_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-1234")
    values = Meter(tmp_path).read()
    gpus = {name: value for name, value in values.items() if name.startswith("gpu_")}
    assert gpus == {
        "gpu_0_memory_usage_megabytes": 2000.0,
        "gpu_0_memory_usage_percentage": 25.0,
        "gpu_0_utilization_percentage": 70.0,
        "gpu_0_power_usage_watts": 150.0,
        "gpu_0_power_usage_percentage": 50.0,
        "gpu_1_memory_usage_megabytes": 2000.0,
        "gpu_1_memory_usage_percentage": 25.0,
        "gpu_1_utilization_percentage": 71.0,
    }


def test_samples_are_events_while_the_job_runs_and_none_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_samples, "_FIRST_S", 0.01)
    monkeypatch.setattr(system_samples, "_MOST_A_SECOND", 1000.0)
    events: list[tuple[str, str, dict[str, Any]]] = []
    emit = lambda event_id, kind, data: events.append((event_id, kind, data))  # noqa: E731
    with samples_as_events(emit, Sampling(0.01, rank=1, world_size=2, attempt=3), tmp_path):
        until(lambda: len(events) >= 2)
    told = len(events)
    assert [event[:2] for event in events[:2]] == [("system/3/1/1", "system"), ("system/3/1/2", "system")]
    assert set(events[0][2]) == {"rank", "node", "values"}
    with samples_as_events(emit, Sampling(0.0, rank=0, world_size=1, attempt=1), tmp_path):
        pass
    assert len(events) == told


def test_the_more_workers_a_job_has_the_less_often_each_is_asked() -> None:
    assert Sampling(10.0, 0, world_size=2, attempt=1).interval_s == 10.0
    assert Sampling(10.0, 0, world_size=512, attempt=1).interval_s == 512.0


def test_a_worker_that_hangs_is_measured_and_hangs_all_the_same(tmp_path: Path) -> None:
    run = Run(RunRequest("job", 1, ExamineRun({}), {}, None, None, str(tmp_path), str(tmp_path)), rank=0)
    beats = run.status(0).beats
    run.emit("system/1/0/1", "system", {"rank": 0, "node": "here", "values": {}})
    assert run.status(0).beats == beats
    run.emit("data", "data", {"classes": [], "counts": {}})
    assert run.status(0).beats > beats
