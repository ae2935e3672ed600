"""Which job runs when. The queue is the store; this thread only looks at it when something has changed."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from learnfleet.server.domain import Job, JobKind, JobState
from learnfleet.server.errors import FailedPrecondition, Unavailable
from learnfleet.server.rpc.ports import Capacity
from learnfleet.server.scheduling.controller import JobController
from learnfleet.server.scheduling.export import ExportController
from learnfleet.server.scheduling.finish import keep_last_checkpoint
from learnfleet.server.scheduling.policy import Admission, admit, is_waiting, needs_workers
from learnfleet.server.scheduling.services import Services
from learnfleet.server.tracking.registry import ModelRegistry
from learnfleet.server.workers.cluster import RayCluster

_IDLE_CHECK_S = 5.0
_SHUTDOWN_S = 20.0

_log = logging.getLogger(__name__)


@dataclass
class _Running:
    job: Job
    controller: JobController | ExportController
    thread: Thread


@dataclass
class Scheduler:
    """Admits jobs and runs a controller thread for each."""

    services: Services
    cluster: RayCluster
    registry: ModelRegistry
    _running: dict[str, _Running] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._changed = Event()
        self._stopping = Event()
        self._lock = Lock()
        self._thread = Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something has changed: a job was queued or is over."""
        self._changed.set()

    def cancel(self, job_id: str) -> Job:
        """Begin to stop a job. Raises NotFound, FailedPrecondition if it has ended."""
        store = self.services.store
        with self._lock:
            job = store.get_job(job_id)
            if job.state.final:
                name = f"jobs/{job_id}"
                raise FailedPrecondition(name, f"{name} is {job.state.name} already: there is nothing to cancel")
            running = self._running.get(job_id)
            if running is not None:
                running.controller.cancel_requested.set()
            elif job.state is JobState.QUEUED:
                job = store.transition(job_id, JobState.CANCELLED, "cancelled by request")
            else:
                keep_last_checkpoint(store, self.services.config, job)
                store.transition(job_id, JobState.CANCELLING, "")
                job = store.transition(job_id, JobState.CANCELLED, "cancelled by request")
        self.services.notify(job_id)
        self.wake()
        return job

    def stop(self) -> None:
        """Let running jobs save their state and stop, at most for a while. They go on when a server starts again."""
        self._stopping.set()
        self.wake()
        with self._lock:
            running = list(self._running.values())
        for item in running:
            item.controller.shutdown_requested.set()
        for item in running:
            item.thread.join(_SHUTDOWN_S)

    # -- the thread

    def _run(self) -> None:
        try:
            self.cluster.wait()
            self._recover()
        except Unavailable as error:
            _log.error("no job can run: %s", error)
            for job in self.services.store.unfinished_jobs():
                self.services.store.set_reason(job.id, str(error))
            return
        while not self._stopping.is_set():
            self._changed.clear()
            try:
                self._tick()
            except Exception:
                _log.exception("the scheduler stumbled; it goes on")
            self._changed.wait(_IDLE_CHECK_S)

    def _recover(self) -> None:
        """Take up what a server before this one has left: living workers, and jobs in every state."""
        adopted = {group.learner_id for group in self.services.store.list_groups() if self.services.pool.adopt(group)}
        for job in self.services.store.unfinished_jobs():
            if job.state is JobState.QUEUED or job.state is JobState.RESTARTING:
                continue
            if job.learner_id in adopted and needs_workers(job):
                self.services.pool.reserve(job.learner_id, job.resources)
                if job.state is JobState.CANCELLING:
                    self._launch(job, is_cancelled=True)
                else:
                    self._launch(job)
            elif job.state is JobState.CANCELLING:
                keep_last_checkpoint(self.services.store, self.services.config, job)
                self.services.store.transition(job.id, JobState.CANCELLED, "cancelled by request")
            else:
                why = "the server was restarted; goes on from its last checkpoint"
                self.services.store.transition(job.id, JobState.RESTARTING, why)
            self.services.notify(job.id)

    def _tick(self) -> None:
        self.services.pool.give_up_idle()
        with self._lock:
            if self._stopping.is_set():
                return
            unfinished = self.services.store.unfinished_jobs()
            controlled = set(self._running)
            waiting = sorted(
                (job for job in unfinished if is_waiting(job, controlled)),
                key=lambda job: (job.state is JobState.QUEUED, job.created_at),
            )
            if not waiting:
                return
            active = [item.job for item in self._running.values()]
            held = self.services.pool.held()
            for admission in admit(waiting, active, held, self._capacity()):
                self._act(admission)

    def _capacity(self) -> Capacity:
        return self.cluster.capacity()

    def _act(self, admission: Admission) -> None:
        job = admission.job
        if admission.waits_for:
            if admission.waits_for != job.reason:
                self.services.store.set_reason(job.id, admission.waits_for)
            return
        for learner_id in admission.evict:
            self.services.pool.give_up(learner_id)
        if needs_workers(job):
            self.services.pool.reserve(job.learner_id, job.resources)
        self._launch(job)

    def _launch(self, job: Job, *, is_cancelled: bool = False) -> None:
        controller: JobController | ExportController
        if job.kind is JobKind.EXPORT:
            controller = ExportController(self.services, self.registry, job.id, Event(), Event())
        else:
            controller = JobController(self.services, job.id)
        if is_cancelled:
            controller.cancel_requested.set()
        thread = threading.Thread(target=self._control, args=(job, controller), name=f"job-{job.id}", daemon=True)
        self._running[job.id] = _Running(job, controller, thread)
        thread.start()

    def _control(self, job: Job, controller: JobController | ExportController) -> None:
        try:
            controller.run()
        except Exception:
            _log.exception("the controller of jobs/%s stumbled", job.id)
        finally:
            with self._lock:
                self._running.pop(job.id, None)
            if needs_workers(job):
                self._after(job)
            self.services.notify(job.id)
            self.wake()

    def _after(self, job: Job) -> None:
        """Warm workers stay; slots that have none are free."""
        pool = self.services.pool
        if pool.is_warm(job.learner_id):
            pool.release(job.learner_id)
        else:
            pool.give_up(job.learner_id)
