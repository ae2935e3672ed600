"""Everything that can be found out of a model by one run over a data set (local part; needs no server).

`examine` gives an `Examination`. The job INTERPRET writes the same as JSON, `interpretation.json`, beside its pictures:
see `examination_json`, which documents that shape.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from learnfleet.trainer.comparison import Comparison, compare
from learnfleet.trainer.data_spec import LabelKind
from learnfleet.trainer.dataset import DatasetType
from learnfleet.trainer.errors import LearnerError
from learnfleet.trainer.heartbeat import HEARTBEAT
from learnfleet.trainer.inference import Predictions
from learnfleet.trainer.interpret import Interpretation
from learnfleet.trainer.interpret_any import interpretation_of
from learnfleet.trainer.interpret_classes import ClassificationInterpretation
from learnfleet.trainer.interpret_labels import MultiLabelClassificationInterpretation
from learnfleet.trainer.interpret_masks import SegmentationInterpretation
from learnfleet.trainer.measures.calibration import Calibration, calibration_of_classes, calibration_of_labels
from learnfleet.trainer.measures.curves import Curves, curves_of_classes, curves_of_labels
from learnfleet.trainer.measures.label_issues import LabelIssues, find_label_issues
from learnfleet.trainer.measures.neighbours import Far, Group, near_duplicates, nearest, outliers
from learnfleet.trainer.one_pass import one_pass
from learnfleet.trainer.sliced import SlicesOfColumn, slices_of, values_of

if TYPE_CHECKING:
    from learnfleet.trainer.learner import Learner

PARTS = (
    "top_losses",
    "heat_maps",
    "confusion",
    "class_report",
    "calibration",
    "curves",
    "label_issues",
    "duplicates",
    "outliers",
    "report",
)
_BY_EMBEDDING = ("label_issues", "duplicates", "outliers")
_VOID = "Void"
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Examination:
    """What was found. Rows are those of `predictions`; what was not asked for, or suits no such labels, is empty.

    On several ranks the measures are rank 0's alone; `interpretation` and `predictions` are on all.
    """

    interpretation: Interpretation
    predictions: Predictions
    parts: tuple[str, ...]  # of PARTS
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of metadata, the values of all items
    calibration: Calibration | None = None
    curves: tuple[Curves, ...] = ()
    label_issues: LabelIssues | None = None
    duplicates: tuple[Group, ...] = ()
    outliers: tuple[Far, ...] = ()
    slices: tuple[SlicesOfColumn, ...] = ()
    comparison: Comparison | None = None

    @property
    def void_class(self) -> str:
        """Of masks the class whose pixels do not count; empty: all count."""
        found = self.interpretation
        void = found.void_code if isinstance(found, SegmentationInterpretation) else None
        return found.classes[void] if void is not None and void < len(found.classes) else ""


def examine(
    learner: Learner,
    ds_type: DatasetType = DatasetType.Valid,
    *,
    parts: Collection[str] = (),
    slice_columns: Sequence[str] = (),
    metadata: Path | str = "",
    void_class: str = "",
    baseline: Learner | None = None,
    tta: bool = False,
    cache: Path | None = None,
) -> Examination:
    """Find out what a model gets wrong. Every rank must call.

    For other data than the learner's own, and for exports, see `on_data` and `learner_of_export`.

    Args:
        parts: of `PARTS`. Empty: all.
        slice_columns: of `metadata`: accuracy and loss are told apart by their values.
        metadata: a CSV file inside the data's folder, whose first column names pictures relative to it. Empty: the
            table that the data come from.
        void_class: of masks, whose pixels do not count. Empty: what the loss ignores, else `Void` where there is one.
        baseline: another model with the same classes, run over the same data: what got fixed, what broke.
        tta: by test-time augmentation; measures by embeddings are then left out.
        cache: a folder for predictions, so that what has not changed is not computed again. None: none are kept.

    Raises LearnerError naming what is wrong, and Interrupted.
    """
    found = predicted(
        learner,
        ds_type,
        parts=parts,
        slice_columns=slice_columns,
        metadata=metadata,
        void_class=void_class,
        baseline=baseline,
        tta=tta,
        cache=cache,
    )
    return measured(found) if learner.world.is_main else found


def predicted(
    learner: Learner,
    ds_type: DatasetType,
    *,
    parts: Collection[str],
    slice_columns: Sequence[str],
    metadata: Path | str,
    void_class: str,
    baseline: Learner | None,
    tta: bool,
    cache: Path | None,
) -> Examination:
    """The part of `examine` that needs the model, and all ranks: no measures yet."""
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise LearnerError("parts", f"{unknown[0]!r} is none of {', '.join(PARTS)}")
    chosen = tuple(part for part in PARTS if not parts or part in parts)
    columns = values_of(learner, ds_type, slice_columns, metadata)  # what is wrong with it is told before the work
    embed = any(part in chosen for part in _BY_EMBEDDING)
    found = one_pass(learner, ds_type, tta=tta, embed=embed, cache=cache)
    interpretation = interpretation_of(learner, found, ds_type)
    _leave_out(interpretation, void_class)
    comparison = compare(interpretation, baseline, tta=tta, cache=cache) if baseline is not None else None
    return Examination(interpretation, found, chosen, columns, comparison=comparison)


def _leave_out(found: Interpretation, void_class: str) -> None:
    """Raises LearnerError for a class that is none, or where there are no masks."""
    if not isinstance(found, SegmentationInterpretation):
        if void_class:
            raise LearnerError("void_class", "is of masks only: leave it empty")
        return
    if void_class and void_class not in found.classes:
        raise LearnerError("void_class", f"{void_class!r} is none of the classes {', '.join(found.classes)}")
    if void_class:
        found.void_code = found.classes.index(void_class)
    elif found.void_code is None and _VOID in found.classes:
        found.void_code = found.classes.index(_VOID)


def measured(asked: Examination) -> Examination:
    """With the measures that were asked for: work for one rank, of which others need not wait for the end."""
    found, chosen = asked.interpretation, asked.parts
    embeddings = _finite(asked.predictions.embeddings)
    with HEARTBEAT.long_work():
        near = nearest(embeddings) if embeddings is not None and {"duplicates", "outliers"} & set(chosen) else None
        groups = near_duplicates(embeddings, near) if embeddings is not None and near is not None else []
        return replace(
            asked,
            calibration=calibration_of(found) if "calibration" in chosen else None,
            curves=tuple(curves_of(found)) if "curves" in chosen else (),
            label_issues=_label_issues(found, embeddings) if "label_issues" in chosen else None,
            duplicates=tuple(groups) if "duplicates" in chosen else (),
            outliers=tuple(outliers(near)) if near is not None and "outliers" in chosen else (),
            slices=tuple(slices_of(found, asked.columns)),
        )


def calibration_of(found: Interpretation) -> Calibration | None:
    """None where the outputs are no probabilities of classes or labels."""
    if isinstance(found, MultiLabelClassificationInterpretation):
        return calibration_of_labels(found.preds, found.y_true) if _are_shares(found.preds) else None
    if not isinstance(found, ClassificationInterpretation) or not _are_probabilities(found.preds):
        return None
    return calibration_of_classes(found.preds, found.y_true)


def curves_of(found: Interpretation) -> list[Curves]:
    """Empty where there are no scores of classes or labels."""
    if not isinstance(found, ClassificationInterpretation) or _finite(found.preds) is None:
        return []
    if isinstance(found, MultiLabelClassificationInterpretation):
        return curves_of_labels(found.preds, found.y_true, found.classes)
    return curves_of_classes(found.preds, found.y_true, found.classes)


def _label_issues(found: Interpretation, embeddings: Tensor | None) -> LabelIssues | None:
    if not isinstance(found, ClassificationInterpretation) or found.y_true.ndim != 1:
        return None
    kind = getattr(found.learn.data, "kind", LabelKind.CATEGORY)
    if kind is LabelKind.MULTI_CATEGORY:
        return None
    probabilities = found.preds if _are_probabilities(found.preds) else None
    trained_on = found.ds_type is DatasetType.Fix
    return find_label_issues(found.y_true.long(), embeddings, probabilities, trained_on=trained_on)


def _finite(values: Tensor | None) -> Tensor | None:
    return values if values is not None and bool(torch.isfinite(values).all()) else None


def _are_shares(values: Tensor) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())  # of NaN neither is true


def _are_probabilities(rows: Tensor) -> bool:
    sums = rows.double().sum(dim=1)
    return _are_shares(rows) and (rows.shape[1] == 1 or bool((sums - 1).abs().max() < _SUM_TOLERANCE))
