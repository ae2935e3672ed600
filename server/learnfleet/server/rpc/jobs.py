"""JobService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import empty_pb2

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.deleting import delete_job
from learnfleet.server.domain import Json, Wanted
from learnfleet.server.errors import NotFound
from learnfleet.server.rpc.job_logs import JobLogs
from learnfleet.server.rpc.page import read_page
from learnfleet.server.rpc.ports import Runtime
from learnfleet.server.rpc.reading import job_message, job_messages
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.watch import Watch
from learnfleet.server.rpc.write_job import JOB_KINDS, JOB_STATES
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.server.workers.run import INTERPRETATION_DIR, PICTURES_DIR
from learnfleet.v1 import job_pb2
from learnfleet.v1 import job_service_pb2 as pb

_STATES = {number: state for state, number in JOB_STATES.items()}
_KINDS = {number: kind for kind, number in JOB_KINDS.items()}
_MAX_STATES = 100


@dataclass(frozen=True)
class JobServicer:
    """Looks at jobs, and stops, pauses, resumes and deletes them."""

    config: Config
    store: Store
    runtime: Runtime
    watch: Watch
    logs: JobLogs

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
        if found.length("kinds", len(request.kinds), _MAX_STATES):
            for index, kind in enumerate(request.kinds):
                found.check(kind in _KINDS, f"kinds[{index}]", f"{kind} is no job kind")
        found.raise_if_any()
        assert page is not None
        states = tuple(_STATES[state] for state in request.states)
        where = JobFilter(learner_id, states, tuple(_KINDS[kind] for kind in request.kinds), current_tenant())
        return await asyncio.to_thread(self._page, page, where)

    def _page(self, page: Page, where: JobFilter) -> pb.ListJobsResponse:
        jobs, token = self.store.list_jobs(page, where)
        messages = job_messages(self.store, jobs)
        for message in messages:
            message.result.ClearField("description")  # a page of these would be megabytes
        return pb.ListJobsResponse(jobs=messages, next_page_token=token)

    def watch_job(self, request: pb.WatchJobRequest) -> AsyncGenerator[bytes, None]:
        return self.watch.messages(request)

    async def cancel_job(self, request: pb.CancelJobRequest) -> job_pb2.Job:
        return await self._ask(request.name, Wanted.CANCEL)

    async def pause_job(self, request: pb.PauseJobRequest) -> job_pb2.Job:
        return await self._ask(request.name, Wanted.PAUSE)

    async def resume_job(self, request: pb.ResumeJobRequest) -> job_pb2.Job:
        return await self._ask(request.name, Wanted.RUN)

    async def _ask(self, name: str, wanted: Wanted) -> job_pb2.Job:
        return await job_message(self.store, await self.runtime.ask(names.parse_job(name), wanted))

    async def delete_job(self, request: pb.DeleteJobRequest) -> empty_pb2.Empty:
        await asyncio.to_thread(delete_job, self.config, self.store, names.parse_job(request.name))
        return empty_pb2.Empty()

    def get_job_logs(self, request: pb.GetJobLogsRequest) -> AsyncGenerator[pb.GetJobLogsResponse, None]:
        return self.logs.messages(request)

    async def get_picture(self, request: pb.GetPictureRequest) -> job_pb2.Picture:
        job_id, name = names.parse_picture(request.name)
        return await asyncio.to_thread(self._picture, job_id, name)

    def _picture(self, job_id: str, name: str) -> job_pb2.Picture:
        job = self.store.get_job(job_id)
        drawn = self._drawn(job_id, name)
        if drawn is None:
            raise NotFound(names.picture_name(job_id, name))
        # By its name: the path was the worker's, whose folders may be mounted elsewhere.
        folder = self.config.job_dir(job.learner_id, job_id)
        candidates = (folder / place / Path(drawn["path"]).name for place in (PICTURES_DIR, INTERPRETATION_DIR))
        path = next((path for path in candidates if path.is_file()), None)
        if path is None:
            raise NotFound(names.picture_name(job_id, name))
        return job_pb2.Picture(name=name, media_type=drawn["media_type"], content=path.read_bytes())

    def _drawn(self, job_id: str, name: str) -> Json | None:
        """What the job told of the picture it drew last under this name."""
        found: Json | None = None
        after = 0
        while events := self.store.read_events(job_id, after):
            drawn = [s.event.data for s in events if s.event.kind == "picture" and s.event.data["name"] == name]
            found, after = drawn[-1] if drawn else found, events[-1].sequence
        return found
