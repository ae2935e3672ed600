"""InterpretationService."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import InterpretWork, Job, JobKind, JobState, Json
from learnfleet.server.errors import FailedPrecondition, NotFound
from learnfleet.server.rpc.ports import Catalog, Runtime
from learnfleet.server.rpc.read_job import read_request_id, read_resources
from learnfleet.server.rpc.reading import fingerprint, job_message, last_resources, require_trained
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_job import timestamp
from learnfleet.server.store.base import Store
from learnfleet.server.text import utf8_json
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE
from learnfleet.v1 import interpretation_service_pb2 as pb
from learnfleet.v1 import job_pb2

_MAX_TOP_LOSSES = 100
_DEFAULT_TOP_LOSSES = 9


@dataclass(frozen=True)
class InterpretationServicer:
    """Finds what a model gets wrong."""

    config: Config
    store: Store
    runtime: Runtime
    catalog: Catalog

    async def interpret(self, request: pb.InterpretRequest) -> job_pb2.Job:
        found = Violations()
        learner_id = found.attempt(lambda: names.parse_learner(request.learner, "learner"))
        top_losses = request.top_losses or _DEFAULT_TOP_LOSSES
        min_confused = request.min_confused or 1
        found.number("top_losses", top_losses, 1, _MAX_TOP_LOSSES)
        found.check(min_confused >= 1, "min_confused", f"is {min_confused}; must be at least 1")
        request_id = read_request_id(request.request_id, found)
        found.raise_if_any()
        assert learner_id is not None
        learner = await asyncio.to_thread(self.store.get_learner, learner_id)
        default = await asyncio.to_thread(last_resources, self.store, learner_id)
        resources = read_resources(request.resources, default, "resources", found, await self.catalog.capacity())
        found.raise_if_any()
        await asyncio.to_thread(require_trained, self.store, learner, "interpret")
        now = datetime.now(UTC)
        job = Job(
            names.new_id(),
            learner_id,
            JobKind.INTERPRET,
            InterpretWork(top_losses, min_confused),
            resources,
            JobState.QUEUED,
            "waits for the scheduler",
            now,
            now,
            request_id=request_id,
        )
        stored = await asyncio.to_thread(self.store.create_job, job, learner=None, fingerprint=fingerprint(request))
        self.runtime.job_queued(stored)
        return await job_message(self.store, stored)

    async def get_interpretation(self, request: pb.GetInterpretationRequest) -> pb.Interpretation:
        job_id = names.parse_interpretation(request.name)
        return await asyncio.to_thread(self._read, request.name, job_id)

    def _read(self, name: str, job_id: str) -> pb.Interpretation:
        try:
            job = self.store.get_job(job_id)
        except NotFound:
            raise NotFound(name) from None
        if job.kind is not JobKind.INTERPRET:
            raise NotFound(name)
        if job.state is not JobState.SUCCEEDED:
            raise FailedPrecondition(
                name, f"jobs/{job_id} is {job.state.name}: {job.reason or 'wait until it is done'}"
            )
        folder = self.config.job_dir(job.learner_id, job_id) / INTERPRETATION_DIR
        return _message(name, job, utf8_json(json.loads((folder / INTERPRETATION_FILE).read_text())), folder)


def _message(name: str, job: Job, found: Json, folder: Path) -> pb.Interpretation:
    checkpoint = job.start_checkpoint_id
    matrix = pb.ConfusionMatrix(rows=[pb.ConfusionMatrix.Row(counts=row) for row in found["confusion_matrix"]])
    return pb.Interpretation(
        name=name,
        learner=names.learner_name(job.learner_id),
        checkpoint=names.checkpoint_name(job.learner_id, checkpoint) if checkpoint else "",
        job=names.job_name(job.id),
        classes=found["classes"],
        examples=found["examples"],
        accuracy=found["accuracy"],
        loss=found["loss"],
        confusion_matrix=matrix,
        most_confused=[pb.ConfusedPair(**pair) for pair in found["most_confused"]],
        top_losses=[pb.TopLoss(**item) for item in found["top_losses"]],
        pictures=[_picture(item, folder) for item in found["pictures"]],
        skipped_images=found["skipped_images"],
        create_time=timestamp(job.ended_at or job.updated_at),
    )


def _picture(item: Json, folder: Path) -> pb.Picture:
    # By its name: the path was the worker's, whose folders may be mounted elsewhere.
    content = (folder / Path(item["path"]).name).read_bytes()
    return pb.Picture(name=item["name"], media_type=item["media_type"], content=content)
