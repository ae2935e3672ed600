"""The control server, put together. Nothing heavy is imported before it listens."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import signal
import sys
import time
from collections.abc import Callable

from sqlalchemy import make_url

from learnfleet.server.access.certificates import ServedCertificate
from learnfleet.server.alone import alone_at
from learnfleet.server.config import Config
from learnfleet.server.data.roots import DataRoots
from learnfleet.server.draining import DrainTimes
from learnfleet.server.errors import WorkersStarting
from learnfleet.server.installed import installed_version
from learnfleet.server.interpreter import tune_interpreter
from learnfleet.server.long_calls import LongCalls
from learnfleet.server.names import new_id
from learnfleet.server.redact import redacted
from learnfleet.server.rpc.hub import EventHub
from learnfleet.server.rpc.server import RpcServer, build_server
from learnfleet.server.runtime import ServerRuntime
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.telemetry.listener import PATH as METRICS_PATH
from learnfleet.server.telemetry.listener import MetricsListener, read_address
from learnfleet.server.telemetry.server_metrics import Figures, LoopFigures, ServerMetrics
from learnfleet.server.telemetry.telemetry import Telemetry, telemetry_of
from learnfleet.server.workers.catalog import WorkerCatalog

_log = logging.getLogger(__name__)


async def serve(config: Config, on_stop: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT, then stop in order, within `config.drain_s` or little more.

    Args:
        on_stop: called as the stop begins.

    Raises InUse, StoreUnavailable, RuntimeError for an address in use.
    """
    loop = asyncio.get_running_loop()
    stop = _on_signals(loop)  # before anything is begun that would have to be ended in order
    tune_interpreter()
    config.data_dir.mkdir(parents=True, exist_ok=True)
    config = dataclasses.replace(config, server_id=config.server_id or new_id())
    with contextlib.ExitStack() as held:
        if config.is_alone:
            held.enter_context(alone_at(config))
        telemetry = telemetry_of(config)
        held.callback(telemetry.close)
        store = SqlStore(config.store_url, server_id=config.server_id, moved=telemetry.job_moved)
        hub = EventHub()
        runtime = ServerRuntime(config, store, _notifier(loop, hub), telemetry=telemetry)
        catalog = WorkerCatalog(runtime.cluster, config.data_dir)
        roots = DataRoots(config.data_roots, config.data_dir)
        rpc = build_server(config, store, runtime, catalog, hub, roots, runtime.inference, runtime.news, telemetry)
        listener = _listen_for_metrics(config, telemetry, loop, hub, runtime, rpc.certificate)
        if listener is not None:
            held.callback(listener.stop)
        await rpc.start()
        await rpc.set_serving(True)
        _announce(config, rpc, runtime, listener)
        runtime.start()
        runtime.inference.start()
        rpc.library.start()
        warm_up = asyncio.create_task(_warm_up(catalog))
        await stop.wait()
        on_stop()
        warm_up.cancel()
        await _drain(config, rpc, runtime, hub)
        store.close()


async def _drain(config: Config, rpc: RpcServer, runtime: ServerRuntime, hub: EventHub) -> None:
    """Take on nothing new, bring what there is to a good end, and say what was not.

    Callers are answered while jobs save. Streams of a job's events end after that, with the place to go on from: they
    have told what became of it.
    """
    began_s, times, stopping = time.monotonic(), DrainTimes(config.drain_s), LongCalls("stop", 1)
    _say("stopping: running jobs save their state")
    await rpc.set_serving(False)
    rpc.admission.close()
    rpc.library.close()
    try:
        await stopping.run(runtime.lay_down)
    except Exception:  # the store may be away: the rest is ended in order all the same
        _log.exception("what this server leads was not brought to an end in order; jobs go on from their checkpoints")
    await rpc.admission.idle(times.calls_s / 2)
    hub.close()
    await rpc.stop(times.calls_s / 2)
    await runtime.inference.close()
    await stopping.run(runtime.leave)
    cut_off = f"; {rpc.admission.cut_off} calls were cut off" if rpc.admission.cut_off else ""
    _say(f"stopped in order, after {time.monotonic() - began_s:.1f} s{cut_off}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


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


def _protection(config: Config) -> str:
    mutual = " and certificates of clients" if config.tls_client_ca is not None else ""
    tls = f"with TLS{mutual}" if config.has_tls else "without TLS"
    return f"{tls}, {'for those who are known' if config.has_authentication else 'for everyone who can reach it'}"


def _listen_for_metrics(
    config: Config,
    telemetry: Telemetry,
    loop: asyncio.AbstractEventLoop,
    hub: EventHub,
    runtime: ServerRuntime,
    certificate: ServedCertificate | None,
) -> MetricsListener | None:
    """Raises RuntimeError for an address in use."""
    if config.metrics_listen is None:
        return None

    def on_loop() -> LoopFigures:
        engine = runtime.inference.figures()
        return LoopFigures(
            hub.open,
            len(hub.watched()),
            engine.replicas,
            engine.starting,
            engine.busy,
            engine.waiting_items,
            engine.models,
            engine.model_bytes,
        )

    def off_loop() -> Figures:
        ends_at = None if certificate is None else certificate.ends_at()
        return dataclasses.replace(runtime.figures(), certificate_ends_at=ends_at)

    registry = telemetry.metrics.registry
    ServerMetrics(registry, loop, on_loop, off_loop)
    listener = MetricsListener(registry, read_address(config.metrics_listen))
    listener.start()
    return listener


def _announce(config: Config, rpc: RpcServer, runtime: ServerRuntime, listener: MetricsListener | None) -> None:
    address = f"{config.listen.rsplit(':', 1)[0]}:{rpc.port}"
    roots = ", ".join(str(root) for root in config.data_roots) or "none"
    lines = [
        f"learnfleet {installed_version()} listens on {address}, {_protection(config)}",
        f"data directory {config.data_dir}, data roots {roots}",
        f"Ray {runtime.cluster.describe()}",
        f"MLflow {config.tracking_uri}",
    ]
    if not config.is_alone:
        lines.append(f"server {config.server_id} of those on {make_url(config.store_url).render_as_string()}")
    if listener is not None:
        lines.append(f"metrics at http://{listener.address}{METRICS_PATH}")
    _say(redacted("\n".join(lines)))
    if config.port_file is not None:
        temporary = config.port_file.with_suffix(".tmp")
        temporary.write_text(address)
        temporary.replace(config.port_file)
