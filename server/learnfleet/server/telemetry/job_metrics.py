"""Jobs on their way from state to state, and the queue as the scheduler last saw it."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from learnfleet.server.domain import Job, JobBrief, JobState

_WAIT_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
_START_S = (0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_RUN_S = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 24 * 3600.0, 72 * 3600.0)


@dataclass(frozen=True)
class Look:
    """What the scheduler saw and said when it last looked at all jobs."""

    unfinished: Sequence[JobBrief]
    holds: Sequence[str] = ()  # of each job that does not start, why
    slots: Mapping[str, int] = field(default_factory=dict)  # that the cluster has, by kind
    slots_at_work: Mapping[str, int] = field(default_factory=dict)


class JobMetrics(Collector):
    """Only the server that schedules has any of it. Counters and times come from the transitions that it writes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        moved = "Transitions of jobs by their kind, the state they came to, and what a failure or restart came from."
        self._moved = Counter("learnfleet_job_transitions", moved, ("kind", "state", "cause"), registry=registry)
        waited = "From a job's submission to its first start."
        self._queue = Histogram("learnfleet_job_queue_seconds", waited, ("kind",), buckets=_WAIT_S, registry=registry)
        started = "From the start of an attempt until its workers run: placing, starting and connecting them."
        self._start = Histogram("learnfleet_job_start_seconds", started, ("kind",), buckets=_START_S, registry=registry)
        ran = "From a job's first run to its end."
        self._run = Histogram("learnfleet_job_run_seconds", ran, ("kind", "state"), buckets=_RUN_S, registry=registry)
        self._look: Look | None = None
        self._counted: list[Metric] = []
        self._looked_at_s = 0.0
        registry.register(self)

    def moved(self, before: Job, after: Job) -> None:
        """A transition was written. From any thread."""
        if before.state is after.state:
            return
        kind, cause = str(after.kind), after.cause
        is_told = after.state in (JobState.FAILED, JobState.RESTARTING, JobState.QUEUED) and cause is not None
        self._moved.labels(kind, str(after.state), str(cause) if is_told else "").inc()
        if after.state is JobState.STARTING and before.attempt == 0:
            self._queue.labels(kind).observe(_between_s(after.created_at.timestamp(), after.updated_at.timestamp()))
        if after.state is JobState.RUNNING and before.state is JobState.STARTING:
            self._start.labels(kind).observe(_between_s(before.updated_at.timestamp(), after.updated_at.timestamp()))
        if after.state.final and after.started_at is not None and after.ended_at is not None:
            ran_s = _between_s(after.started_at.timestamp(), after.ended_at.timestamp())
            self._run.labels(kind, str(after.state)).observe(ran_s)

    def looked(self, look: Look) -> None:
        """The scheduler has looked at all jobs."""
        if not look.slots and self._look is not None:  # nothing waits or works, so that Ray was not asked
            look = replace(look, slots=self._look.slots)
        self._look, self._looked_at_s = look, time.time()

    def stepped_down(self) -> None:
        """Another server schedules: what this one saw is of no more use."""
        self._look = None

    def describe(self) -> Iterator[Metric]:
        return iter(_families())

    def collect(self) -> Iterator[Metric]:
        look = self._look
        jobs, holds, oldest, looked, slots, at_work = families = _families()
        if look is not None:
            for (kind, state), number in sorted(
                Tally((str(job.kind), str(job.state)) for job in look.unfinished).items()
            ):
                jobs.add_metric((kind, state), number)
            for why, number in sorted(Tally(look.holds).items()):
                holds.add_metric((why,), number)
            queued = [job.created_at.timestamp() for job in look.unfinished if job.state is JobState.QUEUED]
            oldest.add_metric((), max(0.0, time.time() - min(queued)) if queued else 0.0)
            looked.add_metric((), self._looked_at_s)
            for kind, number in sorted(look.slots.items()):
                slots.add_metric((kind,), number)
                at_work.add_metric((kind,), look.slots_at_work.get(kind, 0))
        yield from families


def _families() -> tuple[GaugeMetricFamily, ...]:
    return (
        GaugeMetricFamily("learnfleet_jobs", "Jobs that have not ended.", labels=("kind", "state")),
        GaugeMetricFamily("learnfleet_jobs_held", "Jobs that wait, by why they do not start.", labels=("reason",)),
        GaugeMetricFamily("learnfleet_job_oldest_queued_seconds", "Age of the job that is queued for longest."),
        GaugeMetricFamily("learnfleet_scheduler_last_look_timestamp_seconds", "When the queue was last looked at."),
        GaugeMetricFamily("learnfleet_slots", "Slots that the cluster has.", labels=("kind",)),
        GaugeMetricFamily("learnfleet_slots_at_work", "Slots that jobs at work occupy.", labels=("kind",)),
    )


def _between_s(began_s: float, ended_s: float) -> float:
    """Clocks are set back."""
    return max(0.0, ended_s - began_s)
