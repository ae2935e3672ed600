"""Level `restricted` of Kubernetes' Pod Security Standards, and a rule more: a root that cannot be written to."""

from __future__ import annotations

from collections.abc import Iterator

from deploycheck.objects import Finding, Obj, dig, items, mapping
from deploycheck.pods import Pod

_VOLUMES = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
)
_SECCOMP = ("RuntimeDefault", "Localhost")


def check_security(pod: Pod) -> Iterator[Finding]:
    spec = mapping(pod.spec.get("securityContext"))
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(key):
            yield Finding("restricted", f"{pod.where}.spec", f"{key} is refused")
    for volume in items(pod.spec.get("volumes")):
        for kind in set(volume) - _VOLUMES - {"name"}:
            yield Finding(
                "restricted", f"{pod.where}.spec.volumes[{volume.get('name')}]", f"a {kind} volume is refused"
            )
    for where, container in pod.containers():
        yield from check_container(where, mapping(container.get("securityContext")), spec)
        for port in items(container.get("ports")):
            if port.get("hostPort"):
                yield Finding("restricted", where, "hostPort is refused")


def check_container(where: str, own: Obj, of_pod: Obj) -> Iterator[Finding]:
    def said(*path: str) -> object:
        value = dig(own, *path)
        return dig(of_pod, *path) if value is None else value

    if said("runAsNonRoot") is not True:
        yield Finding("restricted", where, "runAsNonRoot must be true")
    if said("runAsUser") == 0:
        yield Finding("restricted", where, "runAsUser must not be 0")
    if said("seccompProfile", "type") not in _SECCOMP:
        yield Finding("restricted", where, "seccompProfile.type must be RuntimeDefault or Localhost")
    if own.get("allowPrivilegeEscalation") is not False:
        yield Finding("restricted", where, "allowPrivilegeEscalation must be false")
    if own.get("privileged"):
        yield Finding("restricted", where, "privileged is refused")
    if "ALL" not in (dig(own, "capabilities", "drop") or ()):
        yield Finding("restricted", where, "capabilities.drop must have ALL")
    if set(dig(own, "capabilities", "add") or ()) - {"NET_BIND_SERVICE"}:
        yield Finding("restricted", where, "only NET_BIND_SERVICE may be added")
    # Not of the standard, but of this project: what runs cannot change its own code.
    if own.get("readOnlyRootFilesystem") is not True:
        yield Finding("read-only-root", where, "readOnlyRootFilesystem must be true")
