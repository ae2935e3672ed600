"""JobService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from learnfleet.server import names
from learnfleet.server.errors import FieldViolation, InvalidArgument
from learnfleet.server.rpc.hub import EventHub
from learnfleet.server.rpc.page import read_page
from learnfleet.server.rpc.ports import Runtime
from learnfleet.server.rpc.reading import job_message
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_job import JOB_STATES, event_to_proto
from learnfleet.server.store.base import JobFilter, Store
from learnfleet.v1 import job_pb2
from learnfleet.v1 import job_service_pb2 as pb

_STATES = {number: state for state, number in JOB_STATES.items()}
_MAX_STATES = 100


@dataclass(frozen=True)
class JobServicer:
    """Looks at jobs and stops them."""

    store: Store
    runtime: Runtime
    hub: EventHub

    async def get_job(self, request: pb.GetJobRequest) -> job_pb2.Job:
        job = await asyncio.to_thread(self.store.get_job, names.parse_job(request.name))
        return await job_message(self.store, job)

    async def list_jobs(self, request: pb.ListJobsRequest) -> pb.ListJobsResponse:
        found = Violations()
        page = found.attempt(lambda: read_page(request.page_size, request.page_token))
        learner_id = None
        if request.learner:
            learner_id = found.attempt(lambda: names.parse_learner(request.learner, "learner"))
        if found.length("states", len(request.states), _MAX_STATES):
            for index, state in enumerate(request.states):
                found.check(state in _STATES, f"states[{index}]", f"{state} is no job state")
        found.raise_if_any()
        assert page is not None
        where = JobFilter(learner_id, tuple(_STATES[state] for state in request.states))
        jobs, token = await asyncio.to_thread(self.store.list_jobs, page, where)
        messages = [await job_message(self.store, job) for job in jobs]
        return pb.ListJobsResponse(jobs=messages, next_page_token=token)

    async def watch_job(self, request: pb.WatchJobRequest) -> AsyncGenerator[pb.WatchJobResponse, None]:
        job_id = names.parse_job(request.name)
        after = request.after_sequence
        if after < 0:
            raise InvalidArgument([FieldViolation("after_sequence", f"is {after}; must be 0 or greater")])
        with self.hub.watching(job_id):
            while True:
                ticket = self.hub.ticket(job_id)
                # The job is read before its events: if it had ended by then, all of them are there.
                job = await asyncio.to_thread(self.store.get_job, job_id)
                events = await asyncio.to_thread(self.store.read_events, job_id, after)
                for event in events:
                    yield pb.WatchJobResponse(event=event_to_proto(event))
                    after = event.sequence
                if events:
                    continue
                if job.state.final:
                    return
                await self.hub.wait(ticket)

    async def cancel_job(self, request: pb.CancelJobRequest) -> job_pb2.Job:
        job = await self.runtime.cancel(names.parse_job(request.name))
        return await job_message(self.store, job)
