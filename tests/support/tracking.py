"""An exporter between a store and a real MLflow, which steps when a test tells it to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.tracked_jobs import NOW, FaultyMlflow

from learnfleet.server.config import Config
from learnfleet.server.store.base import Store
from learnfleet.server.store.sql import SqlStore
from learnfleet.server.tracking.exporter import MlflowExporter
from learnfleet.server.tracking.mlflow_client import EXPERIMENT

TWO_EPOCHS = [(10, 3.0), (20, 2.999)]  # the points of a job of two epochs


@dataclass
class Tracking:
    """A store, an MLflow, and an exporter between them that steps when it is told to."""

    config: Config
    mlflow: FaultyMlflow
    now_s: float = 0.0
    store: Store = field(init=False)
    exporter: MlflowExporter = field(init=False)

    def __post_init__(self) -> None:
        clock = lambda: NOW + timedelta(seconds=self.now_s)  # noqa: E731
        self.store = SqlStore(f"sqlite:///{self.config.data_dir / 'store.db'}", clock)
        self.restart()

    def restart(self) -> None:
        connect: Any = lambda config: self.mlflow  # noqa: E731
        self.exporter = MlflowExporter(self.config, self.store, connect, lambda: self.now_s)

    def step_for(self, seconds: float) -> None:
        """Let time pass, with a step whenever there is something to do."""
        until_s = self.now_s + seconds
        while (next_s := self.now_s + max(self.exporter.step(), 0.01)) <= until_s:
            self.now_s = next_s
        self.now_s = until_s

    def run_of(self, name: str) -> Any:
        experiment = self.mlflow.real.get_experiment_by_name(EXPERIMENT)
        runs = self.mlflow.real.search_runs([experiment.experiment_id]) if experiment else []
        return next((run for run in runs if run.info.run_name == name), None)

    def points(self, job_id: str, metric: str = "valid_loss") -> list[tuple[int, float]]:
        run = self.run_of(f"jobs/{job_id}")
        return [] if run is None else [(p.step, p.value) for p in self.history(job_id, metric)]

    def learner_run(self, learner_id: str) -> tuple[str, float | None]:
        """Its status, and seconds from NOW to its end."""
        info = self.run_of(f"learners/{learner_id}").info
        return info.status, info.end_time and info.end_time / 1000 - NOW.timestamp()

    def artifact(self, job_id: str, name: str) -> str:
        run = self.run_of(f"jobs/{job_id}")
        return Path(self.mlflow.real.download_artifacts(run.info.run_id, name)).read_text()

    def history(self, job_id: str, metric: str) -> list[Any]:
        return list(self.mlflow.real.get_metric_history(self.run_of(f"jobs/{job_id}").info.run_id, metric))
