"""Rules that KubeRay 1.7's operator has beyond its schemas (its controllers/ray/utils/validation.go tells them)."""

from __future__ import annotations

from collections.abc import Iterator

from deploycheck.objects import Finding, Manifests, Obj, dig, items, mapping, name_of, title
from deploycheck.pods import RAY_KINDS, cluster_spec
from deploycheck.security_rules import check_container

_LONGEST_NAME = {"RayCluster": 53, "RayJob": 47, "RayService": 47}  # suffixes of pods and services must still fit
_MANAGERS = ("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue")
_RESOURCE_PARAMS = ("num-cpus", "num-gpus", "memory", "resources")
_TOKENS_SINCE = (2, 52)


def check_ray(obj: Obj, manifests: Manifests) -> Iterator[Finding]:
    kind = str(obj.get("kind"))
    if kind not in RAY_KINDS:
        return
    where, longest = title(obj), _LONGEST_NAME[kind]
    if len(name_of(obj)) > longest:
        yield Finding("name", where, f"may have {longest} characters, as KubeRay appends to it")
    manager = dig(obj, "spec", "managedBy")
    if manager is not None and manager not in _MANAGERS:
        yield Finding("managed-by", where, f"managedBy must be one of {', '.join(_MANAGERS)}")
    if kind == "RayJob":
        yield from _job(obj)
    spec = cluster_spec(obj)
    if spec is None:
        return
    if kind == "RayCluster":  # of the others the operator asks the dashboard, and makes new clusters itself
        yield from _standing(where, spec)
    yield from _versions(where, spec, manifests)
    yield from _groups(where, spec)
    yield from _autoscaling(where, spec)
    yield from _fault_tolerance(where, spec, mapping(dig(obj, "metadata", "annotations")))


def _job(obj: Obj) -> Iterator[Finding]:
    spec = mapping(obj.get("spec"))
    if "rayClusterSpec" not in spec and not spec.get("clusterSelector"):
        yield Finding("ray-job", title(obj), "needs rayClusterSpec or clusterSelector")
    if spec.get("suspend") and not spec.get("shutdownAfterJobFinishes"):
        yield Finding("ray-job", title(obj), "can only be suspended with shutdownAfterJobFinishes")


def _standing(where: str, spec: Obj) -> Iterator[Finding]:
    """Of a cluster that is there for good, and that no RayJob or RayService has made."""
    head = mapping(spec.get("headGroupSpec"))
    if mapping(head.get("rayStartParams")).get("dashboard-host") not in ("127.0.0.1", "localhost"):
        yield Finding("ray-dashboard", where, "dashboard-host must be 127.0.0.1: KubeRay's default is every address")
    if dig(spec, "upgradeStrategy", "type") != "Recreate":
        yield Finding("ray-upgrade", where, "upgradeStrategy.type must be Recreate, or a new image replaces no pod")
    given = mapping(dig(head, "template", "spec"))
    if not spec.get("enableInTreeAutoscaling") and given.get("automountServiceAccountToken") is not False:
        yield Finding(
            "ray-account", where, "without an autoscaler the head needs no token: automountServiceAccountToken"
        )


def _versions(where: str, spec: Obj, manifests: Manifests) -> Iterator[Finding]:
    said, locked = str(spec.get("rayVersion", "")), manifests.locked.get("ray")
    if locked and said != locked:
        yield Finding(
            "ray-version", f"{where}.rayVersion", f"is {said or 'not said'}, and the images have Ray {locked}"
        )
    if dig(spec, "authOptions", "mode") == "token":
        parts = tuple(int(each) for each in said.split(".")[:2] if each.isdecimal())
        if parts < _TOKENS_SINCE:
            yield Finding("ray-auth", where, f"tokens need Ray 2.52 or later, rayVersion is '{said}'")
    else:
        yield Finding("ray-auth", where, "authOptions.mode must be token: whoever reaches Ray runs code on it")


