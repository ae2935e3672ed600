"""EXPORT jobs: run in the server process, since they only link files and tell the registry."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from threading import Event

from learnfleet.server.domain import ExportWork, Job, JobState
from learnfleet.server.failpoints import fp
from learnfleet.server.scheduling.services import Services
from learnfleet.server.tracking.registry import ModelRegistry
from learnfleet.server.workers.predictor import make_export

_PAUSES_S = (1.0, 3.0, 10.0, 30.0)

_log = logging.getLogger(__name__)


@dataclass
class ExportController:
    """Runs one EXPORT job. Every step is safe to repeat."""

    services: Services
    registry: ModelRegistry
    job_id: str
    cancel_requested: Event
    shutdown_requested: Event

    def run(self) -> None:
        """Until the job is over, or the server shuts down."""
        job = self._started(self.services.store.get_job(self.job_id))
        for pause_s in (*_PAUSES_S, None):
            if self.cancel_requested.is_set() or job.state.final:
                break
            try:
                self._export(job)
                return
            except Exception as error:
                _log.warning("jobs/%s: the export failed", job.id, exc_info=True)
                if pause_s is None:
                    self._move(job, JobState.FAILED, f"the model registry did not take it: {error}")
                    return
            if self.shutdown_requested.wait(pause_s):
                return
        if not job.state.final:
            self._move(self._move(job, JobState.CANCELLING, ""), JobState.CANCELLED, "cancelled by request")

    def _started(self, job: Job) -> Job:
        if job.state.final:
            return job
        learner = self.services.store.get_learner(job.learner_id)
        start = job.start_checkpoint_id or learner.checkpoint_id
        if start is None:
            return self._move(job, JobState.FAILED, f"learners/{learner.id} has not been trained")
        if job.state in (JobState.QUEUED, JobState.RESTARTING):
            job = self.services.store.transition(
                job.id, JobState.STARTING, "", attempt=job.attempt + 1, start_checkpoint_id=start
            )
        return self._move(job, JobState.RUNNING, "") if job.state is JobState.STARTING else job

    def _export(self, job: Job) -> None:
        assert isinstance(job.work, ExportWork)
        assert job.start_checkpoint_id is not None
        store, config = self.services.store, self.services.config
        checkpoint = store.get_checkpoint(job.learner_id, job.start_checkpoint_id)
        folder = config.job_dir(job.learner_id, job.id) / "export"
        folder.parent.mkdir(parents=True, exist_ok=True)
        make_export(checkpoint, folder, store)
        fp("export.made")
        version = self.registry.register(job, folder, job.work)
        fp("export.registered")
        result = {"model_version": f"models/{job.work.model_id}/versions/{version}", "exact": True}
        store.transition(job.id, JobState.SUCCEEDED, "", result=result)
        self.services.notify(job.id)

    def _move(self, job: Job, to: JobState, reason: str) -> Job:
        moved = self.services.store.transition(job.id, to, reason)
        self.services.notify(job.id)
        return moved
