"""What people want of jobs, carried out: cancelling, pausing, resuming, and ending at a deadline.

A wish is in the store before anything is done about it, so any server may take it and none can lose it. The server that
schedules looks for wishes itself, beside those that it takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

from learnfleet.server.domain import Job, JobBrief, JobState, Wanted
from learnfleet.server.scheduling.services import Services
from learnfleet.server.scheduling.stopped import settle
from learnfleet.server.scheduling.stopping import Stop, StopRequests, stop_wanted


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Deadlines:
    """When jobs have to be over, by a clock that nobody sets.

    A job's deadline is a time of day, as it has to outlive servers. How long it is until then is asked once a server:
    a clock that jumps afterwards neither ends jobs nor spares them.
    """

    now: Callable[[], datetime] = _utc_now
    clock_s: Callable[[], float] = time.monotonic
    _due_s: dict[str, float] = field(default_factory=dict)

    def passed(self, unfinished: Iterable[JobBrief]) -> list[JobBrief]:
        """Those of all unfinished jobs whose deadline is over."""
        found, due_s, now_s = [], {}, self.clock_s()
        for job in unfinished:
            if job.deadline is None:
                continue
            left_s = (job.deadline - self.now()).total_seconds()
            due_s[job.id] = self._due_s.get(job.id, now_s + left_s)
            if due_s[job.id] <= now_s:
                found.append(job)
        self._due_s = due_s
        return found

    def next_in_s(self) -> float | None:
        """Until the next one, of the jobs that were looked at last; None where there is none."""
        return max(0.0, min(self._due_s.values()) - self.clock_s()) if self._due_s else None


@dataclass
class Wishes:
    """Carries them out on the server that schedules.

    Args:
        lock: held while a job's run is looked for and told, or found not to be there.
        runs: what may be asked to stop, by job.
    """

    services: Services
    lock: Lock
    runs: Callable[[], Mapping[str, StopRequests]]
    deadlines: Deadlines = field(default_factory=Deadlines)

    def look(self, unfinished: Iterable[JobBrief]) -> bool:
        """Do what is wanted of these jobs and not done yet; whether any has changed."""
        unfinished = list(unfinished)
        wanted = [job.id for job in unfinished if _is_open(job)]
        late = [job.id for job in self.deadlines.passed(unfinished)]
        changed = [self.carry_out(job_id) for job_id in wanted]
        changed += [self._stop(job_id, Stop.DEADLINE) for job_id in late]
        return any(changed)

    def carry_out(self, job_id: str) -> bool:
        """Do what is wanted of a job; whether its state has changed by it."""
        job = self.services.store.get_job(job_id)
        stop = stop_wanted(job.state, job.wanted)
        if stop is not None:
            return self._stop(job_id, stop)
        if job.state is JobState.PAUSED and job.wanted is Wanted.RUN:
            self.services.store.transition(job_id, JobState.QUEUED, "resumed; waits for the scheduler")
            self.services.notify(job_id)
            return True
        return False

    def _stop(self, job_id: str, stop: Stop) -> bool:
        with self.lock:
            stops = self.runs().get(job_id)
            if stops is not None:
                stops.ask(stop)
                return False
            job = self.services.store.get_job(job_id)
            if job.state.final or self._is_taken_up(job):
                return False
            settle(self.services, job, stop)
        self.services.notify(job_id)
        return True

    def _is_taken_up(self, job: Job) -> bool:
        """Whether the job has workers whom a run of this server will soon ask to stop."""
        return job.state.at_work and self.services.pool.is_warm(job.learner_id)


def _is_open(job: JobBrief) -> bool:
    """Whether something is wanted of a job that it is not, yet."""
    is_to_resume = job.state is JobState.PAUSED and job.wanted is Wanted.RUN
    return is_to_resume or stop_wanted(job.state, job.wanted) is not None
