"""The Ray cluster: joined as the server would join it, or what a local one would need."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from learnfleet.server.config import Config
from learnfleet.server.doctor.finding import Finding, fail, ok, warn
from learnfleet.server.errors import Unavailable
from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.workers.cluster import RayCluster

_SUBJECT = "ray"
_JOIN_S = 45.0
_WORKERS_NEED = ("torch", "torchvision", "timm", "ray")


def check_ray(config: Config) -> Iterator[Finding]:
    if config.ray_address is None:
        yield from _local(config)
    else:
        yield from _token()
        yield _joined(config)


def _local(config: Config) -> Iterator[Finding]:
    missing = [name for name in _WORKERS_NEED if find_spec(name) is None]
    if missing:
        advice = "pip install 'learnfleet[worker]', or name a cluster by --ray-address"
        yield fail(_SUBJECT, f"a Ray of the server's own needs {', '.join(missing)}", advice)
        return
    cores, slots = os.cpu_count() or 1, config.cpu_slots
    if slots is not None and slots > cores:
        what = f"{slots} CPU workers share {cores} cores"
        yield warn(_SUBJECT, what, f"lower --cpu-slots to {cores}: more of them are slower together")
    else:
        yield ok(_SUBJECT, f"a local one, with {slots or cores} CPU slots, is started with the server")


def _token() -> Iterator[Finding]:
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if os.environ.get("RAY_AUTH_MODE", "token") != "token":
        yield warn(_SUBJECT, "RAY_AUTH_MODE turns authentication off", "leave it at token: Ray runs what it is told")
    elif path is not None and not Path(path).is_file():
        yield fail(_SUBJECT, f"RAY_AUTH_TOKEN_PATH names {path}, which is not there", "put the cluster's token there")


def _joined(config: Config) -> Finding:
    cluster, told = RayCluster(config), list[Capacity | Exception]()

    def ask() -> None:
        try:
            told.append(cluster.capacity())
        except Exception as error:
            told.append(error)

    supervisor = threading.Thread(target=cluster.supervise, name="doctor-ray", daemon=True)
    asking = threading.Thread(target=ask, name="doctor-asks-ray", daemon=True)
    try:
        supervisor.start()
        asking.start()
        asking.join(_JOIN_S)
    finally:
        cluster.close()
    found = told[0] if told else Unavailable(f"it does not answer within {_JOIN_S:g} s")
    advice = (
        "see that its head runs, that its port is open to this machine, and that Ray's version and token are the same"
    )
    if isinstance(found, Exception):
        return fail(_SUBJECT, f"{config.ray_address} cannot be joined: {found}", advice)
    what = (
        f"{config.ray_address} has {len(found.nodes)} nodes, {found.cpu_slots} CPU slots, {found.gpu_slots} GPU slots"
    )
    if not (found.cpu_slots or found.gpu_slots or found.max_cpu_slots or found.max_gpu_slots):
        advice = "nothing runs until nodes join: its autoscaler, if it has one, is asked for them when a job waits"
        return warn(_SUBJECT, what, advice)
    return ok(_SUBJECT, what)
