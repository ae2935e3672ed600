"""Rules of workloads, services, claims, budgets and policies that schemas do not know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deploycheck.objects import Finding, Manifests, Obj, dig, items, mapping, name_of, selects, title
from deploycheck.pods import Pod, pods_of
from deploycheck.quantities import quantity

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAMED = ("Service", "RayCluster", "RayJob", "RayService")  # DNS-1035: no dot, a letter first
_COLON_NAMED = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")


def check_name(obj: Obj) -> Iterator[Finding]:
    name, kind = name_of(obj), obj.get("kind")
    if kind in _COLON_NAMED:
        return
    if kind in _LABEL_NAMED and not _LABEL.fullmatch(name):
        yield Finding("name", title(obj), f"'{name}' must be at most 63 of a-z, 0-9 and '-', and begin with a letter")
    elif len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        yield Finding("name", title(obj), f"'{name}' must be of a-z, 0-9, '-' and '.'")


def check_workload(obj: Obj) -> Iterator[Finding]:
    if obj.get("kind") not in ("Deployment", "StatefulSet", "DaemonSet"):
        return
    for pod in pods_of(obj):
        selector = dig(obj, "spec", "selector")
        if not selector or not selects(selector, pod.labels):
            yield Finding(
                "selector-mismatch", title(obj), f"its selector {selector} does not select its pods {pod.labels}"
            )
    strategy = mapping(dig(obj, "spec", "strategy"))
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate") is not None:
        yield Finding("recreate-rolling", f"{title(obj)}.spec.strategy", "Recreate admits no rollingUpdate")
    rolling = mapping(strategy.get("rollingUpdate"))
    if rolling and all(str(rolling.get(key, "25%")) in ("0", "0%") for key in ("maxSurge", "maxUnavailable")):
        yield Finding("rolling-stuck", f"{title(obj)}.spec.strategy", "maxSurge and maxUnavailable cannot both be 0")


def check_claim(obj: Obj) -> Iterator[Finding]:
    claims = [(title(obj), obj)] if obj.get("kind") == "PersistentVolumeClaim" else []
    if obj.get("kind") == "StatefulSet":
        claims = [
            (f"{title(obj)}.spec.volumeClaimTemplates[{name_of(each)}]", each)
            for each in items(dig(obj, "spec", "volumeClaimTemplates"))
        ]
    for where, claim in claims:
        modes = dig(claim, "spec", "accessModes") or []
        if not modes or set(modes) - set(_MODES):
            yield Finding("access-modes", where, f"accessModes {modes} must be of {', '.join(_MODES)}")
        if "ReadWriteOncePod" in modes and len(modes) > 1:
            yield Finding("access-modes", where, "ReadWriteOncePod goes with no other mode")
        try:
            if quantity(dig(claim, "spec", "resources", "requests", "storage")) <= 0:
                raise ValueError("storage must be above 0")
        except ValueError as error:
            yield Finding("quantity", f"{where}.spec.resources.requests.storage", str(error))


def check_budget(obj: Obj, pods: list[Pod]) -> Iterator[Finding]:
    if obj.get("kind") != "PodDisruptionBudget":
        return
    spec = mapping(obj.get("spec"))
    if ("minAvailable" in spec) == ("maxUnavailable" in spec):
        yield Finding("budget", title(obj), "needs one of minAvailable and maxUnavailable")
    yield from _selects_something(obj, spec.get("selector"), pods)


def check_scaler(obj: Obj, manifests: Manifests) -> Iterator[Finding]:
    if obj.get("kind") != "HorizontalPodAutoscaler":
        return
    spec = mapping(obj.get("spec"))
    low, high = spec.get("minReplicas", 1), spec.get("maxReplicas")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        yield Finding("min-over-max", title(obj), f"minReplicas {low} is above maxReplicas {high}")
    target = mapping(spec.get("scaleTargetRef"))
    if target.get("name") not in manifests.names(str(target.get("kind"))):
        yield Finding("no-such-target", title(obj), f"there is no {target.get('kind')} {target.get('name')}")


def check_policy(obj: Obj, pods: list[Pod]) -> Iterator[Finding]:
    if obj.get("kind") != "NetworkPolicy":
        return
    spec = mapping(obj.get("spec"))
    types = spec.get("policyTypes")
    if not types or set(types) - {"Ingress", "Egress"}:
        yield Finding("policy-types", title(obj), f"policyTypes {types} must be of Ingress and Egress")
    for key, kind in (("ingress", "Ingress"), ("egress", "Egress")):
        if spec.get(key) and kind not in (types or ()):
            yield Finding("policy-types", title(obj), f"has rules of {key}, and policyTypes does not say {kind}")
    if spec.get("podSelector"):
        yield from _selects_something(obj, spec["podSelector"], pods)


def _selects_something(obj: Obj, selector: object, pods: list[Pod]) -> Iterator[Finding]:
    if not any(selects(selector, pod.labels) for pod in pods):
        yield Finding("selects-nothing", title(obj), f"no pod has the labels of {selector}")


def check_service(obj: Obj, pods: list[Pod]) -> Iterator[Finding]:
    selector = dig(obj, "spec", "selector")
    if obj.get("kind") != "Service" or not selector:
        return
    chosen = [pod for pod in pods if selects({"matchLabels": selector}, pod.labels)]
    if not chosen:
        yield Finding("selects-nothing", title(obj), f"no pod has the labels {selector}")
    for port in items(dig(obj, "spec", "ports")):
        target: Any = port.get("targetPort", port.get("port"))
        for pod in chosen:
            if target not in _ports(pod):
                yield Finding(
                    "service-port", title(obj), f"port {port.get('port')} leads to {target}, which {pod.where} has not"
                )


def _ports(pod: Pod) -> set[object]:
    ports = [port for _, container in pod.containers() for port in items(container.get("ports"))]
    return {port.get("name") for port in ports} | {port.get("containerPort") for port in ports}


def check_twice(manifests: Manifests) -> Iterator[Finding]:
    seen: set[str] = set()
    for obj in manifests.objects:
        if title(obj) in seen:
            yield Finding("defined-twice", title(obj), "is there twice")
        seen.add(title(obj))
