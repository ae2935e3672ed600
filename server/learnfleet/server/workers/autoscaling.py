"""Ray's autoscaler, asked for nodes. Runs in the Ray host process."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

_log = logging.getLogger(__name__)


class Autoscaler:
    """That of the cluster, if it has one: where it has none, asking does nothing."""

    def __init__(self) -> None:
        self._task: Any = None
        self._asked: Any = None
        self._complained = ""

    def ask(self, cpu_slots: int, gpu_slots: int, wait_s: float = 0.0) -> None:
        """Let the cluster have at least so many slots in all, or as few as it likes (0). Takes the last word's place.

        A task asks, as a Ray client cannot; it is waited for only so long.
        """
        try:
            self._ask(cpu_slots, gpu_slots, wait_s)
        except Exception as error:  # jobs can do without
            if str(error) != self._complained:
                _log.warning("the cluster's autoscaler was not asked for nodes: %s", error)
            self._complained = str(error)

    def _ask(self, cpu_slots: int, gpu_slots: int, wait_s: float) -> None:
        """Raises what Ray does, also what the last one came to."""
        import ray

        before, self._asked = self._asked, None
        if self._task is None:
            self._task = ray.remote(num_cpus=0)(_request)
        self._asked = self._task.remote(cpu_slots, gpu_slots)
        if wait_s:
            ray.wait([self._asked], timeout=wait_s)
        if before is not None:
            with contextlib.suppress(ray.exceptions.GetTimeoutError):
                ray.get(before, timeout=0)


def _request(cpu_slots: int, gpu_slots: int) -> None:
    """Runs in a worker process."""
    from ray.autoscaler.sdk import request_resources

    request_resources(bundles=[{"CPU": 1}] * cpu_slots + [{"CPU": 1, "GPU": 1}] * gpu_slots)
