"""InterpretationService."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import JobKind, ShowWork
from learnfleet.server.rpc.examining import Examining
from learnfleet.server.rpc.explaining import explain
from learnfleet.server.rpc.found_interpretations import FoundInterpretations
from learnfleet.server.rpc.page import read_page
from learnfleet.server.rpc.ports import Runtime
from learnfleet.server.rpc.queueing import Queueing
from learnfleet.server.rpc.read_interpretation import check_void_class, read_comparison, read_work
from learnfleet.server.rpc.read_job import read_dataset
from learnfleet.server.rpc.subjects import Subjects, parse_any
from learnfleet.server.rpc.targets import Targets
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.store.base import Store
from learnfleet.v1 import interpretation_service_pb2 as pb
from learnfleet.v1 import job_pb2

_MAX_ROWS = 16
_DEFAULT_ROWS = 5


@dataclass(frozen=True)
class InterpretationServicer:
    """Finds what a model gets wrong."""

    config: Config
    store: Store
    runtime: Runtime
    queueing: Queueing
    targets: Targets

    @property
    def _subjects(self) -> Subjects:
        return Subjects(self.store, self.runtime, self.targets)

    @property
    def _examining(self) -> Examining:
        return Examining(self.store, self.queueing, self._subjects)

    @property
    def _found(self) -> FoundInterpretations:
        return FoundInterpretations(self.config, self.store)

    # --- jobs

    async def interpret(self, request: pb.InterpretRequest) -> job_pb2.Job:
        found = Violations()
        work = read_work(request, found)
        subject = await self._examining.subject(request, found)
        if subject is not None:
            check_void_class(request.void_class, subject, found)
        return await self._examining.put(request, subject, JobKind.INTERPRET, work, found, "interpret")

    async def compare_versions(self, request: pb.CompareVersionsRequest) -> job_pb2.Job:
        found = Violations()
        work = read_comparison(request, found)
        known = [
            found.attempt(lambda field=field: parse_any(getattr(request, field), field))  # type: ignore[misc]
            for field in ("baseline", "candidate")
        ]
        data = request.data if request.HasField("data") else None
        subject = None
        if all(known):
            subject = await self._subjects.of_model(request.candidate, data, found, "candidate")
        if subject is not None and subject.examined is not None:
            baseline = await self._subjects.against(request.baseline, subject.examined, found)
            work = dataclasses.replace(work, baseline=baseline.to_json() if baseline else None)
        return await self._examining.put(request, subject, JobKind.INTERPRET, work, found, "compare")

    async def show_batch(self, request: pb.ShowBatchRequest) -> job_pb2.Job:
        found = Violations()
        work = ShowWork("batch", read_dataset(request.dataset, "train", found), _read_rows(request.rows, found))
        return await self.queueing.look(request, self.targets, work, found)

    async def show_results(self, request: pb.ShowResultsRequest) -> job_pb2.Job:
        found = Violations()
        work = ShowWork("results", read_dataset(request.dataset, "valid", found), _read_rows(request.rows, found))
        return await self.queueing.examine(request, found, JobKind.SHOW, work)

    # --- what they found

    async def get_interpretation(self, request: pb.GetInterpretationRequest) -> pb.Interpretation:
        job_id = names.parse_interpretation(request.name)
        return await asyncio.to_thread(self._found.get, job_id)

    async def list_interpretations(self, request: pb.ListInterpretationsRequest) -> pb.ListInterpretationsResponse:
        found = Violations()
        page = found.attempt(lambda: read_page(request.page_size, request.page_token))
        learner_id = None
        if request.learner:
            learner_id = found.attempt(lambda: names.parse_learner(request.learner, "learner"))
        found.raise_if_any()
        assert page is not None
        return await asyncio.to_thread(self._found.page, page, learner_id)

    async def read_interpretation_file(
        self, request: pb.ReadInterpretationFileRequest
    ) -> AsyncGenerator[pb.ReadInterpretationFileResponse, None]:
        job_id = names.parse_interpretation(request.name)
        chunks = await asyncio.to_thread(self._found.file, job_id, request.file)
        while (message := await asyncio.to_thread(next, chunks, None)) is not None:
            yield message

    # --- one picture

    async def explain_prediction(self, request: pb.ExplainPredictionRequest) -> pb.ExplainPredictionResponse:
        return await explain(self.runtime, request)


def _read_rows(rows: int, found: Violations) -> int:
    found.number("rows", rows, 0, _MAX_ROWS)
    return rows or _DEFAULT_ROWS
