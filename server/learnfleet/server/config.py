"""The control server's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """Settings of one control server. Every field has a flag of `learnfleet serve` of the same name."""

    data_dir: Path  # store, checkpoints, exports, local MLflow: everything that must survive
    listen: str = "127.0.0.1:8470"  # host:port; port 0 picks a free one
    data_roots: tuple[Path, ...] = field(default_factory=tuple)  # folders that clients may name paths beneath
    ray_address: str | None = None  # None: a local Ray that lives and dies with the server
    ray_namespace: str = "learnfleet"
    mlflow_uri: str | None = None  # None: SQLite and artifacts in the data directory
    cpu_slots: int | None = None  # CPU workers the local Ray offers; None: the machine's cores
    idle_timeout_s: float = 600.0  # how long a learner's workers stay warm
    max_restarts: int = 3  # restarts of one job after faults that are not its own

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.data_dir / 'learnfleet.db'}"

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
