"""Who sees to a job, as pure functions."""

from __future__ import annotations

from learnfleet.server.domain import Job, JobBrief, JobState


def is_waiting(job: Job | JobBrief, controlled: set[str]) -> bool:
    """Whether a job wants to be started: queued, or left to restart by a server that is gone."""
    return job.id not in controlled and job.state in (JobState.QUEUED, JobState.RESTARTING)


def is_orphaned(job: Job | JobBrief, controlled: set[str]) -> bool:
    """Whether a job is at work by its state, and nobody sees to it."""
    return job.id not in controlled and job.state.at_work
