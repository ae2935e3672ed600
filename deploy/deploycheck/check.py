"""All checks of one install."""

from __future__ import annotations

from deploycheck import image_rules, pod_rules, ray_rules, security_rules, workload_rules
from deploycheck.objects import Finding, Manifests, collect, title
from deploycheck.pods import pods_of
from deploycheck.schemas import check_schema


def check(manifests: Manifests) -> list[Finding]:
    """What is wrong, in the order of the objects."""
    pods = [pod for obj in manifests.objects for pod in pods_of(obj)]
    found = list(workload_rules.check_twice(manifests))
    for obj in manifests.objects:
        found += collect(
            check_schema(obj),
            workload_rules.check_name(obj),
            workload_rules.check_workload(obj),
            workload_rules.check_claim(obj),
            workload_rules.check_budget(obj, pods),
            workload_rules.check_scaler(obj, manifests),
            workload_rules.check_policy(obj, pods),
            workload_rules.check_service(obj, pods),
            ray_rules.check_ray(obj, manifests),
        )
        for pod in pods_of(obj):
            if pod.by_ray:  # as a Pod its templates are looked at more closely than as part of a custom resource
                found += [
                    Finding(each.rule, each.where.replace("Pod/lifted", pod.where), each.message)
                    for each in check_schema(pod.lifted())
                ]
            found += collect(
                pod_rules.check_pod(pod, manifests),
                security_rules.check_security(pod),
                image_rules.check_images(pod, manifests),
            )
    return found


def summary(manifests: Manifests) -> str:
    kinds = sorted(title(each) for each in manifests.objects)
    pods = sum(1 for each in manifests.objects for _ in pods_of(each))
    return f"{len(kinds)} objects, {pods} pod templates"
