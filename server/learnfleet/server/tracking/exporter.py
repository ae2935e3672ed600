"""MLflow as a consumer of the event log: it may be away for an hour, and later has every point once."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from learnfleet.server.config import Config
from learnfleet.server.domain import Job, JobState, StoredEvent
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.mlflow_client import mlflow_client
from learnfleet.server.tracking.runs import Runs
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE

if TYPE_CHECKING:
    from mlflow.entities import Metric

CONSUMER = "mlflow"
_MAX_METRICS = 1000  # MLflow takes no more in one batch
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_STATUS = {JobState.SUCCEEDED: "FINISHED", JobState.FAILED: "FAILED", JobState.CANCELLED: "KILLED"}

_log = logging.getLogger(__name__)


class MlflowExporter:
    """A thread that brings MLflow up to date. Nothing waits for it."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config, self._store, self._runs = config, store, Runs(config, store)
        self._changed, self._stopping = Event(), Event()
        self._thread = Thread(target=self._run, name="mlflow-exporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be new events."""
        self._changed.set()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Export what there is, at most for a while; the rest is exported when a server starts again."""
        self._stopping.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            is_last = self._stopping.is_set()
            self._changed.clear()
            try:
                self.export_all()
                pause_s = _FIRST_PAUSE_S
            except Exception:
                _log.warning("MLflow did not take the events; trying again in %.1f s", pause_s, exc_info=True)
                self._stopping.wait(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            if is_last:
                return
            self._changed.wait(_LONGEST_PAUSE_S)
            self._stopping.wait(_FIRST_PAUSE_S)  # a batch of events, not each by itself

    def export_all(self) -> None:
        """All events of all jobs that MLflow has not seen. Safe to repeat: points carry the time they were made."""
        while behind := self._store.jobs_behind(CONSUMER):
            for job_id in behind:
                self._export(job_id)

    def _export(self, job_id: str) -> None:
        after = self._store.cursor(CONSUMER, job_id)
        events = self._store.read_events(job_id, after)
        job = self._store.get_job(job_id)
        run_id = self._runs.of_job(job)
        client = mlflow_client(self._config)
        metrics = [metric for stored in events for metric in _metrics(stored)]
        for start in range(0, len(metrics), _MAX_METRICS):
            client.log_batch(run_id, metrics=metrics[start : start + _MAX_METRICS])
        for stored in events:
            self._log_picture(run_id, job, stored)
        is_end = job.state.final and bool(events) and events[-1].sequence >= job.last_sequence
        if any(stored.event.kind == "epoch" for stored in events):
            self._log_table(run_id, job_id)
        if is_end:
            self._log_end(run_id, job)
        if events:
            self._store.advance_cursor(CONSUMER, job_id, events[-1].sequence)

    def _log_picture(self, run_id: str, job: Job, stored: StoredEvent) -> None:
        if stored.event.kind != "picture":
            return
        path = Path(stored.event.data["path"])
        if path.is_file() and self._config.data_dir.resolve() in path.resolve().parents:
            mlflow_client(self._config).log_artifact(run_id, str(path), "pictures")
        else:
            _log.warning("jobs/%s: the picture %s is not there", job.id, path)

    def _log_table(self, run_id: str, job_id: str) -> None:
        rows = [stored.event.data for stored in self._all_events(job_id) if stored.event.kind == "epoch"]
        client = mlflow_client(self._config)
        client.log_text(run_id, epoch_table(rows), "epochs.csv")
        client.log_text(run_id, json.dumps(rows, indent=1), "epochs.json")

    def _all_events(self, job_id: str) -> list[StoredEvent]:
        found: list[StoredEvent] = []
        while events := self._store.read_events(job_id, found[-1].sequence if found else 0):
            found += events
        return found

    def _log_end(self, run_id: str, job: Job) -> None:
        client = mlflow_client(self._config)
        result = job.result or {}
        checkpoint_id = result.get("checkpoint_id")
        if checkpoint_id is not None:
            checkpoint = self._store.get_checkpoint(job.learner_id, checkpoint_id)
            client.log_artifacts(run_id, checkpoint.path, "checkpoint")
        interpretation = self._config.job_dir(job.learner_id, job.id) / INTERPRETATION_DIR / INTERPRETATION_FILE
        if interpretation.exists():
            client.log_artifact(run_id, str(interpretation), INTERPRETATION_DIR)
        if result.get("model_version"):
            client.set_tag(run_id, "learnfleet.model_version", result["model_version"])
        client.set_tag(run_id, "learnfleet.reason", job.reason)
        ended = job.ended_at or job.updated_at
        client.set_terminated(run_id, _STATUS[job.state], round(ended.timestamp() * 1000))


def _metrics(stored: StoredEvent) -> list[Metric]:
    """The points of an event, at its step and time."""
    from mlflow.entities import Metric

    event, data = stored.event, stored.event.data
    values: dict[str, Any] = {}
    if event.kind == "batch":
        values = {"batch_loss": data["loss"], "lr": data["lr"], "momentum": data["mom"]}
        values["samples_per_second"] = data["samples_per_s"]
    if event.kind == "epoch":
        values = {"train_loss": data["train_loss"], "valid_loss": data["valid_loss"], **data["metrics"]}
        values["epoch_seconds"] = data["time_s"]
    time_ms = round(event.time.timestamp() * 1000)
    return [Metric(name, value, time_ms, data["step"]) for name, value in values.items() if value is not None]


def epoch_table(rows: Sequence[dict[str, Any]]) -> str:
    """The epochs as CSV, in fastai's columns, over all stages."""
    metrics = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["stage", "epoch", "step", "train_loss", "valid_loss", *metrics, "seconds"])
    for row in rows:
        values = [row["train_loss"], row["valid_loss"], *(row["metrics"].get(name) for name in metrics)]
        numbers = ["#na#" if value is None else f"{value:.6f}" for value in values]
        writer.writerow([row["stage"], row["epoch"], row["step"], *numbers, f"{row['time_s']:.1f}"])
    return out.getvalue()
