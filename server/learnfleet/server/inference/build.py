"""The engine of a control server, put together from its settings."""

from __future__ import annotations

from pathlib import Path

from learnfleet.server.config import Config
from learnfleet.server.inference.engine import Engine, EngineSettings
from learnfleet.server.inference.exports import LearnerExports
from learnfleet.server.inference.newcomers import Newcomers
from learnfleet.server.inference.plan import ReplicaPlan, ReplicaSettings
from learnfleet.server.inference.references import References, Target
from learnfleet.server.inference.scaler import ScaleSettings
from learnfleet.server.store.base import Store
from learnfleet.server.telemetry.prediction_traces import PredictionTraces
from learnfleet.server.telemetry.telemetry import Telemetry, log_settings
from learnfleet.server.tracking.registry import ModelRegistry
from learnfleet.server.workers.cluster import RayCluster

_MB = 2**20


class RayStarter:
    """Replicas on the server's Ray cluster. A `Starter` (fleet.py)."""

    def __init__(self, config: Config, cluster: RayCluster) -> None:
        self._config, self._cluster = config, cluster

    def start(self, replica_id: str, token: str) -> str:
        config = self._config
        plan = ReplicaPlan(
            replica_id,
            ReplicaSettings(token, config.replica_threads, on_gpu=config.replica_gpus > 0, logs=log_settings(config)),
            self._cluster.socket(f"replica-{replica_id}"),
            config.replica_cpus,
            config.replica_gpus,
        )
        return self._cluster.start_replica(plan)

    def end(self, replica_id: str) -> None:
        self._cluster.end_replica(replica_id)
        socket = self._cluster.socket(f"replica-{replica_id}")
        if socket:
            Path(socket).unlink(missing_ok=True)


def build_references(config: Config, store: Store) -> References:
    """What models are called, in the registry and the store."""

    def target(name: str, folder: str) -> Target:
        return Target(name, folder, config.predict_precision, config.predict_channels_last)

    return References(ModelRegistry(config, store), LearnerExports(config, store), target, config.alias_ttl_s)


def build_engine(config: Config, references: References, cluster: RayCluster, telemetry: Telemetry) -> Engine:
    scale = ScaleSettings(config.replicas_min, config.replicas_max, idle_s=config.replica_idle_s)
    settings = EngineSettings(
        scale, config.max_batch, config.batch_delay_s, config.max_waiting, config.model_cache_mb * _MB
    )
    return Engine(
        references,
        RayStarter(config, cluster),
        settings,
        metrics=telemetry.metrics.inference,
        traces=PredictionTraces(telemetry.tracing),
    )


def build_newcomers(config: Config, references: References, engine: Engine) -> Newcomers:
    return Newcomers(references, engine, starts_replicas=not (config.replica_cpus or config.replica_gpus))
