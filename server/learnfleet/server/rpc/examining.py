"""Jobs on a learner, a model version, or either on other data than its own."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TypeAlias

from learnfleet.server import names
from learnfleet.server.domain import InterpretWork, JobKind, PredsWork, Resources
from learnfleet.server.rpc.queueing import Queueing
from learnfleet.server.rpc.read_job import read_request_id, read_resources
from learnfleet.server.rpc.reading import last_resources, require_trained
from learnfleet.server.rpc.subjects import Subject, Subjects
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.store.base import Store
from learnfleet.v1 import interpretation_service_pb2, job_pb2, prediction_service_pb2

SubjectRequest: TypeAlias = interpretation_service_pb2.InterpretRequest | prediction_service_pb2.GetPredsRequest
ExamineRequest: TypeAlias = SubjectRequest | interpretation_service_pb2.CompareVersionsRequest


@dataclass(frozen=True)
class Examining:
    """Reads what is to be examined, and queues the job."""

    store: Store
    queueing: Queueing
    subjects: Subjects

    async def subject(self, request: SubjectRequest, found: Violations) -> Subject | None:
        """What `learner`, `model` and `data` say. None where `found` has violations instead. Raises NotFound."""
        data = request.data if request.HasField("data") else None
        if request.model:
            found.check(not request.learner, "learner", "must be empty where a model is given")
            known = found.attempt(lambda: names.parse_model(request.model, "model"))
            return await self.subjects.of_model(request.model, data, found) if known else None
        if not request.learner:
            found.add("learner", "is empty; give `learners/{learner}`, or `models/...` as `model`")
            return None
        learner_id = found.attempt(lambda: names.parse_learner(request.learner, "learner"))
        return await self.subjects.of_learner(learner_id, data, found) if learner_id else None

    async def put(
        self,
        request: ExamineRequest,
        subject: Subject | None,
        kind: JobKind,
        work: InterpretWork | PredsWork,
        found: Violations,
        trained_for: str = "",
    ) -> job_pb2.Job:
        """The queued job. `trained_for`: what makes no sense before the learner is trained."""
        request_id = read_request_id(request.request_id, found)
        default = Resources()
        if subject is not None and not subject.is_new:
            default = await asyncio.to_thread(last_resources, self.store, subject.learner.id)
        capacity = await self.queueing.catalog.capacity()
        resources = read_resources(request.resources, default, "resources", found, capacity)
        found.raise_if_any()
        assert subject is not None, "a subject that cannot be read is a violation"
        if subject.examined is not None:
            work = dataclasses.replace(work, subject=subject.examined.to_json())
        if trained_for and (subject.examined is None or not subject.examined.export):
            await asyncio.to_thread(require_trained, self.store, subject.learner, trained_for)
        new = subject.learner if subject.is_new else None
        return await self.queueing.put(request, subject.learner.id, kind, work, resources, request_id, new)
