"""One job's log, page by page, as one run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from learnfleet.server.config import Config
from learnfleet.server.domain import Job, JobState, StoredEvent
from learnfleet.server.errors import NotFound
from learnfleet.server.failpoints import fp
from learnfleet.server.store.base import Store
from learnfleet.server.tracking.job_files import send_files, send_last_files
from learnfleet.server.tracking.mlflow_client import Connect
from learnfleet.server.tracking.params import dataset_input
from learnfleet.server.tracking.points import Seen, end_ms, metrics_of
from learnfleet.server.tracking.runs import STATUS, Runs
from learnfleet.server.tracking.sending import RunWriter, refusal

CONSUMER = "mlflow"
_PAGE = 500

_log = logging.getLogger(__name__)


class JobExport:
    """Sends what is new in a job's log. Remembers of each job that has not ended what the next page needs."""

    def __init__(
        self,
        config: Config,
        store: Store,
        runs: Runs,
        connect: Connect,
        has_checkpoints: Callable[[str], None] = lambda job_id: None,
    ) -> None:
        self._config, self._store, self._runs, self._connect = config, store, runs, connect
        self._has_checkpoints = has_checkpoints
        self._seen: dict[str, Seen] = {}
        self._writers: dict[str, RunWriter | None] = {}  # None: a job that can have no run

    def forget(self) -> None:
        """What the jobs have sent: somebody else may have sent more."""
        self._seen.clear()
        self._writers.clear()

    def export(self, job_id: str) -> float | None:
        """Send the next page of the job's events; None if there was none. Raises NotFound, what MLflow raises."""
        try:
            return 0.0 if self._export(job_id) else None
        except NotFound:
            self._forget(job_id)
            raise

    def _forget(self, job_id: str) -> None:
        self._writers.pop(job_id, None)
        self._seen.pop(job_id, None)

    def _export(self, job_id: str) -> bool:
        known = self._seen.get(job_id)
        cursor = self._store.cursor(CONSUMER, job_id) if known is None else known.sequence
        events = self._store.read_events(job_id, cursor, _PAGE)
        if not events:
            return False
        before = known or self._seen_up_to(job_id, cursor)
        seen = before.after(events)
        job = self._store.get_job(job_id)
        has_ended = job.state.final and seen.sequence >= job.last_sequence
        writer = None if _only_waits(job, events) else self._writer(job)
        if writer is not None:
            self._send(writer, job, events, before, seen)
            if has_ended:
                self._send_end(writer, job, seen)
            writer.note()
        if has_ended:
            self._runs.end_learner(job, seen.rows)
        fp("mlflow.sent")
        self._store.advance_cursor(CONSUMER, job_id, seen.sequence)
        self._seen[job_id] = seen
        if has_ended:
            self._forget(job_id)
        if has_ended or any(stored.event.kind == "checkpoint" for stored in events):
            self._has_checkpoints(job_id)
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

    def _send(self, writer: RunWriter, job: Job, events: Sequence[StoredEvent], before: Seen, seen: Seen) -> None:
        writer.metrics(metrics_of(events, before))
        for stored in events:
            if stored.event.kind == "data":
                data = dataset_input(self._store.get_learner(job.learner_id).spec, stored.event.data)
                writer.attempt("data set", partial(writer.client.log_inputs, writer.run_id, [data]))
        send_files(self._config, writer, events, seen)
        if any(stored.event.kind == "state" for stored in events):
            writer.tag("learnfleet.state", str(job.state))
            writer.tag("learnfleet.reason", job.reason)
            writer.tag("learnfleet.attempt", str(job.attempt))
            if job.cause is not None:
                writer.tag("learnfleet.cause", str(job.cause))
        if not job.state.final:
            writer.status("SCHEDULED" if job.state in _WAITS else "RUNNING")

    def _send_end(self, writer: RunWriter, job: Job, seen: Seen) -> None:
        send_last_files(self._config, writer, job)
        result = job.result or {}
        if result.get("model_version"):
            writer.tag("learnfleet.model_version", result["model_version"])
        ended = (STATUS[job.state], max(end_ms(job), seen.time_ms))
        writer.attempt("end", partial(writer.client.set_terminated, writer.run_id, *ended))


_WAITS = frozenset({JobState.QUEUED, JobState.PAUSED})


def _only_waits(job: Job, events: Sequence[StoredEvent]) -> bool:
    """Whether the job has no run yet, and needs none: thousands may wait for their turn."""
    is_quiet = all(stored.event.kind == "state" for stored in events)
    return job.state in _WAITS and job.tracking is None and is_quiet
