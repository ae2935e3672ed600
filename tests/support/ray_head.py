"""A Ray head node of its own, which outlives servers."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_FAKE_HEAD = "f" * 51 + "00000"  # how the provider knows the head


@dataclass(frozen=True)
class Head:
    """A Ray head node in a process group of its own."""

    address: str
    client_address: str  # for those that run no node of the cluster
    environment: dict[str, str]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(head: psutil.Process) -> None:
    """All that it has started, too: it has sessions of its own."""
    family = [*head.children(recursive=True), head]
    head.terminate()
    _, left = psutil.wait_procs(family, timeout=10)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def ray_head(folder: Path, mode: str = "token") -> Iterator[Head]:
    """A head with two CPUs; `folder` is for its token and log. `mode`: "disabled" for one that lets everybody in."""
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {
        "RAY_AUTH_MODE": mode,
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    port, client_port = _free_port(), _free_port()
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=2"]
    command += ["--node-ip-address=127.0.0.1", f"--port={port}", "--include-dashboard=false"]
    command += [f"--ray-client-server-port={client_port}"]
    command += ["--object-store-memory=100000000"]
    with _started(command, environment, folder / "ray.log"):
        yield Head(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}", environment)


@contextlib.contextmanager
def growing_ray_head(folder: Path, node: Mapping[str, int], most: int) -> Iterator[Head]:
    """A head without slots, whose autoscaler starts up to `most` nodes of these resources when it is asked for them.

    The autoscaler is Ray's own; its provider starts the nodes on this machine.
    """
    token, port, client_port = folder / "token", _free_port(), _free_port()
    token.write_text(secrets.token_hex(32))
    config = folder / "autoscaling.json"
    config.write_text(json.dumps(_autoscaling(f"127.0.0.1:{port}", node, most)))
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": _FAKE_HEAD,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _FAKE_HEAD,
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=0"]
    command += [f"--port={port}", "--include-dashboard=false", f"--autoscaling-config={config}"]
    command += ["--node-ip-address=127.0.0.1", f"--ray-client-server-port={client_port}"]
    command += ["--object-store-memory=100000000"]
    with _started(command, environment, folder / "ray.log"):
        yield Head(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}", environment)


def _autoscaling(address: str, node: Mapping[str, int], most: int) -> dict[str, Any]:
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    worker = {
        "resources": {**node, "object_store_memory": 100_000_000},
        "node_config": {},
        "min_workers": 0,
        "max_workers": most,
    }
    provider = {
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "gcs_address": address,
        "head_node_id": _FAKE_HEAD,
        "launch_multiple": True,
        "disable_node_updaters": True,  # they would install Ray over SSH
    }
    return {
        "cluster_name": "growing",
        "max_workers": most,
        "provider": provider,
        "available_node_types": {"ray.head.default": head, "worker": worker},
        "head_node_type": "ray.head.default",
        "idle_timeout_minutes": 0.1,
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        "initialization_commands": [],
        "setup_commands": [],
        "head_setup_commands": [],
        "worker_setup_commands": [],
        "head_start_ray_commands": [],
        "worker_start_ray_commands": [],
    }


@contextlib.contextmanager
def _started(command: list[str], environment: Mapping[str, str], log_path: Path) -> Iterator[None]:
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield
    finally:
        _end(psutil.Process(process.pid))
        process.wait()
