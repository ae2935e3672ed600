"""The control server, put together. Nothing heavy is imported before it listens."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import gc
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import make_url

from learnfleet.server.config import Config
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.errors import WorkersStarting
from learnfleet.server.installed import installed_version
from learnfleet.server.names import new_id
from learnfleet.server.rpc.hub import EventHub
from learnfleet.server.rpc.server import RpcServer, build_server
from learnfleet.server.runtime import ServerRuntime
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.workers.catalog import WorkerCatalog

_GRACE_S = 5.0
# While the scheduler plans a long queue, each time that a call gives up the interpreter (a read of the store, a look at
# a folder: dozens of times) it waits for so long to have it back. With Python's 5 ms a submit took a third of a second.
_SWITCH_S = 0.0001

_log = logging.getLogger(__name__)


class DataDirInUse(RuntimeError):
    """Another server works in the data directory."""


async def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT, then stop in order.

    Raises DataDirInUse, StoreUnavailable, RuntimeError for an address in use.
    """
    tune_interpreter()
    config.data_dir.mkdir(parents=True, exist_ok=True)
    config = dataclasses.replace(config, server_id=config.server_id or new_id())
    with contextlib.ExitStack() as held:
        if config.is_alone:
            held.enter_context(_alone_in(config.data_dir))
        store = SqlStore(config.store_url, server_id=config.server_id)
        loop, hub = asyncio.get_running_loop(), EventHub()
        runtime = ServerRuntime(config, store, _notifier(loop, hub))
        catalog = WorkerCatalog(runtime.cluster, config.data_dir)
        rpc = build_server(
            config, store, runtime, catalog, hub, DataRoots(config.data_roots, config.data_dir), runtime.inference
        )
        await rpc.grpc.start()
        await rpc.set_serving(True)
        _announce(config, rpc, runtime)
        stop = _on_signals(loop)
        runtime.start()
        if config.replicas_min:
            runtime.inference.start()
        rpc.library.start()
        warm_up = asyncio.create_task(_warm_up(catalog))
        await stop.wait()
        print("stopping: running jobs save their state", flush=True)  # noqa: T201
        warm_up.cancel()
        await rpc.set_serving(False)
        hub.close()  # the grace is for calls that end by themselves
        await rpc.grpc.stop(_GRACE_S)
        rpc.library.close()
        await runtime.inference.close()
        await asyncio.to_thread(runtime.stop)
        store.close()


def tune_interpreter() -> None:
    """Short turns for threads, and a garbage collector that leaves alone what is there for good.

    All modules of a server are some hundred thousand objects. To look at them took 60 ms, in which no call moved.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()


def _notifier(loop: asyncio.AbstractEventLoop, hub: EventHub) -> Callable[[str], None]:
    """Wakes watchers from any thread; after the loop has ended there are none."""

    def notify(job_id: str) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(hub.notify, job_id)

    return notify


def _on_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _warm_up(catalog: WorkerCatalog) -> None:
    """Ask the workers what they can do before the first request has to wait for it."""
    while True:
        try:
            await catalog.architectures()
            await asyncio.to_thread(tune_interpreter)  # again: Ray has been imported
        except WorkersStarting:
            continue
        except Exception:
            _log.exception("the workers could not be asked what they can do")
        return


def _announce(config: Config, rpc: RpcServer, runtime: ServerRuntime) -> None:
    address = f"{config.listen.rsplit(':', 1)[0]}:{rpc.port}"
    roots = ", ".join(str(root) for root in config.data_roots) or "none"
    lines = [
        f"learnfleet {installed_version()} listens on {address}",
        f"data directory {config.data_dir}, data roots {roots}",
        f"Ray {runtime.cluster.describe()}",
        f"MLflow {config.tracking_uri}",
    ]
    if not config.is_alone:
        lines.append(f"server {config.server_id} of those on {make_url(config.store_url).render_as_string()}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    if config.port_file is not None:
        temporary = config.port_file.with_suffix(".tmp")
        temporary.write_text(address)
        temporary.replace(config.port_file)


@contextlib.contextmanager
def _alone_in(data_dir: Path) -> Iterator[None]:
    with (data_dir / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirInUse(f"another server works in {data_dir}; stop it, or choose another --data-dir") from None
        yield
