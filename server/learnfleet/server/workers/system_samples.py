"""What a worker and its machine are busy with while a job runs, as `system` events of the job."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from learnfleet.server.workers.protocol import Emit

_FIRST_S = 1.0  # a short job has one too
_MOST_A_SECOND = 1.0  # of a job, over all its ranks: they are read by everyone who watches it
_JOIN_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sampling:
    """How often which rank is to be asked."""

    every_s: float  # 0: never
    rank: int
    world_size: int
    attempt: int

    @property
    def interval_s(self) -> float:
        return max(self.every_s, self.world_size / _MOST_A_SECOND)


@contextlib.contextmanager
def samples_as_events(emit: Emit, sampling: Sampling, folder: Path) -> Iterator[None]:
    """Inside, a thread emits `system/<attempt>/<rank>/<number>`: {rank, node, values}.

    `folder` is on the disk that the job writes to.
    """
    if sampling.every_s <= 0:
        yield
        return
    stopping = Event()
    thread = Thread(target=_sample, args=(emit, sampling, folder, stopping), name="system-samples", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(_JOIN_S)


def _sample(emit: Emit, sampling: Sampling, folder: Path, stopping: Event) -> None:
    try:
        meter = Meter(folder)
        pause_s, number = min(_FIRST_S, sampling.interval_s), 0
        while not stopping.wait(pause_s):
            number += 1
            data = {"rank": sampling.rank, "node": socket.gethostname(), "values": meter.read()}
            emit(f"system/{sampling.attempt}/{sampling.rank}/{number}", "system", data)
            pause_s = sampling.interval_s
    except Exception:
        _log.info("what this machine is busy with is not told any more", exc_info=True)


class Meter:
    """Reads what MLflow's own monitors read, under their names, and the worker's process beside them."""

    def __init__(self, folder: Path) -> None:
        import psutil

        self._folder = next(path for path in (folder, *folder.parents) if path.exists())
        self._process = psutil.Process()
        # What these say first is since the start of the machine.
        self._process.cpu_percent()
        psutil.cpu_percent()
        self._network = psutil.net_io_counters()
        self._gpus = _gpus()

    def read(self) -> dict[str, float]:
        """Megabytes are 1e6 bytes; the process's percentage is of one core."""
        import psutil

        memory, disk, network = psutil.virtual_memory(), psutil.disk_usage(str(self._folder)), psutil.net_io_counters()
        values = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / 1e6,
            "system_memory_usage_percentage": memory.used / memory.total * 100,
            "disk_usage_percentage": disk.percent,
            "disk_usage_megabytes": disk.used / 1e6,
            "disk_available_megabytes": disk.free / 1e6,
            "process_cpu_utilization_percentage": self._process.cpu_percent(),
            "process_memory_usage_megabytes": self._process.memory_info().rss / 1e6,
        }
        if network is not None and self._network is not None:
            values["network_receive_megabytes"] = (network.bytes_recv - self._network.bytes_recv) / 1e6
            values["network_transmit_megabytes"] = (network.bytes_sent - self._network.bytes_sent) / 1e6
        for number, gpu in enumerate(self._gpus):
            values |= {f"gpu_{number}_{name}": value for name, value in _read_gpu(gpu).items()}
        return {name: round(float(value), 1) for name, value in values.items()}


def _gpus() -> list[Any]:
    """Handles of the GPUs that this process may use; none where there is no NVIDIA driver, or nobody to ask it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not visible:
        return []  # the workers of a CPU job share a machine with others' GPUs
    try:
        import pynvml

        pynvml.nvmlInit()
        return [_handle(pynvml, name.strip()) for name in visible.split(",")]
    except Exception as error:
        _log.info("nothing is told of GPUs: %s", error)
        return []


def _handle(pynvml: Any, name: str) -> Any:
    """Of a GPU as CUDA_VISIBLE_DEVICES names it: by its number, or by an id."""
    return pynvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdecimal() else pynvml.nvmlDeviceGetHandleByUUID(name)


def _read_gpu(gpu: Any) -> dict[str, float]:
    """What the GPU can tell: not every model knows its power."""
    import pynvml

    values: dict[str, float] = {}
    with contextlib.suppress(pynvml.NVMLError):
        memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
        values["memory_usage_megabytes"] = memory.used / 1e6
        values["memory_usage_percentage"] = memory.used / memory.total * 100
    with contextlib.suppress(pynvml.NVMLError):
        values["utilization_percentage"] = pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu
    with contextlib.suppress(pynvml.NVMLError):
        watts = pynvml.nvmlDeviceGetPowerUsage(gpu) / 1000
        values["power_usage_watts"] = watts
        values["power_usage_percentage"] = watts * 1e5 / pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu)
    return values
