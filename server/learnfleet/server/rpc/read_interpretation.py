"""What is to be found out of a model, from protobuf, with everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from learnfleet.server.domain import InterpretWork
from learnfleet.server.rpc.read_job import read_dataset
from learnfleet.server.rpc.subjects import Subject
from learnfleet.server.rpc.violations import Violations
from learnfleet.server.text import shortened
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.spec import LearnerSpec
from learnfleet.v1 import interpretation_service_pb2 as pb

_MAX_TOP_LOSSES = 100
_DEFAULT_TOP_LOSSES = 9
_DEFAULT_EXAMPLES = 24
_MAX_EXAMPLES = 100
_MAX_COLUMNS = 20
_MAX_PARTS = 100
_MAX_TOLD_BYTES = 400

PARTS = {
    number: pb.InterpretationPart.Name(number).removeprefix("INTERPRETATION_PART_").lower()
    for number in pb.InterpretationPart.values()
    if number != pb.INTERPRETATION_PART_UNSPECIFIED
}
PART_NUMBERS = {name: number for number, name in PARTS.items()}


def read_work(request: pb.InterpretRequest, found: Violations) -> InterpretWork:
    top_losses, min_confused = request.top_losses or _DEFAULT_TOP_LOSSES, request.min_confused or 1
    found.number("top_losses", top_losses, 1, _MAX_TOP_LOSSES)
    found.number("least_losses", request.least_losses, 0, _MAX_TOP_LOSSES)
    found.check(min_confused >= 1, "min_confused", f"is {min_confused}; must be at least 1")
    found.length("slice_columns", len(request.slice_columns), _MAX_COLUMNS)
    for index, column in enumerate(request.slice_columns[:_MAX_COLUMNS]):
        found.check(bool(column), f"slice_columns[{index}]", "is empty; must name a column of the metadata")
    _check_metadata(request, found)
    return InterpretWork(
        top_losses,
        min_confused,
        read_dataset(request.dataset, "valid", found),
        request.tta,
        _read_parts(request.parts, found),
        tuple(request.slice_columns),
        request.metadata,
        request.void_class,
        least_losses=request.least_losses,
    )


def _check_metadata(request: pb.InterpretRequest, found: Violations) -> None:
    value = request.metadata
    is_inside = not value.startswith("/") and ".." not in PurePosixPath(value).parts and "\0" not in value
    found.check(is_inside, "metadata", f"'{value[:80]}' must be the name of a file inside the data's folder")
    told = "is only for slice_columns; name the columns, or leave it empty"
    found.check(not value or len(request.slice_columns) > 0, "metadata", told)


def _read_parts(numbers: Sequence[int], found: Violations) -> tuple[str, ...]:
    """Empty: all that suit the labels."""
    if not found.length("parts", len(numbers), _MAX_PARTS):
        return ()
    for index, number in enumerate(numbers):
        found.check(number in PARTS, f"parts[{index}]", f"{number} is no InterpretationPart")
    return tuple(dict.fromkeys(PARTS[number] for number in numbers if number in PARTS))


def check_void_class(name: str, subject: Subject, found: Violations) -> None:
    """As far as the classes are known: a learner may have jobs before this one that find them out."""
    if not name:
        return
    spec = subject.learner.spec if subject.examined is None else LearnerSpec.from_json(subject.examined.spec)
    told = f"is only for masks: this model predicts {spec.data.labels.name}"
    classes = spec.data.classes or subject.learner.classes
    if found.check(spec.data.labels is LabelKind.MASK, "void_class", told) and classes:
        known = shortened(", ".join(classes), _MAX_TOLD_BYTES)
        found.check(name in classes, "void_class", f"'{name[:80]}' is no class of the model; there are {known}")


def read_comparison(request: pb.CompareVersionsRequest, found: Violations) -> InterpretWork:
    examples = request.examples or _DEFAULT_EXAMPLES
    found.number("examples", examples, 1, _MAX_EXAMPLES)
    return InterpretWork(dataset=read_dataset(request.dataset, "valid", found), examples=examples)
