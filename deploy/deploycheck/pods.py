"""The pods that objects stand for, those of Ray's custom resources included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from deploycheck.objects import Obj, dig, items, mapping, name_of, title

_TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
_CLUSTERS = {
    "RayCluster": ("spec",),
    "RayJob": ("spec", "rayClusterSpec"),
    "RayService": ("spec", "rayClusterConfig"),
}
RAY_KINDS = frozenset(_CLUSTERS)


@dataclass(frozen=True)
class Pod:
    """A pod template and where it stands."""

    where: str
    metadata: Obj
    spec: Obj
    claims: tuple[str, ...] = ()  # volumes that a StatefulSet makes for it
    by_ray: bool = False  # made by KubeRay, which adds labels, ports and an init container

    @property
    def labels(self) -> Obj:
        return mapping(self.metadata.get("labels"))

    def containers(self) -> Iterator[tuple[str, Obj]]:
        for key in ("initContainers", "containers"):
            for number, container in enumerate(items(self.spec.get(key))):
                yield f"{self.where}.spec.{key}[{container.get('name', number)}]", container

    def lifted(self) -> Obj:
        """A Pod object of its own, for the checks that know Pods."""
        metadata = {
            "name": "lifted",
            **{key: self.metadata[key] for key in ("labels", "annotations") if self.metadata.get(key)},
        }
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": self.spec}


def cluster_spec(obj: Obj) -> Obj | None:
    """The specification of the Ray cluster in one of KubeRay's objects."""
    path = _CLUSTERS.get(str(obj.get("kind")))
    found = dig(obj, *path) if path else None
    return found if isinstance(found, dict) else None


def pods_of(obj: Obj) -> Iterator[Pod]:
    kind = str(obj.get("kind"))
    if kind == "Pod":
        yield Pod(title(obj), mapping(obj.get("metadata")), mapping(obj.get("spec")))
    if kind in _TEMPLATES:
        claims = tuple(name_of(each) for each in items(dig(obj, "spec", "volumeClaimTemplates")))
        yield replace(_pod(".".join((title(obj), *_TEMPLATES[kind])), dig(obj, *_TEMPLATES[kind])), claims=claims)
    spec = cluster_spec(obj)
    if spec is not None:
        yield from _ray_pods(title(obj), name_of(obj), spec)
    if kind == "RayJob" and "submitterPodTemplate" in mapping(obj.get("spec")):
        yield _pod(f"{title(obj)}.spec.submitterPodTemplate", dig(obj, "spec", "submitterPodTemplate"))


def _pod(where: str, template: object) -> Pod:
    return Pod(where, mapping(dig(template, "metadata")), mapping(dig(template, "spec")))


def _ray_pods(where: str, cluster: str, spec: Obj) -> Iterator[Pod]:
    groups = [("headGroupSpec", "head", mapping(spec.get("headGroupSpec")))]
    groups += [
        (f"workerGroupSpecs[{each.get('groupName')}]", "worker", each) for each in items(spec.get("workerGroupSpecs"))
    ]
    for path, node_type, group in groups:
        template = mapping(group.get("template"))
        metadata = dict(mapping(template.get("metadata")))
        added = {"ray.io/cluster": cluster, "ray.io/node-type": node_type, "ray.io/is-ray-node": "yes"}
        metadata["labels"] = {**mapping(metadata.get("labels")), **added}
        yield Pod(f"{where}.{path}.template", metadata, mapping(template.get("spec")), by_ray=True)
