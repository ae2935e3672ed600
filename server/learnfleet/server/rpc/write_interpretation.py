"""What an interpretation found, from a job's JSON to protobuf."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from learnfleet.server import names
from learnfleet.server.domain import InterpretWork, Job, Json
from learnfleet.server.rpc.read_interpretation import PART_NUMBERS
from learnfleet.server.rpc.write_data import label_kind_to_proto
from learnfleet.server.rpc.write_job import timestamp
from learnfleet.server.rpc.write_measures import (
    calibration_to_proto,
    comparison_to_proto,
    curves_to_proto,
    known,
    slices_to_proto,
)
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.v1 import interpretation_service_pb2 as pb
from learnfleet.v1 import job_pb2, learner_pb2

# Of pictures in one message: what is beyond is read file by file. Less than a message holds, by what else is in it.
_MOST_PICTURE_BYTES = 16 * 2**20


def summary_to_proto(job: Job, found: Json) -> pb.Interpretation:
    """What a list shows of it."""
    subject = job.work.subject if isinstance(job.work, InterpretWork) else None
    model, checkpoint = names.examined(subject["name"] if subject else "")
    if job.start_checkpoint_id:
        checkpoint = names.checkpoint_name(job.learner_id, job.start_checkpoint_id)
    return pb.Interpretation(
        name=names.interpretation_name(job.id),
        learner=names.learner_name(job.learner_id),
        checkpoint=checkpoint,
        model=model,
        job=names.job_name(job.id),
        examples=found["examples"],
        accuracy=found["accuracy"],
        loss=found["loss"],
        skipped_images=found["skipped_images"],
        create_time=timestamp(job.ended_at or job.updated_at),
        kind=label_kind_to_proto(LabelKind(found.get("kind", "category"))),
        dataset=learner_pb2.DatasetType.Value(f"DATASET_TYPE_{found.get('dataset', 'valid').upper()}"),
        void_class=found.get("void_class") or "",
        parts=[PART_NUMBERS[part] for part in found.get("parts") or () if part in PART_NUMBERS],
    )


def interpretation_to_proto(job: Job, found: Json, folder: Path) -> pb.Interpretation:
    """All of it."""
    message = summary_to_proto(job, found)
    message.classes.extend(found["classes"])
    message.confusion_matrix.CopyFrom(_matrix(found["confusion_matrix"]))
    message.most_confused.extend(pb.ConfusedPair(**pair) for pair in found["most_confused"])
    message.top_losses.extend(map(_top_loss, found["top_losses"]))
    message.least_losses.extend(map(_top_loss, found.get("least_losses", ())))
    message.pictures.extend(_pictures(found["pictures"], folder))
    message.class_report.extend(map(_report, found.get("class_report", ())))
    message.label_confusion.extend(map(_matrix, found.get("label_confusion", ())))
    message.misclassified_count = found.get("misclassified_count", 0)
    message.misclassified.extend(map(_top_loss, found.get("misclassified", ())))
    message.intersection.extend(pb.Shares(values=row) for row in found.get("intersection", ()))
    if found.get("calibration"):
        message.calibration.CopyFrom(calibration_to_proto(found["calibration"]))
    message.curves.extend(map(curves_to_proto, found.get("curves") or ()))
    message.label_issues.extend(map(_label_issue, found.get("label_issues") or ()))
    message.label_issues_caveat = found.get("label_issues_caveat") or ""
    message.duplicates.extend(map(_duplicates, found.get("duplicates") or ()))
    message.outliers.extend(map(_outlier, found.get("outliers") or ()))
    message.slices.extend(map(slices_to_proto, found.get("slices") or ()))
    if found.get("comparison"):
        message.comparison.CopyFrom(comparison_to_proto(found["comparison"], named_item))
    message.files.extend(files_of(folder))
    return message


def files_of(folder: Path) -> list[pb.InterpretationFile]:
    """What can be read of it: what is hidden is not done."""
    paths = sorted(path for path in folder.glob("*") if path.is_file() and not path.name.startswith("."))
    return [
        pb.InterpretationFile(name=path.name, media_type=media_type_of(path), size_bytes=path.stat().st_size)
        for path in paths
    ]


def media_type_of(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def named_item(item: Json) -> pb.NamedItem:
    return pb.NamedItem(
        index=item["index"], path=item.get("path", ""), label=item.get("label", ""), picture=_file(item.get("picture"))
    )


def _file(path: str | None) -> str:
    """By its name: the path was the worker's, whose folders may be mounted elsewhere."""
    return Path(path).name if path else ""


def _matrix(rows: Sequence[Sequence[int]]) -> pb.ConfusionMatrix:
    return pb.ConfusionMatrix(rows=[pb.ConfusionMatrix.Row(counts=row) for row in rows])


def _report(item: Json) -> pb.ClassReport:
    values = known(item, "precision", "recall", "f1", "iou")
    return pb.ClassReport(class_name=item["class"], support=item["support"], **values)


def _top_loss(item: Json) -> pb.TopLoss:
    return pb.TopLoss(
        index=item["index"],
        path=item["path"],
        predicted=item["predicted"],
        actual=item["actual"],
        loss=item["loss"],
        probability=item["probability"],
        picture=_file(item.get("picture")),
        heat_map=_file(item.get("heat_map")),
    )


def _label_issue(item: Json) -> pb.LabelIssue:
    return pb.LabelIssue(
        index=item["index"],
        path=item.get("path", ""),
        given=item["given"],
        suggested=item["suggested"],
        score=item["score"],
        picture=_file(item.get("picture")),
    )


def _duplicates(group: Json) -> pb.DuplicateGroup:
    return pb.DuplicateGroup(items=map(named_item, group["items"]), similarity=group["similarity"])


def _outlier(value: Json) -> pb.Outlier:
    return pb.Outlier(item=named_item(value.get("item", value)), score=value["score"])


def _pictures(items: Iterable[Json], folder: Path) -> Iterator[job_pb2.Picture]:
    left = _MOST_PICTURE_BYTES
    for item in items:
        path = folder / _file(item["path"])
        size = path.stat().st_size
        content = path.read_bytes() if size <= left else b""
        left -= len(content)
        yield job_pb2.Picture(name=item["name"], media_type=item["media_type"], content=content)
