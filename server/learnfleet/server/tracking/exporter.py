"""MLflow as a consumer of the event log: it may be away for an hour, and later has every point once."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread

from learnfleet.server.config import Config
from learnfleet.server.domain import Job, JobState, Json, StoredEvent
from learnfleet.server.errors import NotFound
from learnfleet.server.failpoints import fp
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.backlog import FIRST_PAUSE_S, Backlog
from learnfleet.server.tracking.mlflow_client import Connect, mlflow_client
from learnfleet.server.tracking.points import Seen, epoch_table, metrics_of
from learnfleet.server.tracking.runs import STATUS, Runs, end_ms
from learnfleet.server.tracking.sending import RunWriter, refusal
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE

CONSUMER = "mlflow"
_EVERY_JOB = 1_000_000
_PAGE = 500
_SCAN_S = 60.0  # a look at all jobs, for what nobody told of
_GATHER_S = 0.5  # a batch of events, not each by itself
_OUTAGE_S = 5.0

_log = logging.getLogger(__name__)


class MlflowExporter:
    """A thread that brings MLflow up to date. Nothing waits for it."""

    def __init__(
        self,
        config: Config,
        store: Store,
        connect: Connect = mlflow_client,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._store, self._connect, self._clock_s = config, store, connect, clock_s
        self._runs = Runs(config, store, connect)
        self._backlog = Backlog()
        self._seen: dict[str, Seen] = {}
        self._writers: dict[str, RunWriter | None] = {}  # None: a job that can have no run
        self._told, self._told_lock = set[str](), Lock()
        self._next_scan_s = self._next_try_s = 0.0
        self._is_away = False
        self._changed, self._stopping, self._abandoned = Event(), Event(), Event()
        self._thread = Thread(target=self._run, name="mlflow-exporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self, job_id: str) -> None:
        """The job may have new events."""
        with self._told_lock:
            self._told.add(job_id)
        self._changed.set()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Export what there is, at most for a while; the rest is exported when a server starts again."""
        self._stopping.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def abandon(self) -> None:
        """Another server exports now: send nothing more."""
        self._abandoned.set()
        self._stopping.set()
        self._changed.set()

    def _run(self) -> None:
        while not self._abandoned.is_set():
            is_last = self._stopping.is_set() and not self._abandoned.is_set()
            self._changed.clear()
            pause_s = self._step_safely(is_last)
            if is_last:
                return
            self._changed.wait(pause_s)
            self._stopping.wait(_GATHER_S)

    def _step_safely(self, is_last: bool) -> float:
        try:
            return self.step(is_last=is_last)
        except Exception:
            _log.warning("MLflow is not brought up to date; trying again in %.0f s", _OUTAGE_S, exc_info=True)
            return _OUTAGE_S

    def step(self, *, is_last: bool = False) -> float:
        """Export all that is due (at the last step: all there is); the seconds until more is. Safe to repeat."""
        now_s = self._clock_s()
        self._find_work(now_s, everything=is_last)
        if now_s >= self._next_try_s or is_last:
            self._export_due(math.inf if is_last else now_s)
        now_s = self._clock_s()
        return max(min(self._backlog.wait_s(now_s), self._next_scan_s - now_s), self._next_try_s - now_s, 0.0)

    def _find_work(self, now_s: float, *, everything: bool) -> None:
        with self._told_lock:
            told, self._told = self._told, set()
        self._backlog.add(sorted(told))
        if now_s >= self._next_scan_s or everything:
            self._backlog.add(self._store.jobs_behind(CONSUMER, _EVERY_JOB))
            self._next_scan_s = now_s + _SCAN_S

    def _export_due(self, until_s: float) -> None:
        """A page of each job in turn, so that a long log does not keep the others back."""
        waiting = self._backlog.due(until_s)
        while waiting:
            again = []
            for job_id in waiting:
                try:
                    if self._export(job_id):
                        again.append(job_id)
                    else:
                        self._backlog.done(job_id)
                except Exception as error:
                    if self._abandoned.is_set() or self._has_gone():
                        return
                    self._put_off(job_id, error)
            waiting = again

    def _put_off(self, job_id: str, error: Exception) -> None:
        pause_s = self._backlog.failed(job_id, self._clock_s())
        is_first = pause_s == FIRST_PAUSE_S
        told = "jobs/%s: MLflow did not take its events; trying again in %.1f s: %s"
        _log.warning(told, job_id, pause_s, error, exc_info=is_first)

    def _has_gone(self) -> bool:
        """Whether MLflow answers nobody: then nothing is said against the job."""
        try:
            self._connect(self._config).search_experiments(max_results=1)
        except Exception as error:
            self._next_try_s = self._clock_s() + _OUTAGE_S
            if not self._is_away:
                _log.warning("MLflow cannot be reached; %d jobs wait for it: %s", len(self._backlog), error)
            self._is_away = True
        else:
            self._is_away = False
        return self._is_away

    def _export(self, job_id: str) -> bool:
        """Send the next page of the job's events; False if there was none."""
        known = self._seen.get(job_id)
        cursor = self._store.cursor(CONSUMER, job_id) if known is None else known.sequence
        events = self._store.read_events(job_id, cursor, _PAGE)
        if not events:
            return False
        before = known or self._seen_up_to(job_id, cursor)
        seen = before.after(events)
        job = self._store.get_job(job_id)
        writer = None if _only_waits(job, events) else self._writer(job)
        if writer is not None:
            writer.metrics(metrics_of(events, before))
            self._send_files(writer, events, seen)
            if _is_end(job, seen):
                self._send_end(writer, job, seen)
            writer.note()
        if _is_end(job, seen):
            refusal(partial(self._runs.end_learner, job.learner_id))  # a run that is deleted has no end
        fp("mlflow.sent")
        self._store.advance_cursor(CONSUMER, job_id, seen.sequence)
        self._seen[job_id] = seen
        if _is_end(job, seen):
            self._writers.pop(job_id, None)
            del self._seen[job_id]
        return True

    def _seen_up_to(self, job_id: str, sequence: int) -> Seen:
        """Read again what was sent before the server was started."""
        seen = Seen()
        while left := sequence - seen.sequence:
            seen = seen.after(self._store.read_events(job_id, seen.sequence, min(left, _PAGE)))
        return seen

    def _writer(self, job: Job) -> RunWriter | None:
        if job.id not in self._writers:
            run_ids: list[str] = []
            why = refusal(lambda: run_ids.append(self._runs.of_job(job)))
            if why:
                _log.warning("jobs/%s: MLflow makes no run for it, so that it is left behind: %s", job.id, why)
            client = self._connect(self._config)
            self._writers[job.id] = RunWriter(client, run_ids[0], f"jobs/{job.id}") if run_ids else None
        return self._writers[job.id]

    def _send_files(self, writer: RunWriter, events: Sequence[StoredEvent], seen: Seen) -> None:
        for stored in events:
            self._send_picture(writer, stored)
        if any(stored.event.kind == "epoch" for stored in events):
            self._send_table(writer, seen.rows)

    def _send_picture(self, writer: RunWriter, stored: StoredEvent) -> None:
        if stored.event.kind != "picture":
            return
        path = Path(stored.event.data["path"])
        what = f"picture {path.name}"
        if path.is_file() and self._config.data_dir.resolve() in path.resolve().parents:
            writer.attempt(what, partial(writer.client.log_artifact, writer.run_id, str(path), "pictures"))
        else:
            writer.leave(what, "the file is not there")

    def _send_table(self, writer: RunWriter, rows: Sequence[Json]) -> None:
        texts = {"epochs.csv": epoch_table(rows), "epochs.json": json.dumps(rows, indent=1)}
        for name, text in texts.items():
            writer.attempt(name, partial(writer.client.log_text, writer.run_id, text, name))

    def _send_end(self, writer: RunWriter, job: Job, seen: Seen) -> None:
        client, run_id, result = writer.client, writer.run_id, job.result or {}
        checkpoint_id = result.get("checkpoint_id")
        if checkpoint_id is not None:
            self._send_checkpoint(writer, job.learner_id, checkpoint_id)
        interpretation = self._config.job_dir(job.learner_id, job.id) / INTERPRETATION_DIR / INTERPRETATION_FILE
        if interpretation.exists():
            path = str(interpretation)
            writer.attempt("interpretation", partial(client.log_artifact, run_id, path, INTERPRETATION_DIR))
        tags = {"learnfleet.reason": job.reason}
        if result.get("model_version"):
            tags["learnfleet.model_version"] = result["model_version"]
        for key, value in tags.items():
            writer.attempt(f"tag {key}", partial(client.set_tag, run_id, key, value))
        ended = (STATUS[job.state], max(end_ms(job), seen.time_ms))
        writer.attempt("end", partial(client.set_terminated, run_id, *ended))

    def _send_checkpoint(self, writer: RunWriter, learner_id: str, checkpoint_id: str) -> None:
        try:
            path = self._store.get_checkpoint(learner_id, checkpoint_id).path
        except NotFound:
            path = ""
        if path and Path(path).is_dir():
            writer.attempt("checkpoint", partial(writer.client.log_artifacts, writer.run_id, path, "checkpoint"))
        else:
            writer.leave("checkpoint", f"{checkpoint_id} is not there")


def _is_end(job: Job, seen: Seen) -> bool:
    return job.state.final and seen.sequence >= job.last_sequence


def _only_waits(job: Job, events: Sequence[StoredEvent]) -> bool:
    """Whether the job has no run yet, and needs none: thousands may wait for their turn."""
    is_quiet = all(stored.event.kind == "state" for stored in events)
    return job.state is JobState.QUEUED and job.tracking is None and is_quiet
