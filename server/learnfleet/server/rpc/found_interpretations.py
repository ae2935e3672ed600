"""What INTERPRET jobs have left in their folders."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import Job, JobKind, JobState
from learnfleet.server.errors import FailedPrecondition, FieldViolation, InvalidArgument, NotFound
from learnfleet.server.rpc.tenants import current_tenant
from learnfleet.server.rpc.write_interpretation import (
    files_of,
    interpretation_to_proto,
    media_type_of,
    summary_to_proto,
)
from learnfleet.server.store.base import JobFilter, Page, Store
from learnfleet.server.text import utf8_json
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE, REPORT_FILE
from learnfleet.v1 import interpretation_service_pb2 as pb

_CHUNK_BYTES = 2**20
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class FoundInterpretations:
    """Reads them. Methods block."""

    config: Config
    store: Store

    def get(self, job_id: str) -> pb.Interpretation:
        """All of one. Raises NotFound, FailedPrecondition while its job is not done."""
        job = self._done(job_id)
        return interpretation_to_proto(job, self._read(job), self._folder(job))

    def page(self, page: Page, learner_id: str | None) -> pb.ListInterpretationsResponse:
        """Those that are done, newest first, without their parts."""
        where = JobFilter(learner_id, (JobState.SUCCEEDED,), (JobKind.INTERPRET,), current_tenant())
        jobs, token = self.store.list_jobs(page, where)
        found = [summary_to_proto(job, self._read(job)) for job in jobs if self._path(job).is_file()]
        return pb.ListInterpretationsResponse(interpretations=found, next_page_token=token)

    def file(self, job_id: str, name: str) -> Iterator[pb.ReadInterpretationFileResponse]:
        """A file in chunks. Raises NotFound, FailedPrecondition, InvalidArgument naming the files that there are."""
        job, wanted = self._done(job_id), name or REPORT_FILE
        known = {file.name for file in files_of(self._folder(job))}
        if wanted not in known:
            shown = ", ".join(sorted(known, key=lambda each: (each != REPORT_FILE, each))[:_NAMES_SHOWN])
            told = f"'{wanted[:80]}' is no file of {names.interpretation_name(job_id)}; there are {shown or 'none'}"
            more = f" and {len(known) - _NAMES_SHOWN} more" if len(known) > _NAMES_SHOWN else ""
            raise InvalidArgument([FieldViolation("file", f"{told}{more}")])
        return _chunks(self._folder(job) / wanted)

    def _done(self, job_id: str) -> Job:
        name = names.interpretation_name(job_id)
        try:
            job = self.store.get_job(job_id)
        except NotFound:
            raise NotFound(name) from None
        if job.kind is not JobKind.INTERPRET:
            raise NotFound(name)
        if job.state is not JobState.SUCCEEDED:
            why = job.reason or "wait until it is done"
            raise FailedPrecondition(name, f"jobs/{job_id} is {job.state.name}: {why}")
        return job

    def _folder(self, job: Job) -> Path:
        return self.config.job_dir(job.learner_id, job.id) / INTERPRETATION_DIR

    def _path(self, job: Job) -> Path:
        return self._folder(job) / INTERPRETATION_FILE

    def _read(self, job: Job) -> dict[str, object]:
        return dict(utf8_json(json.loads(self._path(job).read_text())))


def _chunks(path: Path) -> Iterator[pb.ReadInterpretationFileResponse]:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        first = file.read(_CHUNK_BYTES)
        yield pb.ReadInterpretationFileResponse(content=first, media_type=media_type_of(path), size_bytes=size)
        while content := file.read(_CHUNK_BYTES):
            yield pb.ReadInterpretationFileResponse(content=content)
