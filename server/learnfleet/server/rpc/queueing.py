"""From a request that has been read to a job in the queue."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.message import Message

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import ExamineWork, Job, JobKind, JobState, Learner, Resources, ShowWork, Work
from learnfleet.server.rpc.ports import Catalog, Runtime
from learnfleet.server.rpc.read_job import ExamineRequest, read_request_id, read_resources
from learnfleet.server.rpc.read_terms import Terms, default_terms
from learnfleet.server.rpc.reading import fingerprint, job_message, last_resources, require_trained
from learnfleet.server.rpc.targets import LookRequest, Targets
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_job import job_to_proto, placement_to_proto
from learnfleet.server.store.base import Store
from learnfleet.server.telemetry.calls import current_call
from learnfleet.v1 import job_pb2

_QUEUED = "waits for the scheduler"


def _trace() -> str:
    """The trace that the present call belongs to."""
    call = current_call()
    return str(call.trace) if call is not None and call.trace is not None else ""


@dataclass(frozen=True)
class Queueing:
    """Puts jobs into the store and tells the scheduler."""

    config: Config
    store: Store
    runtime: Runtime
    catalog: Catalog

    async def put(
        self,
        request: Message,
        learner_id: str,
        kind: JobKind,
        work: Work,
        resources: Resources,
        request_id: str | None,
        new_learner: Learner | None = None,
        terms: Terms | None = None,
    ) -> job_pb2.Job:
        """The queued job; of a repeated request, the job it made first. `new_learner` is made with it."""
        job = self._job(learner_id, kind, work, resources, request_id, terms)
        stored = await asyncio.to_thread(
            self.store.create_job,
            job,
            learner=new_learner,
            fingerprint=fingerprint(request),
            most_unfinished=self.config.max_queued,
        )
        self.runtime.job_queued(stored)
        return await job_message(self.store, stored)

    def _job(
        self,
        learner_id: str,
        kind: JobKind,
        work: Work,
        resources: Resources,
        request_id: str | None,
        terms: Terms | None,
    ) -> Job:
        now, terms = datetime.now(UTC), terms or default_terms(self.config)
        return Job(
            names.new_id(),
            learner_id,
            kind,
            work,
            resources,
            JobState.QUEUED,
            _QUEUED,
            now,
            now,
            request_id=request_id,
            tenant=current_tenant(),
            priority=terms.priority,
            retry_policy=terms.retry_policy,
            deadline=now + timedelta(seconds=terms.timeout_s) if terms.timeout_s else None,
            traceparent=_trace(),
        )

    async def preview(
        self, learner_id: str, kind: JobKind, work: Work, resources: Resources, terms: Terms
    ) -> job_pb2.Job:
        """The job as it would be if it were queued, without a name: nothing is stored."""
        job = self._job(learner_id, kind, work, resources, None, terms)
        placed = await self.runtime.preview(job)
        message = job_to_proto(dataclasses.replace(job, reason=placed.waits_for))
        message.name = ""
        message.placement.CopyFrom(placement_to_proto(placed, resources))
        return message

    async def look(self, request: LookRequest, targets: Targets, work: ShowWork, found: Violations) -> job_pb2.Job:
        """A job that looks at a learner or, before it is there, at the one that is made with it."""
        target = await targets.read(request, found)
        default = await asyncio.to_thread(last_resources, self.store, target.learner.id) if target else Resources()
        resources = read_resources(request.resources, default, "resources", found, await self.catalog.capacity())
        request_id = read_request_id(request.request_id, found)
        if target is not None:
            await targets.check(target, resources, found)
        found.raise_if_any()
        assert target is not None, "a target that cannot be read is a violation"
        new = target.learner if target.is_new else None
        return await self.put(request, target.learner.id, JobKind.SHOW, work, resources, request_id, new)

    async def examine(
        self, request: ExamineRequest, found: Violations, kind: JobKind, work: ExamineWork, trained_for: str = ""
    ) -> job_pb2.Job:
        """A job that leaves its learner as it is. `trained_for`: what makes no sense before the learner is trained."""
        learner_id = found.attempt(lambda: names.parse_learner(request.learner, "learner"))
        request_id = read_request_id(request.request_id, found)
        found.raise_if_any()
        assert learner_id is not None
        learner = await asyncio.to_thread(self.store.get_learner, learner_id)
        default = await asyncio.to_thread(last_resources, self.store, learner_id)
        resources = read_resources(request.resources, default, "resources", found, await self.catalog.capacity())
        found.raise_if_any()
        if trained_for:
            await asyncio.to_thread(require_trained, self.store, learner, trained_for)
        return await self.put(request, learner_id, kind, work, resources, request_id)
