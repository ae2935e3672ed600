"""The control server's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """Settings of one control server. Every field has a flag of `learnfleet serve` of the same name."""

    data_dir: Path  # store, checkpoints, exports, local MLflow: everything that must survive
    listen: str = "127.0.0.1:8470"  # host:port; port 0 picks a free one
    data_roots: tuple[Path | str, ...] = ()  # folders, here or by URL (s3://...), that clients may name paths beneath
    ray_address: str | None = None  # None: a local Ray that lives and dies with the server
    ray_namespace: str = "learnfleet"
    mlflow_uri: str | None = None  # None: SQLite and artifacts in the data directory
    cpu_slots: int | None = None  # CPU workers the local Ray offers; None: the machine's cores
    idle_timeout_s: float = 600.0  # how long a learner's workers stay warm
    max_restarts: int = 3  # of one job after lost workers and faults of the server, where the job does not say
    store: str | None = None  # database URL, `postgresql://...`; None: SQLite in the data directory
    server_id: str = ""  # names this server among those of one database; "": made up
    lease_s: float = 3.0  # a server that has not shown for so long has lost the scheduling to another
    hang_timeout_s: float = 300.0  # workers that make no progress for so long are started anew
    min_run_s: float = 30.0  # a job that has run for less is not made to give way
    preemption: bool = True  # whether jobs of greater priority take the slots of others
    quotas: tuple[tuple[str, int, int], ...] = ()  # (tenant, most CPU slots, most GPU slots); "*": those not named
    weights: tuple[tuple[str, float], ...] = ()  # (tenant, weight in the fair share), 1 where not named
    max_queued: int = 20_000  # jobs of one tenant that have not ended
    max_message_mb: int = 32  # MiB; one message in either direction
    upload_max_bytes: int = 200 * 2**30  # one upload
    max_open_uploads: int = 100  # of one tenant, that are not complete
    system_metrics_every_s: float = 10.0  # 0: none
    mlflow_checkpoint_max_mb: float = 2000.0  # larger ones are named there and not sent; 0: none is

    replicas_min: int = 0  # processes that predict: those kept ready; 0: the first comes with the first question
    replicas_max: int = 2  # as many come while a queue lasts
    replica_idle_s: float = 600.0  # one that had nothing to do for so long ends, down to `replicas_min`
    replica_threads: int = 1  # of one forward pass
    replica_cpus: float = 0.0  # that Ray sets aside for each; 0: they share the CPUs with the jobs
    replica_gpus: float = 0.0  # a fraction below 1 shares a GPU; 0: they compute on the CPU
    max_batch: int = 32  # pictures that are computed together at most
    batch_delay_s: float = 0.0  # that a batch waits to be filled while a replica is free
    max_waiting: int = 1024  # pictures that wait for one model
    model_cache_mb: int = 4096  # models in each replica's memory; those asked last stay
    alias_ttl_s: float = 5.0  # for so long an alias means what it meant
    predict_precision: str | None = None  # fp32, bf16 or fp16; None: as each model was trained
    predict_channels_last: bool | None = None  # None: as each model was trained

    @property
    def store_url(self) -> str:
        return self.store or f"sqlite:///{self.data_dir / 'learnfleet.db'}"

    @property
    def is_alone(self) -> bool:
        """Whether no other server may work on the store and the data directory."""
        return self.store_url.startswith("sqlite")

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_uri or f"sqlite:///{self.data_dir / 'mlflow' / 'mlflow.db'}"

    @property
    def artifact_root(self) -> Path:
        return self.data_dir / "mlflow" / "artifacts"

    def learner_dir(self, learner_id: str) -> Path:
        return self.data_dir / "learners" / learner_id

    def checkpoint_root(self, learner_id: str) -> Path:
        return self.learner_dir(learner_id) / "checkpoints"

    def job_dir(self, learner_id: str, job_id: str) -> Path:
        """Pictures, event journals, interpretation and export of one job."""
        return self.learner_dir(learner_id) / "jobs" / job_id
