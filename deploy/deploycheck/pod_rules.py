"""What an API server refuses in a pod though its schema admits it, and what would leave it unready for ever."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from deploycheck.objects import Finding, Manifests, Obj, dig, items, mapping
from deploycheck.pods import Pod
from deploycheck.quantities import quantity

_HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
# Those that must be asked for in whole, with equal request and limit.
_WHOLE = ("nvidia.com/", "amd.com/", "hugepages-")


def check_pod(pod: Pod, manifests: Manifests) -> Iterator[Finding]:
    volumes = {str(each.get("name")) for each in items(pod.spec.get("volumes"))} | set(pod.claims)
    yield from _volumes(pod, manifests)
    if not list(pod.containers()):
        yield Finding("no-container", pod.where, "a pod needs a container")
    for where, container in pod.containers():
        yield from _resources(where, mapping(container.get("resources")))
        yield from _mounts(where, container, volumes)
        yield from _probes(where, container)
        yield from _environment(where, container, manifests)
    account = pod.spec.get("serviceAccountName")
    if account and account != "default" and account not in manifests.names("ServiceAccount"):
        yield Finding("no-such-account", pod.where, f"there is no ServiceAccount {account}")


def _resources(where: str, resources: Obj) -> Iterator[Finding]:
    said: dict[str, dict[str, Decimal]] = {"requests": {}, "limits": {}}
    for kind, values in said.items():
        for name, text in mapping(resources.get(kind)).items():
            try:
                values[name] = quantity(text)
            except ValueError as error:
                yield Finding("quantity", f"{where}.resources.{kind}.{name}", str(error))
    for name, request in said["requests"].items():
        limit = said["limits"].get(name)
        if name.startswith(_WHOLE) and request != limit:
            yield Finding("whole-resource", f"{where}.resources", f"{name}: request {request} must equal limit {limit}")
        elif limit is not None and request > limit:
            yield Finding(
                "request-over-limit", f"{where}.resources", f"{name}: request {request} is above limit {limit}"
            )
    for name in ("cpu", "memory"):
        if name not in mapping(resources.get("requests")):
            yield Finding("no-request", f"{where}.resources", f"requests no {name}: the scheduler takes it for nothing")
    if "memory" not in mapping(resources.get("limits")):
        yield Finding(
            "no-limit", f"{where}.resources", "has no limit of memory: one leak takes the node's other pods along"
        )


def _mounts(where: str, container: Obj, volumes: set[str]) -> Iterator[Finding]:
    seen: set[str] = set()
    for mount in items(container.get("volumeMounts")):
        name, path = str(mount.get("name")), str(mount.get("mountPath"))
        if name not in volumes:
            yield Finding("mount-without-volume", f"{where}.volumeMounts", f"{name} is no volume of the pod")
        if path in seen:
            yield Finding("mount-twice", f"{where}.volumeMounts", f"two volumes are mounted at {path}")
        seen.add(path)


def _volumes(pod: Pod, manifests: Manifests) -> Iterator[Finding]:
    for volume in items(pod.spec.get("volumes")):
        where = f"{pod.where}.spec.volumes[{volume.get('name')}]"
        claim = dig(volume, "persistentVolumeClaim", "claimName")
        if claim and claim not in manifests.names("PersistentVolumeClaim"):
            yield Finding("no-such-claim", where, f"there is no PersistentVolumeClaim {claim}")
        yield from _named(where, dig(volume, "configMap"), "name", "ConfigMap", manifests)
        yield from _named(where, dig(volume, "secret"), "secretName", "Secret", manifests)
        size = dig(volume, "emptyDir", "sizeLimit")
        if size is not None:
            try:
                quantity(size)
            except ValueError as error:
                yield Finding("quantity", where, str(error))


def _environment(where: str, container: Obj, manifests: Manifests) -> Iterator[Finding]:
    for each in items(container.get("env")):
        place, source = f"{where}.env[{each.get('name')}]", each.get("valueFrom")
        if source is not None and "value" in each:
            yield Finding("value-twice", place, "has both value and valueFrom")
        yield from _named(place, dig(source, "configMapKeyRef"), "name", "ConfigMap", manifests)
        yield from _named(place, dig(source, "secretKeyRef"), "name", "Secret", manifests)
    for each in items(container.get("envFrom")):
        yield from _named(f"{where}.envFrom", dig(each, "configMapRef"), "name", "ConfigMap", manifests)
        yield from _named(f"{where}.envFrom", dig(each, "secretRef"), "name", "Secret", manifests)


def _named(where: str, reference: object, key: str, kind: str, manifests: Manifests) -> Iterator[Finding]:
    found = mapping(reference)
    if not found or found.get("optional"):
        return
    name = found.get(key)
    if name not in manifests.names(kind) and not (kind == "Secret" and name in manifests.secrets):
        yield Finding(f"no-such-{kind.lower()}", where, f"there is no {kind} {name}")


def _probes(where: str, container: Obj) -> Iterator[Finding]:
    ports = items(container.get("ports"))
    names, numbers = {each.get("name") for each in ports}, {each.get("containerPort") for each in ports}
    for probe in _PROBES:
        spec = mapping(container.get(probe))
        if not spec:
            continue
        handlers = [each for each in _HANDLERS if each in spec]
        if len(handlers) != 1:
            told = " and ".join(handlers) or "none"
            yield Finding("probe-handlers", f"{where}.{probe}", f"needs one handler, has {told}")
        for handler in handlers:
            port = dig(spec, handler, "port")
            if port is not None and port not in names | numbers:
                yield Finding(
                    "probe-port", f"{where}.{probe}", f"{handler} asks port {port}, which the container does not have"
                )
        if probe != "readinessProbe" and spec.get("successThreshold", 1) != 1:
            yield Finding("probe-threshold", f"{where}.{probe}", "successThreshold must be 1")
