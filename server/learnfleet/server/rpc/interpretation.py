"""InterpretationService."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from learnfleet.server import names
from learnfleet.server.config import Config
from learnfleet.server.domain import InterpretWork, Job, JobKind, JobState, Json, Resources, ShowWork
from learnfleet.server.errors import FailedPrecondition, NotFound
from learnfleet.server.rpc.queueing import Queueing
from learnfleet.server.rpc.read_job import read_dataset, read_request_id, read_resources
from learnfleet.server.rpc.reading import last_resources
from learnfleet.server.rpc.targets import Targets
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.rpc.write_data import label_kind_to_proto
from learnfleet.server.rpc.write_job import timestamp
from learnfleet.server.store.base import Store
from learnfleet.server.text import utf8_json
from learnfleet.server.workers.run import INTERPRETATION_DIR, INTERPRETATION_FILE
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.v1 import interpretation_service_pb2 as pb
from learnfleet.v1 import job_pb2, learner_pb2

_MAX_TOP_LOSSES = 100
_DEFAULT_TOP_LOSSES = 9
_MAX_ROWS = 16
_DEFAULT_ROWS = 5


@dataclass(frozen=True)
class InterpretationServicer:
    """Finds what a model gets wrong."""

    config: Config
    store: Store
    queueing: Queueing
    targets: Targets

    async def interpret(self, request: pb.InterpretRequest) -> job_pb2.Job:
        found = Violations()
        top_losses = request.top_losses or _DEFAULT_TOP_LOSSES
        min_confused = request.min_confused or 1
        found.number("top_losses", top_losses, 1, _MAX_TOP_LOSSES)
        found.check(min_confused >= 1, "min_confused", f"is {min_confused}; must be at least 1")
        work = InterpretWork(top_losses, min_confused, read_dataset(request.dataset, "valid", found), request.tta)
        return await self.queueing.examine(request, found, JobKind.INTERPRET, work, "interpret")

    async def show_batch(self, request: pb.ShowBatchRequest) -> job_pb2.Job:
        found = Violations()
        target = await self.targets.read(request, found)
        work = ShowWork("batch", read_dataset(request.dataset, "train", found), _read_rows(request.rows, found))
        default = await asyncio.to_thread(last_resources, self.store, target.learner.id) if target else Resources()
        resources = read_resources(
            request.resources, default, "resources", found, await self.queueing.catalog.capacity()
        )
        request_id = read_request_id(request.request_id, found)
        if target is not None:
            await self.targets.check(target, resources, found)
        found.raise_if_any()
        assert target is not None, "a target that cannot be read is a violation"
        new = target.learner if target.is_new else None
        return await self.queueing.put(request, target.learner.id, JobKind.SHOW, work, resources, request_id, new)

    async def show_results(self, request: pb.ShowResultsRequest) -> job_pb2.Job:
        found = Violations()
        work = ShowWork("results", read_dataset(request.dataset, "valid", found), _read_rows(request.rows, found))
        return await self.queueing.examine(request, found, JobKind.SHOW, work)

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


def _read_rows(rows: int, found: Violations) -> int:
    found.number("rows", rows, 0, _MAX_ROWS)
    return rows or _DEFAULT_ROWS


def _message(name: str, job: Job, found: Json, folder: Path) -> pb.Interpretation:
    checkpoint = job.start_checkpoint_id
    matrix = _matrix(found["confusion_matrix"])
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
        kind=label_kind_to_proto(LabelKind(found.get("kind", "category"))),
        class_report=[_report(item) for item in found.get("class_report", ())],
        label_confusion=[_matrix(rows) for rows in found.get("label_confusion", ())],
        misclassified_count=found.get("misclassified_count", 0),
        misclassified=[pb.TopLoss(**item) for item in found.get("misclassified", ())],
        intersection=[pb.Shares(values=row) for row in found.get("intersection", ())],
        dataset=learner_pb2.DatasetType.Value(f"DATASET_TYPE_{found.get('dataset', 'valid').upper()}"),
    )


def _matrix(rows: Sequence[Sequence[int]]) -> pb.ConfusionMatrix:
    return pb.ConfusionMatrix(rows=[pb.ConfusionMatrix.Row(counts=row) for row in rows])


def _report(item: Json) -> pb.ClassReport:
    values = {name: item[name] for name in ("precision", "recall", "f1", "iou") if item.get(name) is not None}
    return pb.ClassReport(class_name=item["class"], support=item["support"], **values)


def _picture(item: Json, folder: Path) -> job_pb2.Picture:
    # By its name: the path was the worker's, whose folders may be mounted elsewhere.
    content = (folder / Path(item["path"]).name).read_bytes()
    return job_pb2.Picture(name=item["name"], media_type=item["media_type"], content=content)
