"""The machines of a Ray cluster. Runs in the Ray host process."""

from __future__ import annotations

from typing import Any

from learnfleet.server.rpc.ports import Node

NODE_LABEL = "ray.io/node-id"  # Ray gives it to every node by itself


def living_nodes() -> tuple[Node, ...]:
    """Those that can take workers."""
    import ray

    nodes = (_node(entry) for entry in ray.nodes() if entry["Alive"])  # type: ignore[no-untyped-call]
    return tuple(node for node in nodes if node.cpu_slots or node.gpu_slots)


def _node(entry: dict[str, Any]) -> Node:
    """Each GPU keeps a CPU to itself: jobs on CPUs must not leave GPUs without one."""
    resources = entry["Resources"]
    cpus = int(resources.get("CPU", 0))
    gpus = min(cpus, int(resources.get("GPU", 0)))
    return Node(entry["NodeID"], entry["NodeManagerAddress"], cpus - gpus, gpus)
