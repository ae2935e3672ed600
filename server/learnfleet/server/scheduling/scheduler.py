"""Which job runs when. The queue is the store; this thread only looks at it when something has changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from learnfleet.server.domain import Job, JobBrief, JobKind, Resources, Wanted
from learnfleet.server.draining import DrainTimes
from learnfleet.server.errors import StoreUnavailable, Unavailable
from learnfleet.server.rpc.ports import Demand
from learnfleet.server.scheduling.controller import JobController
from learnfleet.server.scheduling.export import ExportController
from learnfleet.server.scheduling.look import look_at
from learnfleet.server.scheduling.planner import AtWork, Planner
from learnfleet.server.scheduling.policy import is_orphaned, is_waiting, paused_halfway
from learnfleet.server.scheduling.services import Services
from learnfleet.server.scheduling.situation import Verdict, needs_workers
from learnfleet.server.scheduling.stopped import interrupted, settle
from learnfleet.server.scheduling.stopping import Stop, StopRequests, stop_wanted
from learnfleet.server.scheduling.wishes import Deadlines, Wishes
from learnfleet.server.telemetry.job_metrics import Look
from learnfleet.server.tracking.registry import ModelRegistry
from learnfleet.server.workers.cluster import RayCluster

_ABANDON_S = 3.0
_LONG_QUEUE = 500  # each job that joins a shorter one is looked at at once
_LONGEST_PAUSE_S = 1.0
_PAUSE_PER_LOOK = 10.0

_log = logging.getLogger(__name__)


@dataclass
class _Running:
    job: JobBrief
    controller: JobController | ExportController
    thread: Thread
    standing: float  # only jobs of greater priority may take its place
    since_s: float = field(default_factory=time.monotonic)

    def as_at_work(self) -> AtWork:
        return AtWork(self.job, self.since_s, self.standing, self.controller.stops.is_asked())


@dataclass
class Scheduler:
    """Carries out plans: starts jobs, each with a controller thread, and makes others give way."""

    services: Services
    cluster: RayCluster
    registry: ModelRegistry
    idle_check_s: float = 5.0  # how often it looks when nothing tells it to
    deadlines: Deadlines = field(default_factory=Deadlines)
    _running: dict[str, _Running] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._planner = Planner(self.services.config, self.services.store)
        self._changed, self._has_room = Event(), Event()
        self._stopping = Event()
        self._has_adopted, self._in_line = False, 0
        self._lock = Lock()
        self._wishes = Wishes(self.services, self._lock, self._stops, self.deadlines)
        self._thread = Thread(target=self._run, name="scheduler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def abandon(self) -> None:
        """Another server schedules now: let go of all jobs as they are, and write nothing more."""
        self.services.deposed.set()
        self._stopping.set()
        self.services.metrics.jobs.stepped_down()
        self.wake()
        with self._lock:
            running = list(self._running.values())
        for item in running:
            item.controller.stops.ask(Stop.SHUTDOWN)
        until_s = time.monotonic() + _ABANDON_S  # those that take longer can do no harm: the store refuses them
        for item in running:
            item.thread.join(max(0.0, until_s - time.monotonic()))

    def wake(self) -> None:
        """A job is over, or something else has changed that may let others start."""
        self._has_room.set()
        self._changed.set()

    def job_queued(self) -> None:
        """There is one more in line. With many there already this is not looked at each time."""
        self._changed.set()

    def ask(self, job_id: str, wanted: Wanted) -> Job:
        """Write down what somebody wants of a job, and begin to do it if this server schedules.

        Raises NotFound, FailedPrecondition if the job has ended, or is being cancelled and something else is wanted.
        """
        job = self.services.store.set_wanted(job_id, wanted)
        if self._thread.is_alive():
            self._wishes.carry_out(job_id)
            job = self.services.store.get_job(job_id)
        self.wake()
        return job

    def stop(self) -> None:
        """Let running jobs save their state and stop, at most for a while. They go on when a server starts again."""
        times = DrainTimes(self.services.config.drain_s)
        until_s = time.monotonic() + times.jobs_s
        self._stopping.set()
        self.wake()
        with self._lock:
            running = list(self._running.values())
        for item in running:
            item.controller.stops.ask(Stop.SHUTDOWN, within_s=times.workers_s)
        for item in running:
            item.thread.join(max(0.0, until_s - time.monotonic()))
        late = [item.job.id for item in running if item.thread.is_alive()]
        if late:
            _log.warning("left as they are, to go on from their newest checkpoints: jobs/%s", ", jobs/".join(late))
        self.cluster.let_nodes_go()

    # -- the thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._changed.clear()
            self._has_room.clear()
            began_s = time.monotonic()
            try:
                self._adopt_groups()
                self._tick()
            except StoreUnavailable as error:
                if not self.services.deposed.is_set():
                    _log.error("the queue cannot be read: %s", error)
            except Unavailable as error:
                _log.error("no job can run: %s", error)
                self._say_to_all(str(error))
            except Exception:
                _log.exception("the scheduler stumbled; it goes on")
            self._has_room.wait(self._pause_after(time.monotonic() - began_s))
            self._changed.wait(self._pause_s())

    def _stops(self) -> dict[str, StopRequests]:
        """What may be asked to stop, by job. Under the lock."""
        return {job_id: item.controller.stops for job_id, item in self._running.items()}

    def _pause_after(self, took_s: float) -> float:
        """How long to leave the processor to others before the next look, unless a job is over."""
        return 0.0 if self._in_line < _LONG_QUEUE else min(_LONGEST_PAUSE_S, took_s * _PAUSE_PER_LOOK)

    def _pause_s(self) -> float:
        """Until the next look, where nothing happens before."""
        next_s = self.deadlines.next_in_s()
        return self.idle_check_s if next_s is None else min(self.idle_check_s, next_s)

    def _adopt_groups(self) -> None:
        """Take over the workers that a server before this one has left. Raises Unavailable; may then be repeated."""
        if self._has_adopted:
            return
        self._wishes.look(self.services.store.unfinished_jobs())  # which need not wait for Ray
        self.cluster.wait()
        for group in self.services.store.list_groups():
            self.services.pool.adopt(group)
        self._has_adopted = True

    def _say_to_all(self, reason: str) -> None:
        try:
            unfinished = self.services.store.unfinished_jobs()
            self._tell_metrics(Look(unfinished))
            waiting = (job for job in unfinished if is_waiting(job, set()))
            self._write_reasons((job, reason) for job in waiting)
        except Exception:
            _log.exception("the reason why no job can run was not written")

    def _write_reasons(self, reasons: Iterable[tuple[JobBrief, str]]) -> None:
        self.services.store.set_reasons({job.id: why for job, why in reasons if why != job.reason})

    def _tick(self) -> None:
        """One look at all jobs. The lock is held for moments: cancelling must not wait for Ray, or for a long queue."""
        self.services.pool.give_up_idle()
        with self._lock:
            controlled = set(self._running)  # before the jobs are read: one that ends in between is not an orphan
        unfinished = self.services.store.unfinished_jobs()
        if self._wishes.look(unfinished):
            unfinished = self.services.store.unfinished_jobs()
        orphans = [job for job in unfinished if is_orphaned(job, controlled)]
        if orphans:
            self._take_up(orphans)
            with self._lock:
                controlled = set(self._running)
            unfinished = self.services.store.unfinished_jobs()  # what was interrupted goes before what was queued
        waiting = [job for job in unfinished if is_waiting(job, controlled)]
        self._carry_out_a_plan(unfinished, waiting, paused_halfway(unfinished))

    def _at_work(self) -> list[AtWork]:
        with self._lock:
            return [item.as_at_work() for item in self._running.values()]

    def _carry_out_a_plan(
        self, unfinished: Sequence[JobBrief], waiting: Sequence[JobBrief], paused: Mapping[str, str]
    ) -> None:
        pool, at_work = self.services.pool, self._at_work()
        self._in_line = len(waiting)
        if not (waiting or at_work):
            self._tell_metrics(Look(unfinished))
            self.cluster.ask_for(Demand())
            return
        capacity = self.cluster.capacity()
        self._planner.count(at_work, pool.held(), capacity)
        verdicts = self._planner.plan(waiting, at_work, pool.held(), capacity, paused)
        for verdict in verdicts:
            if verdict.starts:
                self._begin(verdict)
            for job_id in verdict.preempts:
                self._make_give_way(job_id, verdict.job)
        at_work = self._at_work()
        self._planner.count(at_work, pool.held(), capacity)
        self._tell_metrics(look_at(unfinished, verdicts, pool.held(), capacity))
        self._write_reasons((verdict.job, verdict.waits_for) for verdict in verdicts if not verdict.starts)
        self.cluster.ask_for(self._planner.demand(verdicts, at_work, pool.held(), capacity))

    def _tell_metrics(self, look: Look) -> None:
        if not self.services.deposed.is_set():
            self.services.metrics.jobs.looked(look)

    def preview(self, job: JobBrief) -> Verdict:
        """What would be done about a job if it were queued now. Raises Unavailable while there is no Ray."""
        with self._lock:
            controlled = set(self._running)
        unfinished = self.services.store.unfinished_jobs()
        waiting = [each for each in unfinished if is_waiting(each, controlled)]
        capacity, paused = self.cluster.capacity(), paused_halfway(unfinished)
        return self._planner.preview(job, waiting, self._at_work(), self.services.pool.held(), capacity, paused)

    def _begin(self, verdict: Verdict) -> None:
        job, pool = verdict.job, self.services.pool
        for learner_id in verdict.gives_up:
            pool.give_up(learner_id)
        if needs_workers(job):
            resources = Resources(len(verdict.nodes), job.resources.gpus_per_worker)
            pool.reserve(job.learner_id, resources, verdict.nodes)
        self._planner.began(verdict)
        with self._lock:
            if not self._stopping.is_set():
                self._launch(job, verdict.standing)

    def _make_give_way(self, job_id: str, other: JobBrief) -> None:
        with self._lock:
            running = self._running.get(job_id)
        if running is not None:
            why = f"gave way to jobs/{other.id} (priority {other.priority}); goes on from its last checkpoint"
            _log.info("jobs/%s %s", job_id, why)
            running.controller.stops.ask(Stop.PREEMPT, why)

    def _take_up(self, orphans: Sequence[JobBrief]) -> None:
        """See to jobs at work that nobody controls: a server before this one did, or their controllers stumbled."""
        for job in orphans:
            try:
                with self._lock:
                    self._take_up_one(job)
                self.services.notify(job.id)
                self.wake()
            except Exception:  # one job must not hold up all
                _log.exception("jobs/%s could not be taken up", job.id)

    def _take_up_one(self, brief: JobBrief) -> None:
        store = self.services.store
        job = store.get_job(brief.id)
        if job.state.final or self._stopping.is_set():
            return
        if needs_workers(brief) and self.services.pool.is_warm(job.learner_id):
            self.services.pool.resume(job.learner_id)
            self._launch(brief, brief.priority)
            return
        stop = stop_wanted(job.state, job.wanted)
        if stop is not None:
            settle(self.services, job, stop)
        else:
            interrupted(store, job)

    def _launch(self, job: JobBrief, standing: float) -> None:
        controller: JobController | ExportController
        if job.kind is JobKind.EXPORT:
            controller = ExportController(self.services, self.registry, self.cluster, job.id)
        else:
            controller = JobController(self.services, job.id)
        thread = threading.Thread(target=self._control, args=(job, controller), name=f"job-{job.id}", daemon=True)
        self._running[job.id] = _Running(job, controller, thread, standing)
        thread.start()

    def _control(self, job: JobBrief, controller: JobController | ExportController) -> None:
        """The controller's thread. A job whose controller stumbled is taken up at the scheduler's next look."""
        stumbled = False
        try:
            controller.run()
        except Exception:
            stumbled = True
            if not self.services.deposed.is_set():
                _log.exception("the controller of jobs/%s stumbled", job.id)
        try:
            if needs_workers(job) and not self.services.deposed.is_set():
                self._after(job)
        except Exception:
            _log.exception("the workers of jobs/%s were not given back in order", job.id)
        with self._lock:  # after its workers: the next job on the learner would find them half given back
            self._running.pop(job.id, None)
        self.services.notify(job.id)
        if not stumbled:  # at once it would stumble over the same again
            self.wake()

    def _after(self, job: JobBrief) -> None:
        """Warm workers stay; slots that have none are free."""
        pool = self.services.pool
        if pool.is_warm(job.learner_id):
            pool.release(job.learner_id)
        else:
            pool.give_up(job.learner_id)
