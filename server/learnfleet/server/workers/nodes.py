"""The machines of a Ray cluster. Runs in the Ray host process."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from learnfleet.server.inference.places import Taken
from learnfleet.server.rpc.ports import Node

NODE_LABEL = "ray.io/node-id"  # Ray gives it to every node by itself


def living_nodes(taken: Sequence[Taken] = ()) -> tuple[Node, ...]:
    """Those that take workers, each with the slots that it has beside what is taken."""
    import ray

    nodes = (_node(entry, taken) for entry in ray.nodes() if entry["Alive"])  # type: ignore[no-untyped-call]
    return tuple(node for node in nodes if any(_all_slots(node)))


def _all_slots(node: Node) -> tuple[int, int]:
    return node.cpu_slots + node.serving_cpu_slots, node.gpu_slots + node.serving_gpu_slots


def _node(entry: Mapping[str, Any], taken: Sequence[Taken]) -> Node:
    resources, here = entry["Resources"], [each for each in taken if each.node == entry["NodeID"]]
    cpus, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    all_cpu, all_gpu = _slots(cpus, gpus)
    cpu, gpu = _slots(cpus - sum(each.cpus for each in here), gpus - sum(each.gpus for each in here))
    return Node(entry["NodeID"], entry["NodeManagerAddress"], cpu, gpu, max(0, all_cpu - cpu), max(0, all_gpu - gpu))


def _slots(cpus: float, gpus: float) -> tuple[int, int]:
    """Each GPU keeps a CPU to itself: jobs on CPUs must not leave GPUs without one."""
    whole_cpus, whole_gpus = _whole(cpus), _whole(gpus)
    gpu_slots = min(whole_cpus, whole_gpus)
    return whole_cpus - gpu_slots, gpu_slots


def _whole(number: float) -> int:
    """Three tenths are not quite three times a tenth."""
    return max(0, math.floor(number + 1e-6))
