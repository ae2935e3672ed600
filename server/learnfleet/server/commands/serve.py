"""`learnfleet serve`."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from learnfleet.server.app import DataDirInUse
from learnfleet.server.app import serve as run_server
from learnfleet.server.commands.shares import read_quota, read_weight
from learnfleet.server.config import Config
from learnfleet.server.data.roots import local_path, remote_folder
from learnfleet.server.errors import StoreUnavailable

_PRECISIONS = ("fp32", "bf16", "fp16")
_STORES = ("postgresql://", "sqlite:///")
_SERVER_ID = re.compile(r"[A-Za-z0-9._-]{0,63}")


def serve(
    data_dir: Annotated[Path, typer.Option(help="Store, checkpoints, local MLflow: what must survive.")] = Path(
        ".learnfleet"
    ),
    data_root: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder that clients may name paths beneath, or a URL (s3://bucket/folder) for data sets; repeatable. "
            "Default: the current folder."
        ),
    ] = None,
    listen: Annotated[str, typer.Option(help="host:port; port 0 picks a free one.")] = "127.0.0.1:8470",
    insecure: Annotated[
        bool, typer.Option(help="Listen on other than loopback addresses without TLS or authentication.")
    ] = False,
    port_file: Annotated[Path | None, typer.Option(help="File to write the address to.")] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Ray cluster to join. Default: a local one that ends with the server.")
    ] = None,
    ray_namespace: Annotated[str, typer.Option(help="Ray namespace of the workers.")] = "learnfleet",
    mlflow_uri: Annotated[str | None, typer.Option(help="MLflow tracking URI. Default: in the data directory.")] = None,
    cpu_slots: Annotated[
        int | None, typer.Option(min=1, help="CPU workers the local Ray has room for. Default: the cores.")
    ] = None,
    idle_timeout_s: Annotated[float, typer.Option(min=0, help="How long a learner's workers stay warm.")] = 600.0,
    max_restarts: Annotated[
        int, typer.Option(min=0, help="Restarts of a job after lost workers or faults of the server.")
    ] = 3,
    store: Annotated[
        str | None, typer.Option(help="Database URL, postgresql://... Default: SQLite in the data directory.")
    ] = None,
    server_id: Annotated[str, typer.Option(help="Name among the servers of one database. Default: made up.")] = "",
    lease_s: Annotated[
        float, typer.Option(min=0.5, help="Another server takes over when this one has not shown for so long.")
    ] = 3.0,
    hang_timeout_s: Annotated[
        float, typer.Option(min=1, help="Workers that make no progress for so long are started anew.")
    ] = 300.0,
    min_run_s: Annotated[
        float, typer.Option(min=0, help="A job that has run for less is not made to give way.")
    ] = 30.0,
    preemption: Annotated[bool, typer.Option(help="Jobs of greater priority take the slots of others.")] = True,
    quota: Annotated[
        list[str] | None,
        typer.Option(help="TENANT=CPU_SLOTS or TENANT=CPU_SLOTS:GPU_SLOTS; '*' for all others; repeatable."),
    ] = None,
    weight: Annotated[
        list[str] | None, typer.Option(help="TENANT=WEIGHT in the fair share, 1 where not named; repeatable.")
    ] = None,
    max_queued: Annotated[int, typer.Option(min=1, help="Jobs of one tenant that have not ended.")] = 20_000,
    max_message_mb: Annotated[
        int, typer.Option(min=4, max=1024, help="Greatest message in MiB. Clients of larger ones must be told, too.")
    ] = 32,
    upload_max_bytes: Annotated[int, typer.Option(min=1, help="Greatest upload.")] = 200 * 2**30,
    max_open_uploads: Annotated[int, typer.Option(min=1, help="Uploads of one tenant that are not complete.")] = 100,
    system_metrics_every_s: Annotated[
        float, typer.Option(min=0, help="How often workers measure CPU, memory and GPU; 0: never.")
    ] = 10.0,
    mlflow_checkpoint_max_mb: Annotated[
        float, typer.Option(min=0, help="Larger checkpoints are not sent to MLflow; 0: none is.")
    ] = 2000.0,
    replicas_min: Annotated[
        int, typer.Option(min=0, help="Predicting processes that are kept ready; 0: the first comes when asked.")
    ] = 0,
    replicas_max: Annotated[int, typer.Option(min=1, help="As many come while a queue lasts.")] = 2,
    replica_idle_s: Annotated[
        float, typer.Option(min=1, help="A predicting process with nothing to do for so long ends.")
    ] = 600.0,
    replica_threads: Annotated[int, typer.Option(min=1, help="CPU threads of one forward pass.")] = 1,
    replica_cpus: Annotated[
        float, typer.Option(min=0, help="CPUs that Ray sets aside for each; 0: shared with the jobs.")
    ] = 0.0,
    replica_gpus: Annotated[
        float, typer.Option(min=0, help="GPUs of each, a fraction below 1 shares one; 0: on the CPU.")
    ] = 0.0,
    max_batch: Annotated[int, typer.Option(min=1, help="Pictures that are computed together at most.")] = 32,
    batch_delay_s: Annotated[
        float, typer.Option(min=0, max=10, help="How long a batch waits to be filled while a process is free.")
    ] = 0.0,
    max_waiting: Annotated[int, typer.Option(min=1, help="Pictures that wait for one model.")] = 1024,
    model_cache_mb: Annotated[int, typer.Option(min=1, help="Models in each process's memory.")] = 4096,
    alias_ttl_s: Annotated[float, typer.Option(min=0, help="How long an alias means what it meant.")] = 5.0,
    predict_precision: Annotated[
        str | None, typer.Option(help="fp32, bf16 or fp16. Default: as each model was trained.")
    ] = None,
    predict_channels_last: Annotated[
        bool | None, typer.Option(help="Memory format of predictions. Default: as each model was trained.")
    ] = None,
) -> None:
    """Run a control server until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _check_address(listen, insecure)
    _check_store(store, server_id)
    _check_replicas(replicas_min, replicas_max, replica_gpus, predict_precision)
    _check_workers(ray_address)
    config = Config(
        data_dir=data_dir.resolve(),
        listen=listen,
        data_roots=_roots(data_root or [str(Path.cwd())]),
        ray_address=ray_address,
        ray_namespace=ray_namespace,
        mlflow_uri=mlflow_uri,
        cpu_slots=cpu_slots,
        idle_timeout_s=idle_timeout_s,
        max_restarts=max_restarts,
        store=store,
        server_id=server_id,
        lease_s=lease_s,
        hang_timeout_s=hang_timeout_s,
        min_run_s=min_run_s,
        preemption=preemption,
        quotas=tuple(read_quota(value) for value in quota or ()),
        weights=tuple(read_weight(value) for value in weight or ()),
        max_queued=max_queued,
        max_message_mb=max_message_mb,
        upload_max_bytes=upload_max_bytes,
        max_open_uploads=max_open_uploads,
        system_metrics_every_s=system_metrics_every_s,
        mlflow_checkpoint_max_mb=mlflow_checkpoint_max_mb,
        replicas_min=replicas_min,
        replicas_max=replicas_max,
        replica_idle_s=replica_idle_s,
        replica_threads=replica_threads,
        replica_cpus=replica_cpus,
        replica_gpus=replica_gpus,
        max_batch=max_batch,
        batch_delay_s=batch_delay_s,
        max_waiting=max_waiting,
        model_cache_mb=model_cache_mb,
        alias_ttl_s=alias_ttl_s,
        predict_precision=predict_precision,
        predict_channels_last=predict_channels_last,
    )
    try:
        asyncio.run(run_server(config, port_file))
    except (DataDirInUse, StoreUnavailable, RuntimeError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _roots(given: list[str]) -> tuple[Path | str, ...]:
    try:
        return tuple(root if remote_folder(root) else Path(local_path(root)).resolve() for root in given)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--data-root") from error


def _check_address(listen: str, insecure: bool) -> None:
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdecimal():
        raise typer.BadParameter(f"'{listen}' must be host:port", param_hint="--listen")
    if _is_loopback(host):
        return
    if not insecure:
        why = f"{host} is not a loopback address, and there is neither TLS nor authentication yet; add --insecure"
        raise typer.BadParameter(f"{why} if everyone who can reach it may use it", param_hint="--listen")
    typer.echo(f"warning: {listen} is open to everyone who can reach it: no TLS, no authentication", err=True)


def _check_store(store: str | None, server_id: str) -> None:
    if store is not None and not store.startswith(_STORES):
        raise typer.BadParameter(f"must begin with {' or '.join(_STORES)}", param_hint="--store")
    if not _SERVER_ID.fullmatch(server_id):
        raise typer.BadParameter("must be at most 63 letters, digits, '.', '_' and '-'", param_hint="--server-id")


def _check_replicas(least: int, most: int, gpus: float, precision: str | None) -> None:
    if least > most:
        raise typer.BadParameter(f"must be at most --replicas-max, {most}, not {least}", param_hint="--replicas-min")
    if gpus > 1 and gpus != int(gpus):
        raise typer.BadParameter(
            f"must be a fraction below 1 or a whole number, not {gpus:g}", param_hint="--replica-gpus"
        )
    if precision not in (None, *_PRECISIONS):
        raise typer.BadParameter(f"must be one of {', '.join(_PRECISIONS)}", param_hint="--predict-precision")


def _check_workers(ray_address: str | None) -> None:
    """Look for torch without importing it."""
    if ray_address is None and find_spec("torch") is None:
        why = "is needed where PyTorch is not installed: a Ray of the server's own would have workers that cannot train"
        how = "Name a cluster, or install what workers need: pip install 'learnfleet[worker]'"
        raise typer.BadParameter(f"{why}. {how}", param_hint="--ray-address")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
