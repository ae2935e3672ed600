"""Each rule of `deploycheck` finds the error that is planted for it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from deploycheck.check import check
from deploycheck.objects import Manifests, load, title

_SAMPLE = load((Path(__file__).parent / "sample.yaml").read_text())
_GONE = object()
_POD = "spec.template.spec."
_BOX = _POD + "containers.0."
_HEAD = "spec.headGroupSpec.template.spec.containers.0."
_GROUP = "spec.workerGroupSpecs.0."
_WORKER = _GROUP + "template.spec.containers.0."

# What is planted where, and the rule that must tell of it.
_PLANTED = [
    # of schemas
    ("Deployment/web", "spec.replicas", "two", "schema"),
    ("Deployment/web", "apiVersion", "extensions/v1beta1", "schema"),
    ("Deployment/web", "kind", "Deploymnet", "schema"),
    ("Deployment/web", _POD + "containrs", [], "schema"),
    ("Deployment/web", _POD + "containers", _GONE, "no-container"),
    ("Deployment/web", _BOX + "readinessProbe.grpc.port", _GONE, "schema"),
    ("RayCluster/ray", "spec.rayVersion", 2.6, "schema"),
    ("RayCluster/ray", "spec.headGroupSpec.rayStartParams.num-cpus", 0, "schema"),
    ("RayCluster/ray", "spec.headGroupSpec", _GONE, "schema"),
    ("RayCluster/ray", _GROUP + "groupName", _GONE, "schema"),
    ("RayCluster/ray", _GROUP + "maxReplica", 3, "schema"),
    ("RayCluster/ray", "spec.autoscalerOptions.version", "v3", "schema"),
    ("RayCluster/ray", "apiVersion", "ray.io/v1alpha1", "schema"),
    ("RayCluster/ray", _WORKER + "volumeMount", [], "schema"),
    ("RayCluster/ray", _WORKER + "resources.limits.memory", "lots", "quantity"),
    ("RayJob/once", "spec.entrypointt", "false", "schema"),
    ("RayService/serving", "spec.serveConfigV2", 2, "schema"),
    # of pods
    ("Deployment/web", _BOX + "resources.requests.cpu", "2", "request-over-limit"),
    ("Deployment/web", _BOX + "resources.limits.memory", "4Gigs", "quantity"),
    ("Deployment/web", _BOX + "resources.requests.memory", _GONE, "no-request"),
    ("Deployment/web", _BOX + "resources.limits.memory", _GONE, "no-limit"),
    ("Deployment/web", _POD + "volumes.1.emptyDir.sizeLimit", "1 Gi", "quantity"),
    ("Deployment/web", _BOX + "readinessProbe.httpGet", {"path": "/", "port": 8470}, "probe-handlers"),
    ("Deployment/web", _BOX + "readinessProbe", {"periodSeconds": 5}, "probe-handlers"),
    ("Deployment/web", _BOX + "readinessProbe.grpc.port", 8471, "probe-port"),
    ("Deployment/web", _BOX + "livenessProbe", {"grpc": {"port": 8470}, "successThreshold": 2}, "probe-threshold"),
    ("Deployment/web", _BOX + "volumeMounts.0.name", "dat", "mount-without-volume"),
    ("Deployment/web", _BOX + "volumeMounts.0.mountPath", "/tmp", "mount-twice"),
    ("Deployment/web", _POD + "volumes.0.persistentVolumeClaim.claimName", "dat", "no-such-claim"),
    ("Deployment/web", _POD + "serviceAccountName", "wep", "no-such-account"),
    ("Deployment/web", _BOX + "envFrom.0.configMapRef.name", "setting", "no-such-configmap"),
    ("Deployment/web", _BOX + "env.0.valueFrom.secretKeyRef.name", "passwort", "no-such-secret"),
    ("Deployment/web", _BOX + "env.0.value", "plain", "value-twice"),
    # of what may run
    ("Deployment/web", _POD + "hostNetwork", True, "restricted"),
    ("Deployment/web", _POD + "volumes.1", {"name": "tmp", "hostPath": {"path": "/tmp"}}, "restricted"),
    ("Deployment/web", _POD + "securityContext.runAsNonRoot", _GONE, "restricted"),
    ("Deployment/web", _POD + "securityContext.runAsUser", 0, "restricted"),
    ("Deployment/web", _POD + "securityContext.seccompProfile", _GONE, "restricted"),
    ("Deployment/web", _BOX + "securityContext.allowPrivilegeEscalation", True, "restricted"),
    ("Deployment/web", _BOX + "securityContext.privileged", True, "restricted"),
    ("Deployment/web", _BOX + "securityContext.capabilities.drop", ["NET_RAW"], "restricted"),
    ("Deployment/web", _BOX + "securityContext.capabilities.add", ["SYS_ADMIN"], "restricted"),
    ("Deployment/web", _BOX + "ports.0.hostPort", 8470, "restricted"),
    ("Deployment/web", _BOX + "securityContext.readOnlyRootFilesystem", False, "read-only-root"),
    ("RayCluster/ray", _GROUP + "template.spec.securityContext", _GONE, "restricted"),
    ("RayCluster/ray", "spec.autoscalerOptions.securityContext", _GONE, "restricted"),
    # of workloads and what goes with them
    ("Deployment/web", "spec.selector.matchLabels.app", "wep", "selector-mismatch"),
    ("Deployment/web", "spec.strategy.type", "Recreate", "recreate-rolling"),
    ("Deployment/web", "spec.strategy.rollingUpdate.maxSurge", 0, "rolling-stuck"),
    ("Deployment/web", "metadata.name", "Web_1", "name"),
    ("Service/web", "metadata.name", "1-web", "name"),
    ("Service/web", "spec.selector.app", "wep", "selects-nothing"),
    ("Service/web", "spec.ports.0.targetPort", "http", "service-port"),
    ("PersistentVolumeClaim/data", "spec.accessModes", ["ReadWriteAll"], "access-modes"),
    ("PersistentVolumeClaim/data", "spec.resources.requests.storage", "10 GB", "quantity"),
    ("PodDisruptionBudget/web", "spec.maxUnavailable", 1, "budget"),
    ("PodDisruptionBudget/web", "spec.selector.matchLabels.app", "wep", "selects-nothing"),
    ("HorizontalPodAutoscaler/web", "spec.minReplicas", 5, "min-over-max"),
    ("HorizontalPodAutoscaler/web", "spec.scaleTargetRef.name", "wep", "no-such-target"),
    ("NetworkPolicy/web", "spec.policyTypes", ["Ingres"], "policy-types"),
    ("NetworkPolicy/web", "spec.policyTypes", ["Ingress"], "policy-types"),
    ("NetworkPolicy/web", "spec.podSelector.matchLabels.app", "wep", "selects-nothing"),
    ("ServiceAccount/web", "copy", 2, "defined-twice"),
    # of images
    ("Deployment/web", _BOX + "image", "registry.example.com/web:latest", "image-tag"),
    ("Deployment/web", _BOX + "image", "registry.example.com:5000/web", "image-tag"),
    ("RayCluster/ray", _WORKER + "image", "registry.example.com/worker:0.1.0-ray2.59.0-cuda", "image-ray"),
    ("RayCluster/ray", _WORKER + "image", "registry.example.com/worker:0.1.0", "image-ray"),
    # of KubeRay
    ("RayCluster/ray", _WORKER + "resources.limits.nvidia~com/gpu", "2", "whole-resource"),
    ("RayCluster/ray", _WORKER + "volumeMounts.0.name", "sham", "mount-without-volume"),
    ("RayCluster/ray", _WORKER + "readinessProbe.httpGet.port", 52366, "probe-port"),
    ("RayCluster/ray", _GROUP + "minReplicas", 9, "min-over-max"),
    ("RayCluster/ray", "spec.rayVersion", "2.59.0", "ray-version"),
    ("RayCluster/ray", "spec.headGroupSpec.rayStartParams.dashboard-host", "0.0.0.0", "ray-dashboard"),
    ("RayCluster/ray", "spec.upgradeStrategy", _GONE, "ray-upgrade"),
    ("RayCluster/ray", "spec.enableInTreeAutoscaling", False, "ray-account"),
    ("RayCluster/ray", "spec.authOptions", _GONE, "ray-auth"),
    ("RayCluster/ray", "spec.rayVersion", "2.51.0", "ray-auth"),
    ("RayCluster/ray", "metadata.name", "r" * 54, "name"),
    ("RayCluster/ray", "spec.managedBy", "me", "managed-by"),
    ("RayCluster/ray", "spec.headGroupSpec.resources", {"CPU": "1"}, "ray-group"),
    ("RayCluster/ray", "spec.headGroupSpec.rayStartParams.labels", "a=b", "ray-group"),
    ("RayCluster/ray", _GROUP + "template.spec.restartPolicy", "Always", "autoscaler"),
    ("RayCluster/ray", _HEAD + "env.0.name", "RAY_enable_autoscaler_v2", "autoscaler"),
    ("RayCluster/ray", _GROUP + "suspend", True, "autoscaler"),
    ("RayCluster/ray", "spec.headGroupSpec.rayStartParams.redis-password", "x", "ray-redis"),
    ("RayCluster/ray", _HEAD + "env.0.name", "REDIS_PASSWORD", "ray-redis"),
    ("RayCluster/ray", _HEAD + "env.0.name", "RAY_REDIS_ADDRESS", "ray-redis"),
    ("RayCluster/ray", _HEAD + "env.0.name", "REDIS_USERNAME", "ray-redis"),
    ("RayCluster/ray", "metadata.annotations", {"ray.io/ft-enabled": "true"}, "ray-redis"),
    ("RayJob/once", "spec.rayClusterSpec", _GONE, "ray-job"),
]


def test_nothing_is_found_in_the_sample() -> None:
    assert [str(each) for each in check(_manifests(_SAMPLE))] == []


@pytest.mark.parametrize(("where", "path", "value", "rule"), _PLANTED)
def test_a_planted_error_is_found(where: str, path: str, value: Any, rule: str) -> None:
    objects = copy.deepcopy(list(_SAMPLE))
    target = next(each for each in objects if title(each) == where)
    if path == "copy":
        objects.append(target)
    else:
        _plant(target, path.split("."), value)

    found = check(_manifests(tuple(objects)))

    assert rule in {each.rule for each in found}, [str(each) for each in found]


def _plant(target: Any, path: list[str], value: Any) -> None:
    *before, last = [int(each) if each.isdecimal() else each.replace("~", ".") for each in path]
    for key in before:
        target = target[key]
    if value is _GONE:
        del target[last]
    else:
        target[last] = value


def _manifests(objects: tuple[dict[str, Any], ...]) -> Manifests:
    return Manifests(objects, {"ray": "2.60.0"}, frozenset({"password"}))
