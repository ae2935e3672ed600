"""The overlay `cpu` fits one machine of 4 CPUs and 16 GiB; what the scheduler would do is counted by hand here."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from deploycheck.__main__ import manifests_of
from deploycheck.objects import Manifests, Obj, dig, items, mapping, name_of, title
from deploycheck.pods import Pod, cluster_spec, pods_of
from deploycheck.quantities import quantity
from deploycheck.render import renderer

pytestmark = pytest.mark.skipif(renderer() is None, reason="neither kubectl nor kustomize is installed")

_MACHINE = {"cpu": Decimal(4), "memory": quantity("16Gi")}
# What is there before: kind's own pods ask for 950m (API server 250m, controllers 200m, etcd, scheduler, network and
# two of DNS 100m each), KubeRay's operator for 100m and 512Mi. API server, kubelet and system ask for no memory.
_KEPT = {"cpu": quantity("1250m"), "memory": quantity("3Gi")}
_DISK = quantity("50Gi")


@pytest.fixture(scope="module")
def manifests() -> Manifests:
    return manifests_of("cpu")


@pytest.mark.parametrize("resource", ["cpu", "memory"])
def test_all_that_is_asked_for_fits_beside_what_the_node_keeps(manifests: Manifests, resource: str) -> None:
    assert _sum(manifests, "requests", resource) <= _MACHINE[resource] - _KEPT[resource]


def test_pods_that_use_all_that_they_may_do_not_take_each_others_memory(manifests: Manifests) -> None:
    assert _sum(manifests, "limits", "memory") <= _MACHINE["memory"] - _KEPT["memory"]


def test_the_count_sees_the_nodes_of_ray() -> None:
    """Of the overlay for a team: a count that forgets its workers would be below this."""
    assert _sum(manifests_of("gpu"), "requests", "cpu") > 8 * 8


def test_a_job_and_a_process_that_predicts_run_side_by_side(manifests: Manifests) -> None:
    """Ray's slots are the limit of CPU, and what predicts takes its own for as long as it is there."""
    settings = next(each for each in manifests.of("ConfigMap") if name_of(each).startswith("learnfleet-server"))["data"]
    predict = Decimal(settings["LEARNFLEET_REPLICA_CPUS"]) * Decimal(settings["LEARNFLEET_REPLICAS_MAX"])
    slots = sum(
        _of_pod(pod, "limits", "cpu") * count for pod, count in _pods(manifests) if "workerGroupSpecs" in pod.where
    )

    assert slots - predict >= 1


def test_no_claim_is_for_several_nodes(manifests: Manifests) -> None:
    """Nor for one pod: server, head and worker mount the same."""
    claims = list(manifests.of("PersistentVolumeClaim"))

    assert claims
    assert [title(each) for each in claims if dig(each, "spec", "accessModes") != ["ReadWriteOnce"]] == []
    assert sum(quantity(dig(each, "spec", "resources", "requests", "storage")) for each in claims) <= _DISK


def test_no_pod_waits_for_a_node_of_its_own(manifests: Manifests) -> None:
    """By spread, affinity, selector, a port of the node's, or a device that a plain machine has not."""
    placing = {"topologySpreadConstraints", "affinity", "nodeSelector", "nodeName", "hostNetwork"}
    for pod, _ in _pods(manifests):
        asked = {name for _, each in pod.containers() for name in mapping(dig(each, "resources", "requests"))}
        ports = [port for _, each in pod.containers() for port in items(each.get("ports"))]
        assert asked == {"cpu", "memory"}, pod.where
        assert placing & set(pod.spec) == set(), pod.where
        assert not any("hostPort" in port for port in ports), pod.where


def test_an_update_needs_no_room_for_two(manifests: Manifests) -> None:
    """A rolling update starts the new pod beside the old one, and the count above has no second one."""
    strategies = {title(each): dig(each, "spec", "strategy", "type") for each in manifests.of("Deployment")}
    cluster = next(manifests.of("RayCluster"))

    assert set(strategies.values()) == {"Recreate"}, strategies
    assert dig(cluster, "spec", "upgradeStrategy", "type") == "Recreate"
    assert not dig(cluster, "spec", "enableInTreeAutoscaling")


def test_the_node_can_be_drained(manifests: Manifests) -> None:
    """A budget that holds the last pod waits for another that nothing can start."""
    budgets = list(manifests.of("PodDisruptionBudget"))

    assert budgets
    assert [title(each) for each in budgets if dig(each, "spec", "maxUnavailable") in (None, 0, "0", "0%")] == []


def _sum(manifests: Manifests, kind: str, resource: str) -> Decimal:
    return sum((_of_pod(pod, kind, resource) * count for pod, count in _pods(manifests)), Decimal(0))


def _of_pod(pod: Pod, kind: str, resource: str) -> Decimal:
    """As the scheduler counts: containers together, or the init container that asks for more than all of them."""
    said = {
        key: [quantity(dig(each, "resources", kind, resource) or 0) for each in items(pod.spec.get(key))]
        for key in ("initContainers", "containers")
    }
    return max(sum(said["containers"], Decimal(0)), *said["initContainers"], Decimal(0))


def _pods(manifests: Manifests) -> Iterator[tuple[Pod, int]]:
    """Each template and how many pods of it there may be; the autoscaler, which KubeRay adds to the head, is one."""
    for obj in manifests.objects:
        cluster = cluster_spec(obj)
        counts = _counts(obj) if cluster is None else [1, *map(_most, items(cluster.get("workerGroupSpecs")))]
        yield from zip(pods_of(obj), counts, strict=True)
        if cluster is not None and cluster.get("enableInTreeAutoscaling"):
            scaler = {"name": "autoscaler", "resources": dig(cluster, "autoscalerOptions", "resources")}
            yield Pod(f"{title(obj)}.autoscalerOptions", {}, {"containers": [scaler]}), 1


def _counts(obj: Obj) -> list[int]:
    return [int(dig(obj, "spec", "replicas") or 1) for _ in pods_of(obj)]


def _most(group: Obj) -> int:
    return max(int(group.get("replicas", 1)), int(group.get("maxReplicas", 1))) * int(group.get("numOfHosts", 1))
