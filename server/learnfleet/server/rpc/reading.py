"""What several servicers read of the store, off the event loop."""

from __future__ import annotations

import asyncio
import hashlib

from google.protobuf.message import Message

from learnfleet.server.domain import Job, JobState, Learner, Resources
from learnfleet.server.errors import FailedPrecondition, NotFound
from learnfleet.server.rpc.ports import Runtime
from learnfleet.server.rpc.write_job import job_to_proto, learner_to_proto
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.v1 import job_pb2, learner_pb2

_ACTIVE = tuple(state for state in JobState if not state.final)


def fingerprint(request: Message) -> str:
    """SHA-256 of a request but for its request_id."""
    copy = type(request)()
    copy.CopyFrom(request)
    copy.ClearField("request_id")
    return hashlib.sha256(type(request).__name__.encode() + copy.SerializeToString(deterministic=True)).hexdigest()


async def job_message(store: Store, job: Job) -> job_pb2.Job:
    """A job with the checkpoint that its result names."""
    checkpoint_id = (job.result or {}).get("checkpoint_id")
    if checkpoint_id is None:
        return job_to_proto(job)
    try:
        checkpoint = await asyncio.to_thread(store.get_checkpoint, job.learner_id, checkpoint_id)
    except NotFound:
        checkpoint = None
    return job_to_proto(job, checkpoint)


async def learner_message(store: Store, runtime: Runtime, learner: Learner) -> learner_pb2.Learner:
    """A learner with what is being done to it."""
    active = await asyncio.to_thread(active_job, store, learner.id)
    return learner_to_proto(learner, warm=await runtime.is_warm(learner.id), active_job=active.id if active else None)


def active_job(store: Store, learner_id: str) -> Job | None:
    """The oldest unfinished job of a learner that has left the queue, else the oldest queued one."""
    jobs, _ = store.list_jobs(Page(limit=1000), JobFilter(learner_id, _ACTIVE))
    oldest_first = sorted(jobs, key=lambda job: (job.state is JobState.QUEUED, job.created_at))
    return oldest_first[0] if oldest_first else None


def last_resources(store: Store, learner_id: str) -> Resources:
    """What the learner's last job had."""
    jobs, _ = store.list_jobs(Page(limit=1), JobFilter(learner_id))
    return jobs[0].resources if jobs else Resources()


def require_trained(store: Store, learner: Learner, what: str) -> None:
    """Raises FailedPrecondition unless there is a state to work on, or a job before this one that will make it."""
    if learner.checkpoint_id is None and active_job(store, learner.id) is None:
        name = f"learners/{learner.id}"
        raise FailedPrecondition(
            name, f"{name} has not been trained yet, so there is nothing to {what}; train it first"
        )
