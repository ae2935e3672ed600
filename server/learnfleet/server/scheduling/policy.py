"""Who sees to a job, as pure functions."""

from __future__ import annotations

from collections.abc import Iterable

from learnfleet.server.domain import Job, JobBrief, JobKind, JobState


def is_waiting(job: Job | JobBrief, controlled: set[str]) -> bool:
    """Whether a job wants to be started: queued, or left to restart by a server that is gone."""
    return job.id not in controlled and job.state in (JobState.QUEUED, JobState.RESTARTING)


def is_orphaned(job: Job | JobBrief, controlled: set[str]) -> bool:
    """Whether a job is at work by its state, and nobody sees to it."""
    return job.id not in controlled and job.state.at_work


def paused_halfway(unfinished: Iterable[JobBrief]) -> dict[str, str]:
    """Jobs that hold a learner's future, by learner: training that is paused, and will go on from where it was.

    What another job trained meanwhile would be lost when it ends.
    """
    return {
        job.learner_id: job.id
        for job in unfinished
        if job.kind is JobKind.TRAIN and job.state is JobState.PAUSED and job.attempt
    }