def _groups(where: str, spec: Obj) -> Iterator[Finding]:
    groups = [("headGroupSpec", mapping(spec.get("headGroupSpec")))]
    names: set[str] = set()
    for group in items(spec.get("workerGroupSpecs")):
        name = str(group.get("groupName"))
        if name in names:
            yield Finding("ray-group", where, f"two worker groups are called {name}")
        names.add(name)
        groups.append((f"workerGroupSpecs[{name}]", group))
        low, now, high = group.get("minReplicas"), group.get("replicas"), group.get("maxReplicas")
        counts = [each for each in (low, now, high) if isinstance(each, int)]
        if counts != sorted(counts):
            yield Finding(
                "min-over-max", f"{where}.workerGroupSpecs[{name}]", f"replicas {counts} must rise from min to max"
            )
    for path, group in groups:
        params = mapping(group.get("rayStartParams"))
        if group.get("resources") and any(params.get(key) for key in _RESOURCE_PARAMS):
            yield Finding("ray-group", f"{where}.{path}", "says resources both in rayStartParams and in resources")
        if "labels" in params:
            yield Finding(
                "ray-group", f"{where}.{path}", "labels belong into the group's own field, not into rayStartParams"
            )


def _autoscaling(where: str, spec: Obj) -> Iterator[Finding]:
    environment = _environment(spec)
    if not spec.get("enableInTreeAutoscaling"):
        if environment.get("RAY_enable_autoscaler_v2") in ("1", "true"):
            yield Finding("autoscaler", where, "RAY_enable_autoscaler_v2 needs enableInTreeAutoscaling")
        return
    options = mapping(spec.get("autoscalerOptions"))
    if options.get("version") and "RAY_enable_autoscaler_v2" in environment:
        yield Finding("autoscaler", where, "says its version both in autoscalerOptions and in the head's environment")
    # The operator adds the autoscaler to the head's pod as a container of its own.
    of_pod = mapping(dig(spec, "headGroupSpec", "template", "spec", "securityContext"))
    yield from check_container(f"{where}.autoscalerOptions", mapping(options.get("securityContext")), of_pod)
    for path, template in _templates(spec):
        if options.get("version") == "v2" and dig(template, "spec", "restartPolicy") not in (None, "Never"):
            yield Finding("autoscaler", f"{where}.{path}", "with autoscaler v2 restartPolicy must be Never or left out")
    for group in items(spec.get("workerGroupSpecs")):
        if group.get("suspend"):
            yield Finding(
                "autoscaler", f"{where}.workerGroupSpecs[{group.get('groupName')}]", "cannot be suspended with it"
            )


def _fault_tolerance(where: str, spec: Obj, annotations: Obj) -> Iterator[Finding]:
    environment, params = _environment(spec), mapping(dig(spec, "headGroupSpec", "rayStartParams"))
    if "REDIS_USERNAME" in environment or params.get("redis-username"):
        yield Finding("ray-redis", where, "the user of Redis belongs into gcsFaultToleranceOptions.redisUsername")
    if spec.get("gcsFaultToleranceOptions") is None:
        if "RAY_REDIS_ADDRESS" in environment:
            yield Finding("ray-redis", where, "RAY_REDIS_ADDRESS needs gcsFaultToleranceOptions")
        return
    if params.get("redis-password") or "REDIS_PASSWORD" in environment:
        yield Finding("ray-redis", where, "the password of Redis belongs into gcsFaultToleranceOptions.redisPassword")
    if "RAY_REDIS_ADDRESS" in environment:
        yield Finding("ray-redis", where, "the address of Redis belongs into gcsFaultToleranceOptions.redisAddress")
    for key in ("ray.io/ft-enabled", "ray.io/external-storage-namespace"):
        if annotations.get(key):
            yield Finding("ray-redis", where, f"annotation {key} does not go with gcsFaultToleranceOptions")


def _templates(spec: Obj) -> Iterator[tuple[str, Obj]]:
    yield "headGroupSpec", mapping(dig(spec, "headGroupSpec", "template"))
    for group in items(spec.get("workerGroupSpecs")):
        yield f"workerGroupSpecs[{group.get('groupName')}]", mapping(group.get("template"))


def _environment(spec: Obj) -> Obj:
    """Of the head's Ray container."""
    containers = items(dig(spec, "headGroupSpec", "template", "spec", "containers"))
    return {
        str(each.get("name")): each.get("value", "")
        for each in items(dig(containers[0] if containers else None, "env"))
    }
