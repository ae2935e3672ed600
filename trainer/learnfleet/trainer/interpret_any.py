"""The interpretation that suits a learner's labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.inference import Predictions, kind_of
from learnfleet.trainer.interpret import Interpretation, predicted
from learnfleet.trainer.interpret_classes import ClassificationInterpretation
from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation
from learnfleet.trainer.interpret_masks import SegmentationInterpretation

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

_BY_KIND: dict[LabelKind, type[Interpretation]] = {
    LabelKind.CATEGORY: ClassificationInterpretation,
    LabelKind.MULTI_CATEGORY: MultiLabelClassificationInterpretation,
    LabelKind.MASK: SegmentationInterpretation,
}


def interpret(learn: Learner, ds_type: DatasetType, *, tta: bool = False) -> Interpretation:
    """Every rank must call. Raises LearnerError for data without labels or items."""
    return interpretation_of(learn, predicted(learn, ds_type, None, tta=tta, masks_only=True), ds_type)


def interpretation_of(learn: Learner, found: Predictions, ds_type: DatasetType) -> Interpretation:
    """Of predictions with losses that were made with `ds_type`, of masks perhaps the classes alone."""
    return _class_for(learn, found).of(learn, found, ds_type)


def _class_for(learn: Learner, found: Predictions) -> type[Interpretation]:
    if found.outputs.ndim == 3 and not found.outputs.dtype.is_floating_point:
        return SegmentationInterpretation  # masks_only has made masks of them
    kind = kind_of(learn, found.outputs)
    if kind is LabelKind.MULTI_CATEGORY and found.targets.ndim == 1:
        kind = LabelKind.CATEGORY  # a single output that says yes or no
    return _BY_KIND.get(kind, Interpretation)
