"""Ray nodes die whole, in PID namespaces of their own: a worker node, all of them, and the head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.faults.campaign import SEED, wait_until
from support.faults.load import Load, a_spec
from support.faults.scenes import EPOCHS, Digests
from support.faults.servers import DisturbedServer, RayNode
from support.faults.validators import violations

from learnfleet.v1 import job_pb2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WORKERS = 2
_JOIN_S = 60.0


@dataclass(frozen=True)
class Cluster:
    """A head without slots, and two nodes with room for the two workers of one job each."""

    head: RayNode
    nodes: tuple[RayNode, RayNode]
    server: DisturbedServer
    undisturbed: Digests

    def node_at_work(self) -> RayNode:
        return next(node for node in self.nodes if node.train_workers())


@pytest.fixture(scope="module")
def cluster(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    head = RayNode(folder / "head", cpus=0)
    nodes = tuple(RayNode(folder / name, head.head_address, WORKERS, head.token) for name in ("one", "two"))
    head.start()
    assert wait_until(head.listens, _JOIN_S)
    for node in nodes:
        node.start()
    server = DisturbedServer(folder / "server", pictures, ("--ray-address", head.head_address), head.environment)
    server.start()
    load = Load(server.address, server.data_dir, SEED)
    undisturbed = digests(load.until_state(a_job(load, "undisturbed"), "succeeded"))
    load.close()
    yield Cluster(head, (nodes[0], nodes[1]), server, undisturbed)
    server.stop()
    for node in (*nodes, head):
        node.end()


@pytest.fixture
def load(cluster: Cluster) -> Iterator[Load]:
    clients = Load(cluster.server.address, cluster.server.data_dir, SEED)
    clients.forget()
    yield clients
    clients.close()


def a_job(load: Load, name: str) -> str:
    policy = job_pb2.CheckpointPolicy(every_steps=2)
    resources = job_pb2.Resources(num_workers=WORKERS)
    return load.train(a_spec(pretrained=False), EPOCHS, name=name, checkpoint_policy=policy, resources=resources)


def digests(job: job_pb2.Job) -> Digests:
    return job.result.checkpoint.model_sha256, job.result.checkpoint.optimizer_sha256


def in_its_middle(load: Load, name: str) -> str:
    job = a_job(load, name)
    load.watch(job, connections_of=10)
    load.until(job, lambda found: found.progress.epoch >= 2, "the third epoch")
    return job


def ends_as_undisturbed(load: Load, job: str, cluster: Cluster) -> job_pb2.Job:
    ended = load.until_state(job, "succeeded")
    assert violations(load.settle()) == {}
    assert load.refusals == []
    assert digests(ended) == cluster.undisturbed
    return ended


def test_a_job_whose_node_dies_goes_on_on_another_and_ends_with_the_same_tensors(cluster: Cluster, load: Load) -> None:
    job = in_its_middle(load, "node-lost")
    lost = cluster.node_at_work()
    lost.kill()
    ended = ends_as_undisturbed(load, job, cluster)
    # Until Ray has noticed, workers are to start on the node that is lost: no retries, but each has a number.
    assert ended.attempt >= 2
    assert dict(ended.retries_used) == {"worker_lost": 1}
    lost.start()


def test_a_job_without_any_node_waits_with_a_reason_and_goes_on_when_one_is_back(cluster: Cluster, load: Load) -> None:
    job = in_its_middle(load, "all-nodes-lost")
    for node in cluster.nodes:
        node.kill()
    waits = load.until(job, lambda found: "CPU" in found.state_reason or "slot" in found.state_reason, "a reason")
    assert waits.state in (job_pb2.JOB_STATE_RESTARTING, job_pb2.JOB_STATE_QUEUED)
    for node in cluster.nodes:
        node.start()
    ends_as_undisturbed(load, job, cluster)


def test_a_job_goes_on_when_the_head_is_back_although_ray_has_forgotten_everything(
    cluster: Cluster, load: Load
) -> None:
    job = in_its_middle(load, "head-lost")
    everything = (cluster.head, *cluster.nodes)
    for node in everything:
        node.kill()
    assert wait_until(lambda: load.get(job).state != job_pb2.JOB_STATE_RUNNING, _JOIN_S)
    for node in everything:
        node.start()
    ended = ends_as_undisturbed(load, job, cluster)
    assert sum(ended.retries_used.values()) <= 1
