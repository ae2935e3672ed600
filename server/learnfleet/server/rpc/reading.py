"""What several servicers read of the store, off the event loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from google.protobuf.message import Message

from learnfleet.server.domain import Job, Learner, Resources
from learnfleet.server.errors import FailedPrecondition
from learnfleet.server.rpc.ports import Runtime
from learnfleet.server.rpc.write_job import job_to_proto, learner_to_proto
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.v1 import job_pb2, learner_pb2


def fingerprint(request: Message) -> str:
    """SHA-256 of a request but for its request_id."""
    copy = type(request)()
    copy.CopyFrom(request)
    copy.ClearField("request_id")
    return hashlib.sha256(type(request).__name__.encode() + copy.SerializeToString(deterministic=True)).hexdigest()


async def job_message(store: Store, job: Job) -> job_pb2.Job:
    """A job with the checkpoint that its result names."""
    if _checkpoint_of(job) is None:
        return job_to_proto(job)
    return (await asyncio.to_thread(job_messages, store, [job]))[0]


def job_messages(store: Store, jobs: Sequence[Job]) -> list[job_pb2.Job]:
    """As `job_message`, with one read for all. Blocks."""
    named = [name for job in jobs if (name := _checkpoint_of(job)) is not None]
    checkpoints = store.get_checkpoints(named) if named else {}
    return [job_to_proto(job, checkpoints.get(_checkpoint_of(job) or ("", ""))) for job in jobs]


def _checkpoint_of(job: Job) -> tuple[str, str] | None:
    checkpoint_id = (job.result or {}).get("checkpoint_id")
    return None if checkpoint_id is None else (job.learner_id, checkpoint_id)


async def learner_message(store: Store, runtime: Runtime, learner: Learner) -> learner_pb2.Learner:
    """A learner with what is being done to it."""
    return (await learner_messages(store, runtime, [learner]))[0]


async def learner_messages(store: Store, runtime: Runtime, learners: Sequence[Learner]) -> list[learner_pb2.Learner]:
    """As `learner_message`, with one read for all."""
    active = await asyncio.to_thread(store.active_jobs, [learner.id for learner in learners])
    return [
        learner_to_proto(learner, warm=await runtime.is_warm(learner.id), active_job=active.get(learner.id))
        for learner in learners
    ]


def active_job(store: Store, learner_id: str) -> str | None:
    """The id of a learner's oldest unfinished job that has left the queue, else of its oldest queued one."""
    return store.active_jobs([learner_id]).get(learner_id)


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
