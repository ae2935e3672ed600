"""Images: said exactly, and of the Ray that is locked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deploycheck.objects import Finding, Manifests
from deploycheck.pods import Pod

_RAY_IN_TAG = re.compile(r"ray(\d+\.\d+\.\d+)")


def check_images(pod: Pod, manifests: Manifests) -> Iterator[Finding]:
    ray = manifests.locked.get("ray")
    for where, container in pod.containers():
        image = str(container.get("image", ""))
        name, _, digest = image.partition("@")
        tag = name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else ""
        if not digest and tag in ("", "latest"):
            yield Finding("image-tag", where, f"image '{image}' needs a tag other than latest, or a digest")
        found = _RAY_IN_TAG.search(tag)
        if found and ray and found[1] != ray:
            yield Finding("image-ray", where, f"image '{image}' says Ray {found[1]}, the lock has {ray}")
        if pod.by_ray and tag and not found:
            yield Finding(
                "image-ray", where, f"the tag of '{image}' must name its Ray, as in 0.1.0-ray{ray or '2.60.0'}-cpu"
            )
