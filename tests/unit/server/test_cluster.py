"""Ray's host process dies, and what its callers see of it. The process is real, Ray is left out."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from learnfleet.server.config import Config
from learnfleet.server.domain import Group, Resources
from learnfleet.server.errors import Unavailable
from learnfleet.server.workers.cluster import HostedGroup, RayCluster
from learnfleet.server.workers.host_process import HostLost, HostProcess, SafeHost
from learnfleet.server.workers.protocol import WorkerDied
from learnfleet.server.workers.ray_host import RaySettings

GROUP = Group("pets", 1, Resources(), "learnfleet")


class ProcessWithoutRay(HostProcess):
    """Says that it has joined Ray, the `failures` first times that it cannot."""

    failures = 0

    def connect(self, settings: RaySettings) -> None:
        cls = type(self)
        cls.failures -= 1
        if cls.failures >= 0:
            raise ConnectionError("no Ray there")


@pytest.fixture
def processes() -> list[HostProcess]:
    return []


@pytest.fixture
def cluster(tmp_path: Path, processes: list[HostProcess]) -> Iterator[RayCluster]:
    with a_cluster(tmp_path, processes) as made:
        yield made


@contextmanager
def a_cluster(folder: Path, processes: list[HostProcess], ping_s: float = 60.0) -> Iterator[RayCluster]:
    def start(socket: Path, environment: Mapping[str, str]) -> HostProcess:
        processes.append(ProcessWithoutRay(socket, environment))
        return processes[-1]

    ProcessWithoutRay.failures = 0
    made = RayCluster(Config(folder), start, first_pause_s=0.01, ping_s=ping_s)
    thread = threading.Thread(target=made.supervise)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()


def test_a_dead_host_process_is_replaced_and_callers_are_told_to_try_again(
    cluster: RayCluster, processes: list[HostProcess]
) -> None:
    before = cluster.wait()
    ProcessWithoutRay.failures = 1
    os.kill(processes[0].pid, signal.SIGKILL)
    with pytest.raises(HostLost):
        before.nodes()
    assert before.is_lost
    after = _wait_through_failures(cluster)
    assert after is not before
    with pytest.raises(WorkerDied, match="were ended"):
        after.poll(GROUP, "one", (0,))


def test_a_host_process_that_hangs_is_replaced_and_who_waits_for_it_is_told(
    tmp_path: Path, processes: list[HostProcess]
) -> None:
    with a_cluster(tmp_path, processes, ping_s=0.3) as cluster:
        before = cluster.wait()
        os.kill(processes[0].pid, signal.SIGSTOP)
        with pytest.raises(HostLost):
            before.ping()
        assert cluster.wait() is not before


def test_workers_of_a_dead_host_process_are_lost_and_can_be_stopped_and_ended(
    cluster: RayCluster, processes: list[HostProcess]
) -> None:
    group = HostedGroup(GROUP, cluster.wait(), cluster)
    assert not group.is_lost
    os.kill(processes[0].pid, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        group.poll("one", (0,))
    with pytest.raises(WorkerDied):
        group.start(None)  # type: ignore[arg-type]
    group.stop("one")
    assert group.is_lost
    cluster.close()
    group.kill()


def test_who_asks_while_ray_cannot_be_had_is_told_since_when(cluster: RayCluster, processes: list[HostProcess]) -> None:
    cluster.wait()
    ProcessWithoutRay.failures = 10**6
    os.kill(processes[0].pid, signal.SIGKILL)
    processes[0].has_ended()
    with pytest.raises(Unavailable, match=r"since \d\d:\d\d UTC.*no Ray there"):
        cluster.capacity()


def _wait_through_failures(cluster: RayCluster) -> SafeHost:
    while True:
        try:
            return cluster.wait()
        except Unavailable:
            continue
