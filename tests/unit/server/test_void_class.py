"""The class of masks whose pixels do not count, as a request names it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from learnfleet.server.domain import Examined, Learner
from learnfleet.server.errors import InvalidArgument
from learnfleet.server.rpc.read_interpretation import check_void_class
from learnfleet.server.rpc.subjects import Subject
from learnfleet.server.rpc.violations import Violations
from learnfleet.trainer.data_spec import LabelKind, MaskSpec
from learnfleet.trainer.spec import DataSpec, LearnerSpec

CLASSES = ("sky", "road", "Void")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def of_masks(classes: tuple[str, ...] = CLASSES, *, on_other_data: bool = False) -> Subject:
    data = DataSpec(
        "/data", source="masks", labels=LabelKind.MASK, masks=MaskSpec("images", "labels"), classes=classes, bs=1
    )
    spec = LearnerSpec(data, "resnet18", kind="unet")
    examined = Examined("models/streets/versions/1", "/export", spec.to_json()) if on_other_data else None
    return Subject(Learner("streets", spec, NOW, NOW, classes), False, examined)


def told(name: str, subject: Subject) -> str:
    found = Violations()
    check_void_class(name, subject, found)
    try:
        found.raise_if_any()
    except InvalidArgument as error:
        return "; ".join(f"{each.field}: {each.description}" for each in error.violations)
    return ""


@pytest.mark.parametrize("on_other_data", [False, True])
def test_an_unknown_class_is_refused_with_those_that_there_are(on_other_data: bool) -> None:
    subject = of_masks(on_other_data=on_other_data)
    assert told("Roof", subject) == "void_class: 'Roof' is no class of the model; there are sky, road, Void"
    assert told("Void", subject) == told("", subject) == ""


def test_of_very_many_classes_the_first_are_told() -> None:
    assert len(told("Roof", of_masks(tuple(f"class {number}" for number in range(1000))))) < 500
