"""EXPORT jobs: files are linked in the server process, a worker adds what needs torch, and the registry is told."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from learnfleet.server.domain import Cause, ExportWork, Job, JobState
from learnfleet.server.errors import FailedPrecondition, Unavailable
from learnfleet.server.failpoints import fp
from learnfleet.server.inference.exports import make_export
from learnfleet.server.names import ModelRef
from learnfleet.server.scheduling.patience import GivenUp, unless
from learnfleet.server.scheduling.services import Services
from learnfleet.server.scheduling.stopped import settle
from learnfleet.server.scheduling.stopping import Stop, StopRequests, heed_wanted
from learnfleet.server.telemetry.log_fields import fields_of, log_fields
from learnfleet.server.tracking.card_facts import facts_of
from learnfleet.server.tracking.registry import ModelRegistry
from learnfleet.server.workers.cluster import RayCluster
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.model_card import OnnxFacts

_PAUSES_S = (1.0, 3.0, 10.0, 30.0)
_CLUSTER_PAUSE_S = 2.0

_log = logging.getLogger(__name__)


@dataclass
class ExportController:
    """Runs one EXPORT job. Every step is safe to repeat."""

    services: Services
    registry: ModelRegistry
    cluster: RayCluster
    job_id: str
    stops: StopRequests = field(default_factory=StopRequests)
    _is_made: bool = False
    _onnx: OnnxFacts | None = None

    def run(self) -> None:
        """Until the job is over or paused, or the server shuts down."""
        job = self.services.store.get_job(self.job_id)
        with log_fields(**fields_of(job)):
            self._run(job)

    def _run(self, job: Job) -> None:
        heed_wanted(job, self.stops)
        if not self.stops.is_asked():
            job = self._started(job)
            if not job.state.final:
                job = self._tried(job)
        stop = self.stops.first
        if stop is not None and not job.state.final:
            settle(self.services, job, stop)
            self.services.notify(job.id)

    def _tried(self, job: Job) -> Job:
        """Export it, again where the registry does not take it; as it is then: over, or asked to stop."""
        for pause_s in (*_PAUSES_S, None):
            try:
                return self._export(job)
            except GivenUp:
                return job
            except (LearnerError, FailedPrecondition) as error:  # the same again would not help
                return self._move(job, JobState.FAILED, str(error), Cause.USER)
            except Exception as error:
                _log.warning("jobs/%s: the export failed", job.id, exc_info=True)
                if pause_s is None:
                    why = f"it could not be made, or the model registry did not take it: {error}"
                    return self._move(job, JobState.FAILED, why, Cause.SERVER)
            if self.stops.wait(pause_s):
                return job
        raise AssertionError("unreachable: the last try decides")

    def _started(self, job: Job) -> Job:
        if job.state.final:
            return job
        learner = self.services.store.get_learner(job.learner_id)
        start = job.start_checkpoint_id or learner.checkpoint_id
        if start is None:
            return self._move(job, JobState.FAILED, f"learners/{learner.id} has not been trained", Cause.USER)
        if job.state in (JobState.QUEUED, JobState.RESTARTING):
            job = self.services.store.transition(
                job.id, JobState.STARTING, "", attempt=job.attempt + 1, start_checkpoint_id=start
            )
        return self._move(job, JobState.RUNNING, "") if job.state is JobState.STARTING else job

    def _export(self, job: Job) -> Job:
        """Raises GivenUp when it is asked to stop: MLflow may take minutes to answer, or not at all."""
        assert isinstance(job.work, ExportWork)
        # A folder an attempt: what an attempt that was not waited for still writes is no concern of the next.
        work, folder = job.work, self.services.config.job_dir(job.learner_id, job.id) / f"export-{job.attempt}"
        if not self._is_made:  # what follows may have to be tried again
            self.registry.expect()
            unless(self.stops.is_asked, lambda: self._write(job, folder))
            self._onnx = self._completed(folder, work)
            self._is_made = True
        fp("export.made")
        version = unless(
            self.stops.is_asked,
            lambda: self.registry.register(job, folder, work),
            unwanted=lambda version: self._take_back(work, version),
        )
        fp("export.registered")
        result = {"model_version": str(ModelRef(work.model_id, version)), "exact": True}
        if self._onnx is not None:
            result["onnx"] = self._onnx.to_json()
        done = self.services.store.transition(job.id, JobState.SUCCEEDED, "", result=result)
        self.services.notify(job.id)
        return done

    def _write(self, job: Job, folder: Path) -> None:
        assert job.start_checkpoint_id is not None
        store = self.services.store
        folder.parent.mkdir(parents=True, exist_ok=True)
        for earlier in folder.parent.glob("export-*"):
            shutil.rmtree(earlier, ignore_errors=True)
        checkpoint = store.get_checkpoint(job.learner_id, job.start_checkpoint_id)
        make_export(checkpoint, folder, store, facts_of(checkpoint, self.services.config, store))

    def _completed(self, folder: Path, work: ExportWork) -> OnnxFacts | None:
        """What a worker adds, which waits for the cluster. Raises LearnerError, GivenUp."""
        while True:
            try:
                return unless(self.stops.is_asked, lambda: self.cluster.complete_export(folder, onnx=work.onnx))
            except Unavailable as error:
                _log.info("jobs/%s waits for the cluster: %s", self.job_id, error)
            if self.stops.wait(_CLUSTER_PAUSE_S):
                raise GivenUp

    def _take_back(self, work: ExportWork, version: str) -> None:
        """A version that came to be after its job was cancelled. Of one that goes on later it is the very version."""
        if self.stops.has(Stop.CANCEL) or self.stops.has(Stop.DEADLINE):
            self.registry.remove(work.model_id, version)

    def _move(self, job: Job, to: JobState, reason: str, cause: Cause | None = None) -> Job:
        moved = self.services.store.transition(job.id, to, reason, cause=cause)
        self.services.notify(job.id)
        return moved
